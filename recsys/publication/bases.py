"""Publications with a base: they carry the lists of some customers, and for all others those of the base count.

A base is a publication of the same version with the lists of all customers; it has none itself. It stays stored for as
long as a publication that is built on it.
"""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
from sqlalchemy import Connection

from recsys.assets import read_sql
from recsys.errors import ConflictError, ContractError
from recsys.publication.live_files import LISTS
from recsys.publication.records import MAIN, STORED, NewPublication, PublicationRecord, find_publication
from recsys.publication.totals import Totals, totals
from recsys.settings import Settings
from recsys.warehouse import Warehouse

_KEYS = "bucket smallint, subject_id varchar, list_hash bigint, row_count bigint, keyless_count bigint"
_STORED = "subject_id varchar, list_hash bigint, part bigint"


def whole_totals(
    warehouse: Warehouse, connection: Connection, bench: duckdb.DuckDBPyConnection, new: NewPublication, carried: Totals
) -> Totals:
    """Return what a publication amounts to, those lists of its base included that count in it.

    Args:
        warehouse: an open warehouse.
        connection: the transaction that stages it, in which its own lists are named already.
        bench: an engine.
        new: the publication.
        carried: the totals of its own lists.

    Raises:
        ContractError: if its base can't be one.
        ConflictError: if its base is no longer stored.
    """
    if new.base is None:
        return carried
    base = _require_base(warehouse, new, connection)
    named = {"publication_id": new.publication_id, "base": new.base}
    older = warehouse.read_tables(connection, read_sql("publication", "overridden_lists.sql"), named)
    _fill(bench, "overridden_lists", _KEYS, older)
    return Totals(base.row_count, base.user_count, base.checksum).replacing(totals(bench, "overridden_lists"), carried)


def load_stored_own(
    warehouse: Warehouse, connection: Connection, bench: duckdb.DuckDBPyConnection, new: NewPublication
) -> None:
    """Make ``stored_lists`` of those of a publication's own lists of which the warehouse holds the rows."""
    named = {"publication_id": new.publication_id, "placement": new.placement}
    found = warehouse.read_tables(connection, read_sql("publication", "stored_own_lists.sql"), named)
    _fill(bench, "stored_lists", _STORED, found)


def require_main(new: NewPublication, kind: str) -> None:
    """Refuse a base for lists that are not everybody's.

    Raises:
        ContractError: naming the publication.
    """
    if new.base is not None and kind != MAIN:
        raise ContractError(
            f"The publication {new.publication_id} is of the kind {kind!r}, so it can't be built on {new.base}: it "
            "must have the lists of all customers."
        )


def covered(warehouse: Warehouse, new: NewPublication) -> tuple[Totals, list[str]]:
    """Return what is stored of a publication and its base together, customers counted, and what does not agree."""
    named = {"publication_id": new.publication_id, "base": new.base}
    [row] = warehouse.query(read_sql("publication", "covered.sql"), named)
    told, counted = int(row["user_count"]), int(row["customers"])
    found = Totals(int(row["row_count"]), counted, str(row["checksum"]))
    if told == counted:
        return found, []
    return found, [f"{counted} customers have a list, of their own or of the base {new.base}, instead of {told}"]


def refused_items(
    warehouse: Warehouse, settings: Settings, bench: duckdb.DuckDBPyConnection, new: NewPublication, path: Path
) -> list[str]:
    """Tell which lists of the base that count in a publication name items that may no longer be recommended.

    Lists that nobody is shown, for want of consent, may.

    Args:
        warehouse: an open warehouse.
        settings: where the live files are.
        bench: an engine with ``list_facts`` and ``known_items`` of the publication.
        new: the publication.
        path: where the rows of the base may be put, if there is no live file of it.
    """
    rows = base_rows(warehouse, settings, str(new.base), path)
    bench.read_parquet(str(rows)).create_view("base_rows", replace=True)
    bench.execute("create or replace temp table refused as " + read_sql("publication", "refused_items.sql"))
    if not bench.execute("select 1 from refused limit 1").fetchall():
        return []
    unseen = warehouse.query(read_sql("publication", "unseen_lists.sql"), {"publication_id": new.base})
    subjects = pa.array([str(row["subject_id"]) for row in unseen], pa.string())
    bench.register("unseen", pa.table({"subject_id": subjects}))
    lists, examples = bench.execute(read_sql("publication", "refused_lists.sql")).fetchall()[0]
    if not lists:
        return []
    return [
        f"{lists} lists of the base {new.base} name items that are not known to the run or may not be recommended, for "
        f"example {', '.join(examples)}: such customers need a new list"
    ]


def base_rows(warehouse: Warehouse, settings: Settings, base: str, path: Path) -> Path:
    """Return a file with the rows of a base, as ``publication_rows.sql`` gives them: its live file, or that path."""
    rows = settings.resolved_home / "live" / base / LISTS
    if rows.is_file():
        return rows
    warehouse.write_parquet(read_sql("publication", "publication_rows.sql"), path, {"publication_id": base})
    return path


def _require_base(warehouse: Warehouse, new: NewPublication, connection: Connection) -> PublicationRecord:
    base = find_publication(warehouse, str(new.base), connection=connection)
    if base is None or base.status not in STORED:
        raise ConflictError(
            f"The publication {new.publication_id} is built on {new.base}, which is not stored any more. "
            "Publish the lists of all customers."
        )
    mine = (new.placement, new.model_name, new.model_version, MAIN, None)
    its = (base.placement, base.model_name, base.model_version, base.kind, base.base_publication_id)
    if its != mine:
        raise ContractError(
            f"The publication {new.publication_id} can't be built on {new.base}: a base has the lists of all customers "
            "and is of the same version on the same placement. Publish the lists of all customers."
        )
    return base


def _fill(bench: duckdb.DuckDBPyConnection, table: str, columns: str, parts: Iterator[pa.Table]) -> None:
    bench.execute(f"create or replace temp table {table} ({columns})")
    for part in parts:
        bench.register("filling", part)
        bench.execute(f"insert into {table} by name from filling")
        bench.unregister("filling")
