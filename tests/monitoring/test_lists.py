"""What customers get, with planted gaps: old lists, customers without one, and nothing at all."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from recsys import ledger
from recsys.monitoring import lists
from recsys.publication import live_publication
from recsys.settings import MonitoringSettings, Settings
from recsys.warehouse import Warehouse
from tests.support.monitored import figures, put_live, users
from tests.support.publications import AS_OF, ITEMS, NOW, approve
from tests.support.warehouse import item_id, write_small_shop

HOUR = timedelta(hours=1)
SHOWN = [item_id(number) for number in range(20)]


@pytest.fixture
def shop(warehouse: Warehouse, settings: Settings) -> Iterator[Warehouse]:
    """Ten customers with a history, one of them without consent; six with lists. Three bought lately."""
    write_small_shop(warehouse, users=10, items=ITEMS, days=60)
    with warehouse.transaction() as connection:
        connection.exec_driver_sql("delete from shop.events")
        for number in range(10):
            day = "2024-12-20" if number in (0, 5, 6, 9) else "2024-11-10"
            connection.exec_driver_sql(
                "insert into shop.events (event_id, user_id, bucket, item_id, event_type, occurred_at) "
                f"values ('e{number}', '{users(number)[0]}', 0, 'i001', 'purchase', timestamp '{day}')"
            )
        connection.exec_driver_sql(f"update shop.users set is_personalised = false where user_id = '{users(9)[0]}'")
    approve(warehouse, "1")
    put_live(warehouse, settings, "p1", {user: SHOWN for user in users(0, 1, 2, 3, 4, 5)})
    yield warehouse


def test_coverage_and_fallback_are_the_planted_shares(shop: Warehouse, settings: Settings) -> None:
    found = figures(lists.reach(shop, settings, "for_you", AS_OF))
    coverage, fallback = found[lists.COVERAGE, None], found[lists.FALLBACK, None]
    assert coverage.value == pytest.approx(6 / 9)  # who withdrew consent is not counted
    assert coverage.status == "breach"
    assert fallback.value == pytest.approx(1 / 3)  # customers 0, 5 and 6 bought lately; 6 has no list
    assert fallback.status == "breach"
    assert (fallback.details["active"], fallback.details["active_served"]) == (3, 2)
    assert "1 of 3 customers active in the last 28 days" in fallback.message
    lenient = settings.model_copy(update={"monitoring": MonitoringSettings(min_coverage=0.6, max_fallback=0.7)})
    assert {one.status for one in lists.reach(shop, lenient, "for_you", AS_OF)} == {"ok"}


def test_only_the_pointer_says_what_is_live(shop: Warehouse, settings: Settings) -> None:
    with shop.transaction() as connection:
        connection.exec_driver_sql("update recsys.pointers set publication_id = null")
    found = figures(lists.reach(shop, settings, "for_you", AS_OF))
    assert found[lists.COVERAGE, None].value == 0


def test_nobody_to_serve_is_no_breach(shop: Warehouse, settings: Settings) -> None:
    assert [one.value for one in lists.reach(shop, settings, "for_you", AS_OF - timedelta(days=900))] == [None, None]


@pytest.mark.parametrize(
    ("newest", "hours", "behind", "status"),
    [(0, 1000, 0, "ok"), (60, 100, 60, "breach"), (1000, 20, 20, "ok"), (40, 100, 40, "ok")],
)
def test_lists_are_late_when_newer_events_wait_and_they_are_old(
    shop: Warehouse, settings: Settings, newest: float, hours: float, behind: float, status: str
) -> None:
    live = live_publication(shop, "for_you")
    assert live is not None
    found = figures(lists.ages(settings, live, AS_OF + newest * HOUR, NOW + hours * HOUR))
    assert found[lists.AGE, None].value == pytest.approx(hours)
    assert found[lists.AGE, None].status == "ok"
    unpublished = found[lists.UNPUBLISHED, None]
    assert (unpublished.value, unpublished.status) == (pytest.approx(behind), status)
    assert ("recsys publications" in unpublished.message) == (status == "breach")


def test_nothing_live_is_a_breach_once_something_was_approved_long_ago(shop: Warehouse, settings: Settings) -> None:
    [fresh] = lists.nothing_live(settings, "discover", None, NOW)
    assert (fresh.status, fresh.value) == ("warn", None)
    champion = ledger.champion(shop, "for_you")
    [soon] = lists.nothing_live(settings, "for_you", champion, NOW + 47 * HOUR)
    [late] = lists.nothing_live(settings, "for_you", champion, NOW + 49 * HOUR)
    assert (soon.status, late.status) == ("warn", "breach")
    assert "version 1 was approved 49.0 hours ago" in late.message
