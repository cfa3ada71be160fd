"""The only room that opens a SQL connection to the warehouse.

Two engines, one code path: DuckDB (a file that is private to the platform) and PostgreSQL (a server).
SQL given to :class:`Warehouse` uses ``:name`` parameters, ``cast(x as type)`` rather than ``x::type``, and
nothing that only one of the two understands. Bulk data goes through Arrow, never row by row.
"""

from recsys.warehouse.compacting import compact
from recsys.warehouse.lock import Holder, current_holder
from recsys.warehouse.migrations import migrate, pending_migrations
from recsys.warehouse.opening import open_warehouse
from recsys.warehouse.retrying import retried
from recsys.warehouse.session import ReadArrow, Warehouse

__all__ = [
    "Holder",
    "ReadArrow",
    "Warehouse",
    "compact",
    "current_holder",
    "migrate",
    "open_warehouse",
    "pending_migrations",
    "retried",
]
