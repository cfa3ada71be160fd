"""A canary's arms, measured on purchases whose figures are worked out by hand."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.errors import NotFoundError
from recsys.evaluation import published
from recsys.evaluation.arms import Period, measure_arms, periods_of
from recsys.evaluation.significance import difference_of_means
from recsys.publication import (
    Canary,
    list_canaries,
    promote_canary,
    publish,
    refresh_canary,
    start_canary,
    widen_canary,
    withdraw_canary,
)
from recsys.settings import PublicationSettings, Settings
from recsys.snapshot import Snapshot, take_snapshot
from recsys.warehouse import open_warehouse
from tests.evaluation.test_significance import paired_difference
from tests.support.planted import Event, add_events
from tests.support.publications import AS_OF, ITEMS, NOW, PLACEMENT, USERS, approve, list_of, write_publication
from tests.support.warehouse import item_id, make_settings, user_id, write_small_shop

WHO: dict[str, Any] = {"decided_by": "ada", "channel": "cli", "reason": "worth a try"}
CUSTOMERS = [user_id(n) for n in range(USERS)]
BEST = item_id(0)
LAST = 1 / log2(11)  # NDCG of one product bought, shown at rank 10
MAIN, TRIAL = range(10), range(9, -1, -1)  # the product that everybody buys is the first and the last


def at(day: float) -> datetime:
    return NOW + timedelta(days=day)


def lists(settings: Settings, name: str, items: Iterable[int], version: str, as_of: datetime = AS_OF) -> Any:
    order = [item_id(n) for n in items]
    rows = [row for subject in ("*", *CUSTOMERS) for row in list_of(subject, order)]
    files = write_publication(settings.resolved_home / "files", name, rows, version=version)
    return replace(files, as_of=as_of)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A shop that knows all about its customers up to ``AS_OF``, and p1 live from a day later on."""
    settings = make_settings(tmp_path, publication=PublicationSettings(min_item_purchases=0))
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=60, items=ITEMS, days=60)
        add_events(warehouse, [Event(user, item_id(1), AS_OF - timedelta(days=9)) for user in CUSTOMERS])
        approve(warehouse, "1")
        publish(warehouse, settings, lists(settings, "p1", MAIN, "1"), now=NOW)
    return settings


def begin(settings: Settings, share: float) -> Canary:
    with open_warehouse(settings, purpose="test") as warehouse:
        files = lists(settings, "c1", TRIAL, "2")
        return start_canary(warehouse, settings, files, share=share, **WHO, now=at(0.5))


def buy(settings: Settings, *moments: datetime, customers: Iterable[str | None] = CUSTOMERS) -> None:
    with open_warehouse(settings, purpose="test") as warehouse:
        bought = [(user, moment) for user in customers for moment in moments]
        add_events(warehouse, [Event(user, BEST, moment, name=f"{user} {moment}") for user, moment in bought])


def measured(settings: Settings) -> dict[str, Any]:
    snapshot = Snapshot.open(take_snapshot(settings, as_of="latest", now=at(60)).uri)
    with open_warehouse(settings, purpose="test") as warehouse:
        return measure_arms(warehouse, settings, snapshot, list_canaries(warehouse, PLACEMENT)[0])


def arms(found: dict[str, Any]) -> dict[str, tuple[int, float | None]]:
    return {name: (arm["customers"], arm["ndcg@10"]) for name, arm in found["arms"].items()}


def test_each_arm_is_measured_by_its_own_customers(settings: Settings) -> None:
    canary = begin(settings, 0.5)
    buy(settings, at(1))
    found = measured(settings)
    inside = sum(map(canary.includes, CUSTOMERS))
    assert 0 < inside < USERS
    assert arms(found) == {"main": (USERS - inside, 1.0), "canary": (inside, pytest.approx(LAST))}
    assert (found["paired"], found["periods"]) == (False, 1)
    # Everybody of an arm has the same figure, so no draw differs.
    assert (found["difference"], found["low"], found["high"]) == pytest.approx((LAST - 1,) * 3)


def test_a_shadow_is_measured_by_everybody_with_both_lists(settings: Settings) -> None:
    begin(settings, 0.0)
    buy(settings, at(1), customers=CUSTOMERS[:12])
    found = measured(settings)
    assert arms(found) == {"main": (12, 1.0), "canary": (12, pytest.approx(LAST))}
    assert found["paired"] is True
    assert found["difference"] == pytest.approx(LAST - 1)


def test_a_purchase_counts_for_the_lists_of_its_time(settings: Settings) -> None:
    """The trial's newer lists have the product first; a customer's figure is the mean of their periods."""
    canary = begin(settings, 0.5)
    with open_warehouse(settings, purpose="test") as warehouse:
        newer = lists(settings, "c2", MAIN, "2", AS_OF + timedelta(days=5))
        refresh_canary(warehouse, settings, newer, now=at(5))
        again = lists(settings, "p2", TRIAL, "1", AS_OF + timedelta(days=8))
        publish(warehouse, settings, again, now=at(8))
    buy(settings, at(1), at(6))
    found = measured(settings)
    assert found["periods"] == 2  # What was published at the end is known of, and nothing was bought since.
    inside = sum(map(canary.includes, CUSTOMERS))
    assert arms(found) == {"main": (USERS - inside, 1.0), "canary": (inside, pytest.approx((LAST + 1) / 2))}


def test_who_came_in_later_counts_in_both_arms(settings: Settings) -> None:
    first = begin(settings, 0.2)
    with open_warehouse(settings, purpose="test") as warehouse:
        second = widen_canary(warehouse, settings, PLACEMENT, share=0.7, **WHO, now=at(4))
    buy(settings, at(1), at(6))
    found = measured(settings)
    before, after = (sum(map(canary.includes, CUSTOMERS)) for canary in (first, second))
    assert before < after
    assert arms(found) == {"main": (USERS - before, 1.0), "canary": (after, pytest.approx(LAST))}


def test_what_nobody_bought_yet_has_no_difference(settings: Settings) -> None:
    begin(settings, 0.5)
    with pytest.raises(NotFoundError, match="knows nothing of after for_you-canary-0001 began"):
        measured(settings)
    buy(settings, at(1), customers=[None])
    found = measured(settings)
    assert arms(found) == {"main": (0, None), "canary": (0, None)}
    assert (found["difference"], found["low"]) == (None, None)


def test_what_is_published_is_measured_by_those_who_see_it(settings: Settings) -> None:
    canary = begin(settings, 0.5)
    buy(settings, at(1))
    snapshot = Snapshot.open(take_snapshot(settings, as_of="latest", now=at(60)).uri)
    with open_warehouse(settings, purpose="test") as warehouse:
        found = published.measure(warehouse, settings, snapshot, PLACEMENT)
    assert found["publication_id"] == "p1"
    assert found["customers"] == sum(not canary.includes(user) for user in CUSTOMERS)
    assert found["metrics"]["ndcg@10"] == 1.0


@pytest.mark.parametrize("end", [withdraw_canary, promote_canary])
def test_an_ended_canary_is_measured_up_to_its_end(settings: Settings, end: Callable[..., Any]) -> None:
    """What was bought after the end would give both arms the same figure."""
    canary = begin(settings, 0.5)
    with open_warehouse(settings, purpose="test") as warehouse:
        end(warehouse, settings, PLACEMENT, **WHO, now=at(4.5))
    buy(settings, at(1))
    before = measured(settings)
    buy(settings, at(6), at(9))
    found = measured(settings)
    inside = sum(map(canary.includes, CUSTOMERS))
    assert arms(found) == {"main": (USERS - inside, 1.0), "canary": (inside, pytest.approx(LAST))}
    assert (found["periods"], found["until"]) == (1, (AS_OF + timedelta(days=4)).isoformat())
    assert (found["difference"], found["low"]) == (before["difference"], before["low"])


def test_what_is_not_kept_any_more_is_told_and_not_measured(settings: Settings) -> None:
    begin(settings, 0.5)
    buy(settings, at(1))
    with open_warehouse(settings, purpose="test") as warehouse:
        withdraw_canary(warehouse, settings, PLACEMENT, **WHO, now=at(2))
        publish(warehouse, settings, lists(settings, "p2", MAIN, "1", AS_OF + timedelta(days=40)), now=at(40))
    with pytest.raises(NotFoundError, match="lists of c1, shown while for_you-canary-0001 ran, are not kept any more"):
        measured(settings)


@pytest.mark.parametrize(("day", "is_complete"), [(26.9, False), (27.1, True), (28.5, True)])
def test_a_window_is_whole_when_purchases_of_its_last_day_are_known(
    settings: Settings, day: float, is_complete: bool
) -> None:
    buy(settings, AS_OF + timedelta(days=day))
    snapshot = Snapshot.open(take_snapshot(settings, as_of="latest", now=at(60)).uri)
    with open_warehouse(settings, purpose="test") as warehouse:
        assert published.measure(warehouse, settings, snapshot, PLACEMENT)["window_complete"] is is_complete


def row(
    arm: int, name: str, moved: int, as_of: int, share: float | None = None, move: str | None = None
) -> dict[str, Any]:
    day = datetime(2025, 1, 1)
    return {
        "arm": arm,
        "publication_id": name,
        "share": share,
        "move": move,
        "moved_at": day + timedelta(days=moved),
        "as_of": day + timedelta(days=as_of),
    }


def test_periods_of_a_shop_whose_data_lags() -> None:
    """Lists of day 0 and 2 went live 100 days later; the share grew 3 days after the canary's lists were shown."""
    rows = [row(0, "p", 100, 0), row(1, "c", 102, 2, 0.1), row(1, "c", 105, 2, 0.5), row(0, "q", 110, 9)]
    day = datetime(2025, 1, 1)
    expected = [
        Period(day + timedelta(days=2), day + timedelta(days=5), ("p", "c"), 0.1),
        Period(day + timedelta(days=5), day + timedelta(days=9), ("p", "c"), 0.5),
        Period(day + timedelta(days=9), day + timedelta(days=12), ("q", "c"), 0.5),
    ]
    assert periods_of(rows, day + timedelta(days=12)) == expected
    assert periods_of(rows, day + timedelta(days=4)) == [replace(expected[0], until=day + timedelta(days=4))]
    assert periods_of(rows, day + timedelta(days=1)) == []
    ended = [*rows, row(1, "c", 112, 2, 0.5, "withdrawn")]
    assert periods_of(ended, day + timedelta(days=99)) == expected
    assert periods_of(ended, day + timedelta(days=11)) == periods_of(rows, day + timedelta(days=11))


def test_the_difference_of_means_is_paired_where_everybody_has_both() -> None:
    random = np.random.default_rng(3)
    b = random.normal(0, 1, 300)
    a = b + random.normal(0.1, 0.1, 300)
    knobs = {"confidence": 0.95, "draws": 2000, "seed": 1}
    found, paired = difference_of_means(a, b, **knobs), paired_difference(a, b, **knobs)
    assert (found.difference, found.low, found.high) == pytest.approx((paired.difference, paired.low, paired.high))


def test_the_difference_of_means_of_two_samples_has_their_interval() -> None:
    random = np.random.default_rng(4)
    a, b = random.normal(0.5, 1, 600), random.normal(0, 2, 900)
    gap = np.full(1, np.nan)
    joined = np.concatenate([a, np.repeat(gap, 900)]), np.concatenate([np.repeat(gap, 600), b])
    found = difference_of_means(*joined, confidence=0.95, draws=4000, seed=1)
    error = np.sqrt(a.var() / 600 + b.var() / 900)
    assert found.difference == pytest.approx(a.mean() - b.mean())
    assert found.low == pytest.approx(found.difference - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(found.difference + 1.96 * error, abs=0.15 * error)
