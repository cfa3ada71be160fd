"""Where the rows of lists are stored.

The embedded engine holds them in one table. On PostgreSQL that table has parts: one for the new lists of each
publication, which is loaded first and indexed then, and is dropped whole once no publication names a list in it.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
from sqlalchemy import Connection

from recsys.assets import read_sql
from recsys.columns import PUBLISHED
from recsys.publication.statements import lock_storage, run
from recsys.warehouse import Warehouse

_POSTGRESQL = "postgresql"
_COLUMNS = "publication_id, bucket, subject_id, rank, item_id, score, source, reason, propensity"
_SELECTS = {
    "part_rows": "select part_rows.*, stored_keys.publication_id, stored_keys.bucket "
    "from part_rows left join stored_keys using (subject_id, list_hash)",
    "shared_rows": "from shared_rows",
}


@dataclass(frozen=True)
class Stored:
    """Where the lists of a publication are.

    Attributes:
        part: the part that has its new lists and nothing else; None if there is none.
        is_new: whether no list of an earlier publication is among them.
    """

    part: int | None = None
    is_new: bool = False


def store_rows(warehouse: Warehouse, connection: Connection, placement: str, rows: pa.RecordBatchReader) -> int | None:
    """Store the rows of new lists, in the caller's transaction, and return their part; None where there are no parts.

    The caller holds the storage of the placement (``lock_storage``).
    """
    if warehouse.dialect != _POSTGRESQL:
        warehouse.append(connection, f"{PUBLISHED}.list_rows", rows)
        return None
    named = {"placement": placement}
    [made] = warehouse.query("select recsys.new_list_part(:placement) as part", named, connection=connection)
    part = str(made["part"])
    warehouse.append(connection, part, rows)
    warehouse.query("select recsys.attach_list_part(:part)", {"part": part}, connection=connection)
    return int(part.rpartition("_")[2])


def copy_rows(
    warehouse: Warehouse, bench: duckdb.DuckDBPyConnection, publication_id: str, stored: Stored, path: Path
) -> None:
    """Write all stored rows of a publication to a Parquet file, with the columns of ``publication_rows.sql``.

    A part is read from its begin to its end: that needs no join on the server, and no look at other parts unless lists
    in them are shared.
    """
    named = {"publication_id": publication_id}
    if stored.part is None:
        warehouse.write_parquet(read_sql("publication", "publication_rows.sql"), path, named)
        return
    with warehouse.read_arrow(read_sql("publication", "publication_lists.sql"), named) as reader:
        bench.register("lists_reader", reader)
        bench.execute("create or replace temp table stored_keys as from lists_reader")
    sources: dict[str, dict[str, object]] = {"part_rows": {"part": stored.part}}
    if not stored.is_new:
        sources["shared_rows"] = {"part": stored.part, **named}
    with ExitStack() as opened:
        for name, params in sources.items():
            query = read_sql("publication", f"{name}.postgresql.sql")
            bench.register(name, opened.enter_context(warehouse.read_arrow(query, params)))
        rows = " union all by name ".join(_SELECTS[name] for name in sources)
        bench.sql(f"select {_COLUMNS} from ({rows})").write_parquet(str(path), compression="zstd")


def remove_orphans(warehouse: Warehouse, connection: Connection, placement: str) -> None:
    """Remove the rows of lists that no publication of the placement names any more, in the caller's transaction.

    What lies in a part that nothing names is left to :func:`drop_unused`.
    """
    if warehouse.dialect == _POSTGRESQL:
        named = {"placement": placement}
        warehouse.query("select recsys.remove_list_orphans(:placement)", named, connection=connection)
    else:
        run(connection, "remove_orphans", placement=placement)


def drop_unused(warehouse: Warehouse, placement: str) -> None:
    """Drop the parts that nothing names, in a transaction of its own: readers wait until it is over.

    What a killed process left is dropped by the next one.
    """
    if warehouse.dialect == _POSTGRESQL:
        with warehouse.transaction() as connection:
            lock_storage(connection, placement)
            named = {"placement": placement}
            warehouse.query("select recsys.drop_unused_list_parts(:placement)", named, connection=connection)
