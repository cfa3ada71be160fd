"""Where the rows of lists are stored.

The embedded engine holds them in one table. On PostgreSQL that table has parts: one for the new lists of each
publication, which is loaded first and indexed then, and is dropped whole once no publication names a list in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
from sqlalchemy import Connection

from recsys.assets import read_sql
from recsys.columns import PUBLISHED
from recsys.publication.records import NewPublication
from recsys.publication.statements import lock_storage, run
from recsys.warehouse import Warehouse

_POSTGRESQL = "postgresql"
_COLUMNS = "publication_id, bucket, subject_id, rank, item_id, score, source, reason, propensity"


@dataclass(frozen=True)
class Stored:
    """Where the lists of a publication are.

    Attributes:
        parts: the parts that hold its lists; empty if that is not known, or there are no parts.
    """

    parts: tuple[int, ...] = ()


def count_lists_of(warehouse: Warehouse, publication_id: str) -> None:
    """See that a server knows of the lists of a publication that is to be a base.

    It takes those that were just written for a few, and would compare each with each.
    """
    if warehouse.dialect == _POSTGRESQL:
        warehouse.query("select recsys.count_lists_of(:publication_id)", {"publication_id": publication_id})


def stored_lists_query(warehouse: Warehouse) -> str:
    """Return the query for the stored lists of a placement: subject_id, list_hash and part; null without parts."""
    is_in_parts = warehouse.dialect == _POSTGRESQL
    return read_sql("publication", "part_lists.postgresql.sql" if is_in_parts else "stored_lists.sql")


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
    warehouse: Warehouse, bench: duckdb.DuckDBPyConnection, publication: NewPublication, stored: Stored, path: Path
) -> None:
    """Write all stored rows of a publication to a Parquet file, with the columns of ``publication_rows.sql``.

    Of parts those that hold its lists are read, from begin to end: that needs no join on the server.
    """
    named = {"publication_id": publication.publication_id}
    if not stored.parts:
        warehouse.write_parquet(read_sql("publication", "publication_rows.sql"), path, named)
        return
    with warehouse.read_arrow(read_sql("publication", "publication_lists.sql"), named) as reader:
        bench.register("lists_reader", reader)
        bench.execute("create or replace temp table stored_keys as from lists_reader")
    query = read_sql("publication", "part_rows.postgresql.sql").format(parts=", ".join(map(str, stored.parts)))
    with warehouse.read_arrow(query, {"placement": publication.placement}) as reader:
        bench.register("part_rows", reader)
        # The engine takes a reader for short: as it stands, the keys are held in memory, and the rows keep their order.
        bench.execute("set disabled_optimizers = 'join_order,build_side_probe_side'")
        picked = bench.sql(f"select {_COLUMNS} from part_rows inner join stored_keys using (subject_id, list_hash)")
        picked.write_parquet(str(path), compression="zstd")
    bench.execute("reset disabled_optimizers")


def remove_lists(warehouse: Warehouse, connection: Connection, placement: str, gone: Mapping[str, str | None]) -> None:
    """Remove the lists of publications, and the rows that no other one of the placement names.

    What lies in a part that nothing names is left to :func:`drop_unused`.

    Args:
        warehouse: an open warehouse.
        connection: the caller's transaction, which holds the storage of the placement.
        placement: whose.
        gone: the ids of the publications, each with its base. Rows of lists that a base doesn't have are few, and are
            looked for; else all rows are gone through.
    """
    for publication_id, base in gone.items():
        named = {"publication_id": publication_id}
        if base is not None:
            run(connection, "remove_own_rows", placement=placement, **named)
        run(connection, "remove_lists", **named)
    if None in gone.values():
        _remove_orphans(warehouse, connection, placement)


def _remove_orphans(warehouse: Warehouse, connection: Connection, placement: str) -> None:
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
