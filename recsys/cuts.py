"""Cuts: the moments at which features and candidates are computed, and which of them teach what.

With T the snapshot's moment and H the horizon (28 days by default)::

    T-(n+1)H ... T-3H   T-2H   T-H        T
       |---- twin learns ----|  |- hold-out -|
              |---- release learns ----|

The evaluation twin learns from cuts whose windows end at T-H and is measured on what happened between T-H
and T. The release learns from cuts whose windows end at T. Both share the cuts between.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys import columns as c
from recsys.assets import read_sql
from recsys.errors import ContractError
from recsys.settings import Settings


@dataclass(frozen=True)
class CutPlan:
    """The cuts of one training.

    Attributes:
        as_of: T.
        horizon: H.
        holdout: T-H, where the twin is measured.
        twin: cuts that the twin learns from, oldest first.
        release: cuts that the release learns from, oldest first.
    """

    as_of: datetime
    horizon: timedelta
    holdout: datetime
    twin: tuple[datetime, ...]
    release: tuple[datetime, ...]

    @property
    def all(self) -> tuple[datetime, ...]:
        """Every cut, oldest first."""
        return tuple(sorted({self.holdout, *self.twin, *self.release}))


def plan_cuts(settings: Settings, as_of: datetime, first_event: datetime) -> CutPlan:
    """Lay the cuts of a training at ``as_of``.

    A cut is used if at least one horizon of history lies before it.

    Raises:
        ContractError: if the history is too short for one training cut and a hold-out.
    """
    horizon = timedelta(days=settings.ranker.horizon_days)
    oldest = first_event + horizon

    def before(end: datetime) -> tuple[datetime, ...]:
        cuts = (end - horizon * step for step in range(settings.ranker.cuts, 0, -1))
        return tuple(cut for cut in cuts if cut >= oldest)

    holdout = as_of - horizon
    twin = before(holdout)
    if not twin:
        raise ContractError(
            f"The history before {as_of:%Y-%m-%d} begins on {first_event:%Y-%m-%d}: training needs at least three "
            f"horizons of {horizon.days} days. Choose a later as_of, load more history, or set "
            "RECSYS_RANKER__HORIZON_DAYS lower."
        )
    return CutPlan(as_of, horizon, holdout, twin, before(as_of))


def cut_name(cut: datetime) -> str:
    """Return a cut's name as a folder, e.g. ``20171107T000000``."""
    return f"{cut:%Y%m%dT%H%M%S}"


def lay_cut(connection: duckdb.DuckDBPyConnection, cut_at: datetime, users: NDArray[np.int32] | None = None) -> None:
    """Make the tables ``cuts`` (cut_id, subject_id, cut_at), ``purchases`` and ``items_at_cut`` for one moment.

    Args:
        connection: has the snapshot's views.
        cut_at: the moment, the same for everyone.
        users: customers it is for; all if None.
    """
    source = c.USERS
    if users is not None:
        connection.register("chosen_users", pa.table({c.USER_IDX: users}))
        source = "chosen_users"
    connection.execute(
        f"create or replace temp table cuts as select 0 as cut_id, user_idx as subject_id, "
        f"cast($cut_at as timestamp) as cut_at from {source}",
        {"cut_at": cut_at},
    )
    # Those of all customers are too many to be kept with all their columns.
    _lay_known(connection, cut_at, kind="view" if users is None else "table")


def lay_own_cuts(connection: duckdb.DuckDBPyConnection, cuts: str, items_at: datetime) -> None:
    """Make the tables of :func:`lay_cut` where each customer has a cut of their own, as leave-one-out needs it.

    Args:
        connection: has the snapshot's views.
        cuts: query of cut_id, subject_id, cut_at, one row a customer.
        items_at: the moment at which products are taken as they were.
    """
    connection.execute(f"create or replace temp table cuts as {cuts}")
    _lay_known(connection, items_at)


def _lay_known(connection: duckdb.DuckDBPyConnection, items_at: datetime, kind: str = "table") -> None:
    laid = "select table_type from information_schema.tables where table_name = 'purchases' and table_schema = 'main'"
    for (was,) in connection.execute(laid).fetchall():
        connection.execute(f"drop {'view' if was == 'VIEW' else 'table'} purchases")
    connection.execute(f"create temp {kind} purchases as {read_sql('features', 'purchases.sql')}")
    lay_items(connection, items_at)


def customer_ranges(connection: duckdb.DuckDBPyConnection, at_once: int) -> Iterator[dict[str, int]]:
    """Yield the ranges of the customers whose cut is laid, as parameters of SQL, ``user_to`` excluded; one at least."""
    bounds = connection.execute("select coalesce(min(subject_id), 0), coalesce(max(subject_id), 0) from cuts")
    ((first, last),) = bounds.fetchall()
    for start in range(first, last + 1, at_once):
        yield {"user_from": start, "user_to": start + at_once}


def keep_events_of(connection: duckdb.DuckDBPyConnection, users: NDArray[np.int32]) -> None:
    """Leave the events of some customers only, as a table: for what asks for them again and again."""
    connection.register("kept_users", pa.table({c.USER_IDX: users}))
    connection.execute(f"alter view {c.EVENTS} rename to all_events")
    connection.execute(
        f"create temp table {c.EVENTS} as select * from all_events where {c.USER_IDX} in (select * from kept_users)"
    )
    connection.unregister("kept_users")


def lay_items(connection: duckdb.DuckDBPyConnection, cut_at: datetime) -> None:
    """Make the table ``items_at_cut``: every product as it was just before a moment.

    Args:
        connection: has the snapshot's views ``items`` and ``item_versions``.
        cut_at: the moment.
    """
    sql = read_sql("features", "items_at_cut.sql")
    connection.execute(f"create or replace temp table items_at_cut as {sql}", {"cut_at": cut_at})
