"""Removes a customer from what a load keeps beside the canonical tables: raw tables, their helpers, rejected rows."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, text

from recsys import columns as c
from recsys.assets import read_sql
from recsys.errors import SourceError
from recsys.load.source import find_source
from recsys.warehouse import Warehouse

_RAW: Final = "raw_"
_PARTED: Final = re.compile(r"[,;|\t\"']")


def forget_raw(warehouse: Warehouse, connection: Connection, names: tuple[str, ...]) -> dict[str, int]:
    """Remove a customer's raw and rejected rows, in the caller's transaction.

    A raw table has a column of customers by the name that a source declares (``customer`` in its source.toml). In one
    without such a column a row goes if any of its values is the customer's id: nothing reads raw tables but the load,
    which writes them anew.

    Args:
        warehouse: an open, migrated warehouse.
        connection: the transaction.
        names: the customer's id, and whatever else may stand for it.

    Returns:
        The number of rows removed by table; tables without any are left out.
    """
    columns = _customer_columns(warehouse, connection)
    removed: dict[str, int] = {}
    for (schema, table), found in _raw_tables(warehouse, connection).items():
        own = [name for name in found if name in columns] or found
        condition = " or ".join(f'cast("{name}" as varchar) = :name' for name in own)
        statement = text(f'delete from {schema}."{table}" where {condition}')
        count = sum(int(connection.execute(statement, {"name": name}).rowcount) for name in names)
        removed |= {f"{schema}.{table}": count} if count else {}
    count = _from_quarantine(warehouse, connection, columns, names)
    return removed | ({"shop.quarantine": count} if count else {})


def _customer_columns(warehouse: Warehouse, connection: Connection) -> set[str]:
    """Return the names that columns of customers have, in the shop's own files as well."""
    found = {c.USER_ID, c.SUBJECT_ID}
    for row in warehouse.query("select distinct source from shop.sources", connection=connection):
        try:
            source = find_source(row["source"])
        except SourceError:
            continue  # its folder is not on this machine, so its tables are looked at in all columns
        found |= {table.customer for table in source.file.tables.values() if table.customer}
        found |= {source.file.customers.column} if source.file.customers else set()
    return found


def _raw_tables(warehouse: Warehouse, connection: Connection) -> dict[tuple[str, str], list[str]]:
    """Return the columns of each raw table and helper table."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in warehouse.query(read_sql("privacy", "raw_columns.sql"), connection=connection):
        if row["table_schema"].startswith(_RAW):
            found[row["table_schema"], row["table_name"]].append(row["column_name"])
    return found


def _from_quarantine(warehouse: Warehouse, connection: Connection, columns: set[str], names: tuple[str, ...]) -> int:
    rows = warehouse.query(read_sql("privacy", "quarantine.sql"), connection=connection)
    own = {row["row_text"] for row in rows if any(name in row["row_text"] for name in names)}
    # What was done about a row first: it is found by the row.
    statements = [text(read_sql("privacy", f"remove_{what}.sql")) for what in ("repairs", "quarantine")]
    removed = 0
    for row_text in sorted(one for one in own if _is_of(json.loads(one), columns, names)):
        removed += sum(int(connection.execute(sql, {"row_text": row_text}).rowcount) for sql in statements)
    return removed


def _is_of(row: dict[str, Any], columns: set[str], names: tuple[str, ...]) -> bool:
    """Tell whether a rejected row is of a customer: by its columns of customers, by any where it has none."""
    declared = [row[name] for name in columns if name in row]
    values = [str(value).strip() for value in declared if value is not None] if declared else cells_of(row)
    return any(value in names for value in values)


def cells_of(row: Any) -> Iterator[str]:
    """Yield the single values of a rejected row, however it was kept; a line that is no CSV is cut at what parts it."""
    if isinstance(row, dict):
        for name, value in row.items():
            yield from map(str.strip, _PARTED.split(str(value))) if name == "text" else cells_of(value)
    elif isinstance(row, list):
        for value in row:
            yield from cells_of(value)
    elif row is not None:
        yield str(row).strip()
