"""What is live, measured against what customers bought afterwards."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys import columns as c
from recsys.assets import read_sql
from recsys.compute import engine, fetch_columns
from recsys.cuts import lay_cut
from recsys.disguise import real_names
from recsys.errors import NotFoundError
from recsys.evaluation.metrics import Truth, hit_matrix, per_customer
from recsys.evaluation.reading import read_truth
from recsys.evaluation.roles import HEADLINE, K
from recsys.evaluation.values import CustomerValues, summarise
from recsys.history import eligible_items
from recsys.lists import Lists
from recsys.pseudonyms import Pseudonyms
from recsys.publication import Canary, running_canary
from recsys.ranking import write_truth
from recsys.settings import Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import Warehouse

PUBLISHED = "published"
LAST_DAY: Final = timedelta(days=1)
"""What may be missing at the end of a window: a snapshot of the latest ends just after the newest event, and nobody may
have bought anything in the window's last hours."""


def measure(warehouse: Warehouse, settings: Settings, later: Snapshot, placement: str) -> dict[str, Any]:
    """Measure the live lists of a placement by what a later snapshot knows; customers in a canary are left out.

    Args:
        warehouse: holds the lists.
        settings: give the horizon and what counts as relevant.
        later: a snapshot taken after the publication's ``as_of``.
        placement: whose lists.

    Returns:
        The publication's id and ``as_of``, the window, whether purchases are known of up to its last day, the
        customers measured, every metric's mean with its interval, and NDCG without the rule that a product was bought
        often enough before; figures that are undefined, since nobody was measured, are absent or None.

    Raises:
        NotFoundError: if nothing is live, or nothing is known after it.
    """
    with warehouse.read_arrow(read_sql("publication", "measured_lists.sql"), {"placement": placement}) as reader:
        live = reader.read_all()
    if not live.num_rows:
        raise NotFoundError(f"Nothing is live in {placement!r} yet; publish first, for example with 'recsys run'.")
    as_of, publication_id = live["as_of"][0].as_py(), live["publication_id"][0].as_py()
    if later.as_of <= as_of:
        raise NotFoundError(
            f"{publication_id} is as of {as_of}, and the warehouse knows nothing after it: load newer events "
            "(for the demo: 'recsys load completejourney' without --until), then measure again."
        )
    return {
        c.PUBLICATION_ID: publication_id,
        c.PLACEMENT: placement,
        c.MODEL_VERSION: live[c.MODEL_VERSION][0].as_py(),
        **measure_lists(
            settings,
            later,
            placement,
            live,
            as_of,
            canary=running_canary(warehouse, placement),
            names=real_names(settings, warehouse) if later.is_pseudonymised else None,
        ),
    }


def measure_lists(
    settings: Settings,
    later: Snapshot,
    placement: str,
    shown: pa.Table,
    as_of: datetime,
    *,
    last_bucket: int = c.BUCKETS,
    canary: Canary | None = None,
    names: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Measure lists by what customers bought in the horizon after them.

    Args:
        settings: give the horizon and what counts as relevant.
        later: a snapshot taken after ``as_of``.
        placement: where the lists were shown.
        shown: user_id, item_id and rank of what customers saw.
        as_of: what the lists knew.
        last_bucket: only customers up to this bucket are measured.
        canary: whose customers saw other lists, and are left out.
        names: the ids of pseudonyms, for the canary, if the snapshot has these.

    Returns:
        As of :func:`measure`, without what names the publication.
    """
    repeats = settings.placement(placement).repeats
    with engine(settings) as connection, TemporaryDirectory() as work:
        later.attach(connection)
        connection.register("shown", disguised(settings, later, shown))
        lists = _as_lists(
            fetch_columns(
                connection,
                "select users.user_idx, items.item_idx, shown.rank from shown "
                "inner join users using (user_id) inner join items using (item_id)",
            )
        )
        lay_cut(connection, as_of)
        items, _ = eligible_items(connection, settings)
        measured = "select user_idx from users where bucket between 0 and $last order by user_idx"
        lay_cut(connection, as_of, fetch_columns(connection, measured, {"last": last_bucket})[c.USER_IDX])
        path = Path(work) / "truth.parquet"
        write_truth(connection, settings, items, path)
        elsewhere = _in_canary(canary, connection, names or {})
        truth = _without(read_truth(path, repeats=repeats), elsewhere)
        wider = _without(read_truth(path, repeats=repeats, eligible_only=False), elsewhere)
    end = as_of + timedelta(days=settings.ranker.horizon_days)
    summary, wide = (summarise([_values(one, lists)], PUBLISHED, settings) for one in (truth, wider))
    return {
        c.AS_OF: as_of.isoformat(),
        "window_to": end.isoformat(),
        "window_complete": later.as_of >= end - LAST_DAY,
        "customers": len(truth.users),
        "metrics": summary.models.get(PUBLISHED, {}),
        "intervals": summary.intervals.get(PUBLISHED, {}),
        "ndcg_without_rule_of_ten": wide.models.get(PUBLISHED, {}).get(HEADLINE),
    }


def disguised(settings: Settings, later: Snapshot, shown: pa.Table) -> pa.Table:
    """Return lists by the names that their customers have in a snapshot."""
    if not later.is_pseudonymised:
        return shown
    names = Pseudonyms.of(settings).names(shown[c.USER_ID].to_pylist())
    return shown.set_column(shown.schema.get_field_index(c.USER_ID), c.USER_ID, pa.array(names, pa.string()))


def _in_canary(
    canary: Canary | None, connection: duckdb.DuckDBPyConnection, known: Mapping[str, str]
) -> NDArray[np.int64]:
    """Return the customers who see a canary's lists instead."""
    if canary is None:
        return np.empty(0, np.int64)
    names = fetch_columns(connection, "select user_id from users order by user_idx")[c.USER_ID]
    return np.flatnonzero([canary.includes(known.get(str(name), str(name))) for name in names])


def _without(truth: Truth, customers: NDArray[np.int64]) -> Truth:
    kept = ~np.isin(truth.pair_users, customers)
    return Truth.of(truth.pair_users[kept], truth.pair_items[kept])


def _values(truth: Truth, lists: Lists) -> CustomerValues:
    hits = hit_matrix(truth, lists.user_idx, lists.item_idx, lists.rank, K)
    return CustomerValues(truth.users, {PUBLISHED: per_customer(hits, truth.relevant, (K,))})


def _as_lists(rows: dict[str, Any]) -> Lists:
    return Lists(*(rows[name].astype("int32") for name in (c.USER_IDX, c.ITEM_IDX, c.RANK)))
