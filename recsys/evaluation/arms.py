"""A canary beside what everybody else sees, measured by what customers bought while they saw it.

Each purchase is judged by the lists that were shown at that time: between two changes of what is shown lies a
period; a customer's value is the mean NDCG of the periods in which they bought something. Arms of a canary hold
different customers; of a shadow, which nobody sees, every customer has both lists.

Periods are laid in the time of the shop's data. Lists begin to count at their ``as_of``; a larger share counts as much
later as it was entered after its lists, so a shop whose data lags behind the clock can be measured too.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from recsys import columns as c
from recsys.assets import read_sql
from recsys.canaries import PROMOTED, ROLLED_BACK, WITHDRAWN
from recsys.compute import engine, fetch_columns
from recsys.cuts import lay_cut
from recsys.disguise import real_names
from recsys.errors import NotFoundError
from recsys.evaluation.metrics import Truth, hit_matrix, per_customer
from recsys.evaluation.published import disguised
from recsys.evaluation.roles import HEADLINE, K
from recsys.evaluation.significance import Values, difference_of_means
from recsys.history import eligible_items
from recsys.publication import Canary
from recsys.publication.canary_records import hash_of, highest_hash
from recsys.settings import Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import Warehouse

MAIN = "main"
CANARY = "canary"
ARMS = (MAIN, CANARY)
ENDS = (PROMOTED, WITHDRAWN, ROLLED_BACK)
PRUNED = ("archived", "failed")


@dataclass(frozen=True)
class Period:
    """A time without a change of what is shown: the publications of both arms, and the canary's share."""

    since: datetime
    until: datetime
    publications: tuple[str, str]
    share: float


def measure_arms(warehouse: Warehouse, settings: Settings, later: Snapshot, canary: Canary) -> dict[str, Any]:
    """Measure a canary and what the other customers saw by what was bought since it began, and up to its end.

    Lists count as they are stored: what was suppressed meanwhile is not taken out of them.

    Args:
        warehouse: holds the lists.
        settings: give what counts as relevant, the confidence and the draws.
        later: a snapshot taken after the canary began.
        canary: one that runs or ran.

    Returns:
        The window, whether everybody has both lists (``paired``), and NDCG@10 with the number of customers of each
        arm, with the difference (canary minus main) and its interval; None where there are too few customers.

    Raises:
        NotFoundError: if nothing is known after it began, or lists that were shown then are not kept any more.
    """
    rows = warehouse.query(read_sql("publication", "canary_history.sql"), {"canary_id": canary.canary_id})
    periods = periods_of(rows, later.as_of)
    _require_lists(canary, rows, periods)
    if not periods:
        raise NotFoundError(
            f"The warehouse knows nothing of after {canary.canary_id} began (its lists are as of {rows[-1]['as_of']}): "
            "load newer events, then measure again."
        )
    repeats = settings.placement(canary.placement).repeats
    total, count = np.zeros((len(ARMS), later.user_count)), np.zeros((len(ARMS), later.user_count))
    with engine(settings) as connection:
        later.attach(connection)
        names = fetch_columns(connection, "select user_id from users order by user_idx")[c.USER_ID]
        known = real_names(settings, warehouse) if later.is_pseudonymised else {}
        ids = [known.get(str(name), str(name)) for name in names]
        hashes = np.array([hash_of(canary.salt, user_id) for user_id in ids])
        for period in periods:
            truth = _truth(connection, settings, period, repeats=repeats)
            is_in = hashes[truth.users] <= highest_hash(period.share)
            for arm, publication_id in enumerate(period.publications):
                own = np.ones(len(truth.users), bool) if period.share == 0 else is_in == (ARMS[arm] == CANARY)
                total[arm, truth.users[own]] += _ndcg(settings, later, warehouse, connection, publication_id, truth)[
                    own
                ]
                count[arm, truth.users[own]] += 1
    return _told(settings, canary, periods, np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))


def periods_of(rows: list[dict[str, Any]], end: datetime) -> list[Period]:
    """Return the periods of a canary's history, oldest first; those of no length are left out.

    Args:
        rows: of ``canary_history.sql``: arm (0: main), publication_id, share, move, moved_at and as_of. A move that
            ends the canary ends its last period.
        end: up to when is known what was bought.
    """
    states: list[Period] = []
    start = datetime.min
    shown: dict[int, dict[str, Any]] = {}
    for row in rows:
        before = shown.get(row["arm"])
        is_same = before is not None and before[c.PUBLICATION_ID] == row[c.PUBLICATION_ID]
        raised_at = before["raised_at"] if before is not None and is_same else row["moved_at"]
        shown[row["arm"]] = {**row, "raised_at": raised_at}
        start = max(start, row[c.AS_OF] + (row["moved_at"] - raised_at))
        if row["move"] in ENDS:
            end = min(end, start)
            break
        if len(shown) == len(ARMS):
            ids = (shown[0][c.PUBLICATION_ID], shown[1][c.PUBLICATION_ID])
            states.append(Period(start, end, ids, shown[1]["share"]))
    last = [replace(one, until=end) for one in states[-1:]]
    closed = [Period(one.since, min(after.since, end), one.publications, one.share) for one, after in pairwise(states)]
    return [period for period in [*closed, *last] if period.since < period.until]


def _require_lists(canary: Canary, rows: list[dict[str, Any]], periods: list[Period]) -> None:
    wanted = {name for period in periods for name in period.publications}
    gone = sorted({row[c.PUBLICATION_ID] for row in rows if row[c.STATUS] in PRUNED} & wanted)
    if gone:
        raise NotFoundError(
            f"The lists of {', '.join(gone)}, shown while {canary.canary_id} ran, are not kept any more, so its arms "
            "can't be measured: they are kept for four weeks after the newest canary of a placement ended."
        )


def _truth(connection: duckdb.DuckDBPyConnection, settings: Settings, period: Period, *, repeats: bool) -> Truth:
    lay_cut(connection, period.since)
    items, _ = eligible_items(connection, settings)
    connection.execute(
        "create or replace temp table eligible as select unnest($items)::integer as item_idx", {"items": items.tolist()}
    )
    bought = fetch_columns(connection, read_sql("evaluation", "realised.sql"), {"until": period.until})
    kept = np.ones(len(bought[c.USER_IDX]), bool) if repeats else bought["is_new"].astype(bool)
    return Truth.of(bought[c.USER_IDX][kept], bought[c.ITEM_IDX][kept])


def _ndcg(
    settings: Settings,
    later: Snapshot,
    warehouse: Warehouse,
    connection: duckdb.DuckDBPyConnection,
    publication_id: str,
    truth: Truth,
) -> NDArray[np.float64]:
    """Return (n,) NDCG of one publication's lists for the customers of the truth."""
    query = read_sql("publication", "arm_lists.sql")
    with warehouse.read_arrow(query, {"publication_id": publication_id}) as reader:
        connection.register("shown", disguised(settings, later, reader.read_all()))
    lists = fetch_columns(
        connection,
        "select users.user_idx, items.item_idx, shown.rank from shown "
        "inner join users using (user_id) inner join items using (item_id)",
    )
    hits = hit_matrix(truth, lists[c.USER_IDX], lists[c.ITEM_IDX], lists[c.RANK], K)
    return per_customer(hits, truth.relevant, (K,))[HEADLINE]


def _told(settings: Settings, canary: Canary, periods: list[Period], values: Values) -> dict[str, Any]:
    main, own = values
    gate = settings.gate
    found = difference_of_means(own, main, confidence=gate.confidence, draws=gate.bootstrap, seed=settings.seed)
    return {
        "canary_id": canary.canary_id,
        c.PLACEMENT: canary.placement,
        "since": periods[0].since.isoformat(),
        "until": periods[-1].until.isoformat(),
        "periods": len(periods),
        "paired": bool((np.isfinite(main) == np.isfinite(own)).all()),
        "arms": {
            name: {
                "customers": int(np.isfinite(arm).sum()),
                HEADLINE: _number(float(np.nanmean(arm)) if np.isfinite(arm).any() else float("nan")),
            }
            for name, arm in zip(ARMS, values, strict=True)
        },
        "difference": _number(found.difference),
        "low": _number(found.low),
        "high": _number(found.high),
        "confidence": found.confidence,
    }


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None
