"""Drift of features and scores, with a planted shift; what doesn't move is none."""

from datetime import datetime, timedelta
from math import log
from pathlib import Path

import numpy as np
import pytest

from recsys.monitoring import drift
from recsys.monitoring.records import FEATURE_DRIFT, SCORE_DRIFT
from recsys.publication import PublicationRecord, publish
from recsys.settings import MonitoringSettings, Settings
from recsys.warehouse import Warehouse
from tests.support.monitored import figures, snapshot_of
from tests.support.planted import Event, Person, Version, write_shop
from tests.support.publications import ITEMS, NOW, PLACEMENT, approve, made_lists, write_publication
from tests.support.warehouse import make_settings, write_small_shop

BEFORE = datetime(2024, 11, 1)
AFTER = datetime(2024, 11, 29)
TRAINED = BEFORE - timedelta(days=1) + timedelta(seconds=1)  # just after the newest event of the time
CUSTOMERS = 60
JUDGED = MonitoringSettings(min_sample=20)


def purchases(size: dict[datetime, int]) -> list[Event]:
    """Return a basket of every customer each week before each moment, of so many products; 28 days apart."""
    return [
        Event(f"c{customer:02d}", f"i{item}", end - timedelta(days=7 * week + 1, minutes=customer), basket=None)
        for end, count in size.items()
        for week in range(4)
        for customer in range(CUSTOMERS)
        for item in range(count)
    ]


def shop(tmp_path: Path, size: dict[datetime, int]) -> Settings:
    settings = make_settings(tmp_path, monitoring=JUDGED)
    users = [Person(f"c{customer:02d}") for customer in range(CUSTOMERS)]
    write_shop(settings, users=users, items=[Version(f"i{n}") for n in range(9)], events=purchases(size))
    return settings


def test_larger_baskets_since_the_training_are_a_breach_and_name_the_feature(tmp_path: Path) -> None:
    settings = shop(tmp_path, {BEFORE: 2, AFTER: 8})
    found = figures(drift.feature_drift(settings, snapshot_of(settings), {PLACEMENT: ("3", TRAINED)}))
    size = found[FEATURE_DRIFT, "user_basket_size"]
    # All 60 customers had baskets of 2; now all have 5 (four of 2 and four of 8 products): one bin empties, one fills.
    full, empty = 60.5 / 61, 0.5 / 61
    assert size.value == pytest.approx(2 * (full - empty) * log(full / empty))
    assert size.status == "breach"
    assert (size.details["quartiles_then"], size.details["quartiles_now"]) == ([2.0] * 3, [5.0] * 3)
    assert "user_basket_size now against the training of version 3 as of 2024-10-31" in size.message
    assert found[FEATURE_DRIFT, "user_lines_28d"].status == "breach"
    assert found[FEATURE_DRIFT, "user_basket_interval"].placement == PLACEMENT


def test_what_customers_buy_moves_to_another_department(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, monitoring=JUDGED)
    items = [Version("bread", category="Food > Bakery"), Version("soap", category="Home > Bath")]
    bought = {BEFORE: ("bread", "bread", "bread", "soap"), AFTER: ("bread", "soap", "soap", "soap")}
    events = [
        Event(f"c{customer:02d}", item, end - timedelta(days=1, minutes=customer), basket=f"{end} {customer} {number}")
        for end, baskets in bought.items()
        for number, item in enumerate(baskets)
        for customer in range(CUSTOMERS)
    ]
    write_shop(settings, users=[f"c{n:02d}" for n in range(CUSTOMERS)], items=items, events=events)
    moment = BEFORE - timedelta(days=1) + timedelta(seconds=1)
    found = figures(drift.feature_drift(settings, snapshot_of(settings), {PLACEMENT: ("3", moment)}))
    mix = found[FEATURE_DRIFT, drift.MIX]
    # Of 240 lines each, 180 and 60 were for food; half a line is added to each department.
    much, little = 180.5 / 241, 60.5 / 241
    assert mix.value == pytest.approx(2 * (much - little) * log(much / little))
    assert (mix.details["then"], mix.details["now"]) == ({"Food": 180, "Home": 60}, {"Food": 60, "Home": 180})
    assert mix.status == "breach"


def test_prices_in_another_unit_are_a_breach_of_the_products(tmp_path: Path) -> None:
    """Twenty-five products at 2.00 each until the training, at 200.00 from then on: the mean price of each moves."""
    settings = make_settings(tmp_path, monitoring=JUDGED)
    events = [
        Event("c1", f"i{item}", end - timedelta(days=1, minutes=item), quantity=2, value=value)
        for end, value in ((BEFORE, 4.0), (AFTER, 400.0))
        for item in range(25)
    ]
    write_shop(settings, users=["c1"], items=[Version(f"i{n}") for n in range(25)], events=events)
    found = figures(drift.feature_drift(settings, snapshot_of(settings), {PLACEMENT: ("3", TRAINED)}))
    price = found[FEATURE_DRIFT, "item_price"]
    full, empty = 25.5 / 26, 0.5 / 26
    assert price.value == pytest.approx(2 * (full - empty) * log(full / empty))
    assert (price.details["quartiles_then"], price.details["quartiles_now"]) == ([2.0] * 3, [101.0] * 3)
    assert price.status == "breach"
    assert found[FEATURE_DRIFT, "item_age"].status == "ok"


def test_a_steady_shop_has_not_drifted_and_what_grows_by_itself_is_not_judged(tmp_path: Path) -> None:
    settings = shop(tmp_path, {BEFORE: 2, AFTER: 2})
    found = figures(drift.feature_drift(settings, snapshot_of(settings), {PLACEMENT: ("3", TRAINED)}))
    assert {one.status for one in found.values()} == {"ok"}
    for feature in ("user_basket_size", "user_lines_28d", "user_value_per_line", drift.MIX):
        assert found[FEATURE_DRIFT, feature].value == 0
    lines = found[FEATURE_DRIFT, "user_lines"]
    assert lines.value > 0.25
    assert "grows with the history" in lines.message


def test_few_customers_are_shown_but_not_judged(tmp_path: Path) -> None:
    settings = shop(tmp_path, {BEFORE: 2, AFTER: 8}).model_copy(update={"monitoring": MonitoringSettings()})
    found = figures(drift.feature_drift(settings, snapshot_of(settings), {PLACEMENT: ("3", TRAINED)}))
    size = found[FEATURE_DRIFT, "user_basket_size"]
    assert size.value > 1
    assert (size.status, size.limit) == ("ok", None)
    assert "only 60 values, fewer than 200" in size.message


def test_a_training_that_the_snapshot_does_not_reach_gives_nothing(tmp_path: Path) -> None:
    settings = shop(tmp_path, {BEFORE: 2})
    snapshot = snapshot_of(settings)
    assert drift.feature_drift(settings, snapshot, {PLACEMENT: ("3", AFTER)}) == []
    assert drift.feature_drift(settings, snapshot, {}) == []


def test_the_sample_is_a_range_of_buckets_that_does_not_grow_with_the_shop() -> None:
    settings = make_settings(Path("unused"), monitoring=MonitoringSettings(sample=100))
    assert drift.last_bucket(settings, 50) == 4095
    assert drift.last_bucket(settings, 400) == 1023
    assert drift.last_bucket(settings, 10**9) == 0


def live_with(
    warehouse: Warehouse, settings: Settings, name: str, scale: float, *, day: int, version: str = "1"
) -> PublicationRecord:
    rows = made_lists()
    for row in rows:
        row["score"] *= scale
    made = write_publication(settings.resolved_home / "files", name, rows, version=version)
    return publish(warehouse, settings, made, now=NOW + timedelta(days=day))


def test_scores_that_move_between_publications_of_one_version(warehouse: Warehouse, settings: Settings) -> None:
    settings = settings.model_copy(update={"monitoring": JUDGED})
    write_small_shop(warehouse, users=60, items=ITEMS, days=60)
    approve(warehouse, "1")
    first = live_with(warehouse, settings, "p1", 1.0, day=0)
    same = live_with(warehouse, settings, "p2", 1.0, day=1)
    moved = live_with(warehouse, settings, "p3", 10.0, day=2)
    assert drift.score_drift(warehouse, settings, first, None) == []
    [none] = drift.score_drift(warehouse, settings, same, first)
    assert (none.name, none.value, none.status) == (SCORE_DRIFT, 0, "ok")
    [found] = drift.score_drift(warehouse, settings, moved, same)
    assert found.status == "breach"
    # 30 customers see ten rows each, with scores of 1/rank.
    assert found.details["quartiles_then"] == pytest.approx(
        np.quantile(np.repeat(1 / np.arange(1, 11), 30), [0.25, 0.5, 0.75]).tolist()
    )
    assert "recsys rollback" in found.message
    approve(warehouse, "2", now=NOW + timedelta(days=3))
    other = live_with(warehouse, settings, "p4", 50.0, day=4, version="2")
    [another] = drift.score_drift(warehouse, settings, other, moved)
    assert (another.status, another.limit) == ("ok", None)
    assert "another version made the lists before" in another.message
