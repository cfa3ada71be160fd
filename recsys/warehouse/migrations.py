"""The warehouse's schema, by ordered SQL files.

``sql/schema/NNNN_name.sql`` run in the order of their names, each in one transaction with the row that says
that it ran. A file holds statements that end in a semicolon at the end of a line. A file that was applied
is never edited again: what comes later is another file. ``NNNN_name.<dialect>.sql`` is for that engine alone.
"""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from recsys.assets import read_sql, sql_path
from recsys.errors import WarehouseError
from recsys.warehouse.session import POSTGRESQL, Warehouse

_RECORD: Final = (
    "create schema if not exists recsys",
    "create table if not exists recsys.schema_migrations "
    "(name text not null, checksum text not null, applied_at timestamp not null)",
)
_GRANTED: Final = (
    "select count(*) from pg_namespace as schemas cross join lateral aclexplode(schemas.nspacl) as rights "
    "inner join pg_roles as roles on roles.oid = rights.grantee "
    "where schemas.nspname = 'recsys' and roles.rolname = 'recsys_read'"
)
# Any number will do, as long as nobody else on the server uses it.
_ADVISORY_LOCK: Final = 7_265_637_379


def migrate(warehouse: Warehouse, *, folder: Path | None = None) -> list[str]:
    """Apply the migrations that this warehouse lacks.

    Args:
        warehouse: an open warehouse.
        folder: where the files are; ``sql/schema`` if absent.

    Returns:
        The names applied now, in order; empty when there is nothing to do. On a server, roles that were granted rights
        in this warehouse have them afterwards, too.

    Raises:
        WarehouseError: if an applied file was changed since, or a statement fails; what came before stays.
    """
    applied: list[str] = []
    # Without anything to do no right to make anything is needed: who publishes has none.
    if not (work := _work(warehouse, folder)):
        return applied
    for name, statements in _files(folder, warehouse.dialect):
        with warehouse.transaction() as connection:
            if warehouse.dialect == POSTGRESQL:
                connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            for statement in _RECORD:
                connection.execute(text(statement))
            if _is_applied(connection, name, statements):
                continue
            for statement in split_statements(statements):
                warehouse.run(connection, statement)
            if name == work[-1] and folder is None and warehouse.dialect == POSTGRESQL:
                _grant_again(warehouse, connection)
            _record(connection, name, statements)
        applied.append(name)
    return applied


def _grant_again(warehouse: Warehouse, connection: Connection) -> None:
    """Give the roles of ``sql/roles`` what is new or was made anew, if they were given anything here before.

    In the transaction of the last migration, so that roles never lack what the record says is there.
    """
    if connection.execute(text(_GRANTED)).scalar():
        for statement in split_statements(read_sql("roles", "grants.postgresql.sql")):
            warehouse.run(connection, statement)


def pending_migrations(warehouse: Warehouse) -> list[str]:
    """Return the names of the migrations that this warehouse lacks, in order."""
    applied = _checksums(warehouse)
    return [name for name, _ in _files(None, warehouse.dialect) if name not in applied]


def split_statements(script: str) -> list[str]:
    """Return the statements of a script: each ends in a semicolon at the end of a line that is not between ``$$``."""
    parts = [""]
    for number, piece in enumerate(script.split("$$")):
        if number % 2:
            parts[-1] += f"$${piece}$$"
            continue
        first, *following = re.split(r";[ \t]*(?:\n|$)", piece)
        parts[-1] += first
        parts += following
    return [part.strip() for part in parts if _has_code(part)]


def _checksums(warehouse: Warehouse) -> dict[str, str]:
    """Return the checksums of the migrations that ran, by name."""
    known = warehouse.query(
        "select 1 as found from information_schema.tables "
        "where table_schema = 'recsys' and table_name = 'schema_migrations'"
    )
    rows = warehouse.query("select name, checksum from recsys.schema_migrations") if known else []
    return {row["name"]: row["checksum"] for row in rows}


def _work(warehouse: Warehouse, folder: Path | None) -> list[str]:
    """Return the names of the files that were not applied, or were changed since, in order."""
    applied = _checksums(warehouse)
    return [name for name, script in _files(folder, warehouse.dialect) if applied.get(name) != _checksum(script)]


def _has_code(part: str) -> bool:
    lines = (line.strip() for line in part.splitlines())
    return any(line and not line.startswith("--") for line in lines)


def _files(folder: Path | None, dialect: str) -> Iterator[tuple[str, str]]:
    for path in sorted((folder or sql_path("schema")).glob("*.sql")):
        if path.suffixes[-2:-1] in ([], [f".{dialect}"]):
            yield path.name, path.read_text(encoding="utf-8")


def _is_applied(connection: Connection, name: str, script: str) -> bool:
    query = text("select checksum from recsys.schema_migrations where name = :name")
    checksum = connection.execute(query, {"name": name}).scalar()
    if checksum is None:
        return False
    if checksum != _checksum(script):
        raise WarehouseError(
            f"The migration {name} was changed after it had been applied to this warehouse. "
            "Put the file back as it was, and write the change as a new migration."
        )
    return True


def _record(connection: Connection, name: str, script: str) -> None:
    insert = text("insert into recsys.schema_migrations values (:name, :checksum, :applied_at)")
    now = datetime.now(UTC).replace(tzinfo=None)
    connection.execute(insert, {"name": name, "checksum": _checksum(script), "applied_at": now})


def _checksum(script: str) -> str:
    return hashlib.sha256(script.encode()).hexdigest()
