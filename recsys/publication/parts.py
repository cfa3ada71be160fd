"""Where the rows of lists are stored.

The embedded engine holds them in one table. On PostgreSQL that table has parts: one for the new lists of each
publication, which is loaded first and indexed then, and is dropped whole once no publication names a list in it.
"""

import pyarrow as pa
from sqlalchemy import Connection

from recsys.columns import PUBLISHED
from recsys.publication.statements import lock_storage, run
from recsys.warehouse import Warehouse

_POSTGRESQL = "postgresql"


def store_rows(warehouse: Warehouse, connection: Connection, placement: str, rows: pa.RecordBatchReader) -> int:
    """Store the rows of new lists, in the caller's transaction, and return how many.

    The caller holds the storage of the placement (``lock_storage``).
    """
    if warehouse.dialect != _POSTGRESQL:
        return warehouse.append(connection, f"{PUBLISHED}.list_rows", rows)
    named = {"placement": placement}
    [made] = warehouse.query("select recsys.new_list_part(:placement) as part", named, connection=connection)
    part = str(made["part"])
    count = warehouse.append(connection, part, rows)
    warehouse.query("select recsys.attach_list_part(:part)", {"part": part}, connection=connection)
    return count


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
