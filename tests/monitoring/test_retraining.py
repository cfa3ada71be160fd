"""Whether a scheduled training is worth it: each reason by itself, and none where the shop stands still."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from recsys import pipeline
from recsys.errors import RegistryError
from recsys.monitoring import Measurement, record
from recsys.monitoring.records import FEATURE_DRIFT, REALISED_NDCG
from recsys.settings import RetrainingSettings, Settings
from recsys.warehouse import open_warehouse
from tests.support.monitored import trained
from tests.support.planted import Event, add_events, write_shop
from tests.support.publications import NOW, approve

AS_OF = datetime(2024, 12, 1)
ON_DUCKDB = pytest.mark.parametrize("settings", ["duckdb"], indirect=True)  # no SQL of its own for the other engine
LIMITS = RetrainingSettings(min_new_events=10, min_new_share=0.05, max_age_days=30)


@pytest.fixture
def shop(settings: Settings) -> Settings:
    """A hundred events before the champion's training on the one placement there is."""
    one = {"for_you": settings.placements["for_you"]}
    settings = settings.model_copy(update={"placements": one, "retraining": LIMITS})
    events = [Event("ada", "bread", AS_OF - timedelta(hours=number + 1)) for number in range(100)]
    write_shop(settings, users=["ada"], items=["bread"], events=events)
    with open_warehouse(settings, purpose="test") as warehouse:
        approve(warehouse, "1")
        trained(warehouse, AS_OF)
    return settings


def add(settings: Settings, count: int, *, after: float = 1, recorded: datetime | None = None) -> None:
    events = [
        Event("ada", "bread", AS_OF + timedelta(days=after, minutes=number), recorded=recorded)
        for number in range(count)
    ]
    with open_warehouse(settings, purpose="test") as warehouse:
        add_events(warehouse, events, first=1000 + int(after * 100))


def asked(settings: Settings, now: datetime = NOW) -> tuple[bool, str]:
    found = pipeline.retraining_needed(settings, now=now)
    return found["needed"], " ".join(found["reasons"])


@ON_DUCKDB
def test_a_shop_that_stands_still_needs_none_however_late_it_is(shop: Settings) -> None:
    needed, why = asked(shop, NOW + timedelta(days=4000))
    assert not needed
    assert (
        "for_you: version 1 was trained as of 2024-12-01 00:00; 0 new events (0.0%; 10 and 5.0% are asked for)" in why
    )


def test_enough_new_events_by_number_and_by_share(shop: Settings) -> None:
    add(shop, 9)
    assert not asked(shop)[0]
    add(shop, 1, after=2)
    needed, why = asked(shop)
    assert needed
    assert why.startswith("for_you: 10 new events (9.1%;")
    greedy = shop.model_copy(update={"retraining": RetrainingSettings(min_new_events=10, min_new_share=0.1)})
    assert not asked(greedy)[0]


def test_an_event_that_was_recorded_late_is_new_and_one_in_the_future_is_not(shop: Settings) -> None:
    add(shop, 10, after=-3, recorded=AS_OF + timedelta(days=1))
    assert asked(shop)[0]
    add(shop, 50, after=400)
    assert "10 new events" in asked(shop)[1]


@ON_DUCKDB
def test_a_champion_that_lies_too_far_behind_the_newest_event(shop: Settings) -> None:
    add(shop, 1, after=30)
    assert not asked(shop)[0]
    add(shop, 1, after=31)
    needed, why = asked(shop)
    assert needed
    assert "31 days before the newest event; 30 are allowed" in why


@ON_DUCKDB
def test_no_champion(shop: Settings) -> None:
    both = {"for_you": shop.placements["for_you"], "other": shop.placements["for_you"]}
    needed, why = asked(shop.model_copy(update={"placements": both}))
    assert (needed, why) == (True, "other: there is no champion yet.")


@pytest.mark.parametrize("name", [FEATURE_DRIFT, REALISED_NDCG])
def test_a_breach_of_the_newest_monitoring_with_this_version(shop: Settings, name: str) -> None:
    def look(day: int, version: str, status: str) -> None:
        found = Measurement(
            name=name,
            placement="for_you",
            part="user_lines_28d",
            value=0.5,
            status=status,  # type: ignore[arg-type]
            message="It moved.",
            details={"model_version": version},
        )
        with open_warehouse(shop, purpose="test") as warehouse:
            record(warehouse, [found], run_id=f"r{day}", measured_at=NOW + timedelta(days=day))

    look(1, "1", "warn")
    assert not asked(shop)[0]
    look(2, "1", "breach")
    assert asked(shop) == (True, "for_you: monitoring found on 2025-01-04: It moved.")
    blind = shop.model_copy(update={"retraining": LIMITS.model_copy(update={"on_drift": False})})
    assert not asked(blind)[0]
    look(3, "0", "breach")  # about a version that serves no more
    assert not asked(shop)[0]


@ON_DUCKDB
def test_mlflow_is_asked_when_nothing_was_noted_and_its_absence_is_told(shop: Settings) -> None:
    with open_warehouse(shop, purpose="test") as warehouse:
        approve(warehouse, "2", now=NOW + timedelta(days=1))
    away = shop.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})
    with pytest.raises(RegistryError, match="can't be"):
        pipeline.retraining_needed(away, now=NOW)
    with open_warehouse(shop, purpose="test") as warehouse:
        trained(warehouse, AS_OF, version="2", now=NOW + timedelta(days=2))
    assert not asked(away)[0]


def test_the_settings_of_monitoring_are_no_part_of_a_recipe(tmp_path: Path) -> None:
    from recsys.registry import flatten
    from tests.support.warehouse import make_settings

    plain = make_settings(tmp_path)
    other = make_settings(tmp_path, retraining={"max_age_days": 3}, monitoring={"psi_breach": 0.9})
    assert flatten.recipe_hash(plain) == flatten.recipe_hash(other)
