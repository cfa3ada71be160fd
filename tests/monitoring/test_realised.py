"""What published lists came to, by hand; each publication is measured once, also after its lists are gone."""

from datetime import timedelta
from math import log2
from pathlib import Path

import pytest

from recsys.monitoring import realised as room
from recsys.monitoring.records import REALISED_NDCG, Measurement
from recsys.publication import find_publication, list_publications
from recsys.settings import GateSettings, PublicationSettings, RankerSettings, Settings
from recsys.warehouse import open_warehouse
from tests.support.monitored import put_live, snapshot_of, stamped
from tests.support.planted import Event, Person, add_events, write_shop
from tests.support.publications import AS_OF, NOW, approve
from tests.support.warehouse import item_id

DAY = timedelta(days=1)
ON_DUCKDB = pytest.mark.parametrize("settings", ["duckdb"], indirect=True)  # no SQL of its own for the other engine
ITEMS = [item_id(number) for number in range(20)]
CHANGES = {
    "ranker": RankerSettings(horizon_days=7),
    "publication": PublicationSettings(min_item_purchases=1),
    "gate": GateSettings(bootstrap=100),
}


def lists(first: str) -> list[str]:
    """Return a list of all products that begins with one."""
    return [first, *(item for item in ITEMS if item != first)]


@pytest.fixture
def shop(settings: Settings) -> Settings:
    """Three customers who bought everything before; ada and bob get lists that begin with their own product."""
    settings = settings.model_copy(update=CHANGES)
    people = ["ada", "bob", "cleo"]
    before = [Event(user, item, AS_OF - 5 * DAY) for user in people for item in ITEMS]
    write_shop(settings, users=[Person(user) for user in people], items=ITEMS, events=before)
    with open_warehouse(settings, purpose="test") as warehouse:
        approve(warehouse, "1")
        put_live(warehouse, settings, "p1", {"ada": lists(ITEMS[3]), "bob": lists(ITEMS[4])})
        room.keep_samples(warehouse, settings, list_publications(warehouse), [])
    return settings


def bought_later(settings: Settings, *more: Event) -> None:
    """Ada buys the first and the third of her list, bob what stands at rank 12; a guest's event ends the window."""
    events = [
        Event("ada", ITEMS[3], AS_OF + 1 * DAY),
        Event("ada", ITEMS[1], AS_OF + 2 * DAY),
        Event("bob", lists(ITEMS[4])[11], AS_OF + 3 * DAY),
        Event(None, ITEMS[0], AS_OF + 8 * DAY),
    ]
    with open_warehouse(settings, purpose="test") as warehouse:
        add_events(warehouse, [*events, *more], first=1000)


EXPECTED = (1 + 1 / log2(4)) / (1 + 1 / log2(3)) / 2  # ada's NDCG@10; bob's is 0


def test_ndcg_is_the_hand_worked_one_beside_what_was_expected(shop: Settings) -> None:
    bought_later(shop)
    later = snapshot_of(shop, now=NOW + 30 * DAY)
    with open_warehouse(shop, purpose="test") as warehouse:
        record_ = find_publication(warehouse, "p1")
    assert record_ is not None
    found = room.realised(shop, later, record_, {"ndcg": 0.4, "low": 0.3, "high": 0.5})
    assert found.value == pytest.approx(EXPECTED)
    assert (found.placement, found.part) == ("for_you", "p1")
    assert found.details["customers"] == 2
    assert found.details["window_to"] == (AS_OF + 7 * DAY).isoformat()
    assert found.limit == pytest.approx(0.4 * 0.7)
    assert found.status == "ok"
    low, high = found.details["interval"]
    assert low <= EXPECTED <= high
    assert f"NDCG@10 {EXPECTED:.4f}" in found.message
    assert "expected 0.4000 (0.3000 to 0.5000) from the hold-out" in found.message


@ON_DUCKDB
def test_lists_that_surely_miss_what_was_expected_are_a_breach(shop: Settings) -> None:
    bought_later(shop)
    later = snapshot_of(shop, now=NOW + 30 * DAY)
    with open_warehouse(shop, purpose="test") as warehouse:
        publication = find_publication(warehouse, "p1")
    assert publication is not None
    # The interval reaches from bob's 0 to ada's .92: only what lies above that by the drop is surely missed.
    assert room.realised(shop, later, publication, {"ndcg": 2.0, "low": 1.9, "high": 2.1}).status == "breach"
    assert room.realised(shop, later, publication, {"ndcg": 1.0, "low": 0.95, "high": 1.05}).status == "warn"
    alone = room.realised(shop, later, publication, None)
    assert (alone.status, alone.limit) == ("ok", None)
    assert "can't be read from MLflow" in alone.message


@ON_DUCKDB
def test_a_publication_is_due_when_its_window_has_passed_and_only_once(shop: Settings) -> None:
    with open_warehouse(shop, purpose="test") as warehouse:
        records = list_publications(warehouse)
    early, late = AS_OF + 6 * DAY, AS_OF + 7 * DAY
    assert room.due(shop, records, early, []) == []
    assert [one.publication_id for one in room.due(shop, records, late, [])] == ["p1"]
    done = [stamped(Measurement(name=REALISED_NDCG, placement="for_you", part="p1", value=0.4, message=""))]
    assert room.due(shop, records, late, done) == []
    assert room.forget(shop, done) == ["p1"]
    assert room.forget(shop, done) == []
    with open_warehouse(shop, purpose="test") as warehouse:
        room.keep_samples(warehouse, shop, records, done)
    assert samples(shop) == []


def test_lists_are_measured_after_they_were_pruned(shop: Settings) -> None:
    with open_warehouse(shop, purpose="test") as warehouse:
        for number in range(2, 7):
            shown = {"ada": lists(ITEMS[number]), "bob": lists(ITEMS[number])}
            put_live(warehouse, shop, f"p{number}", shown, now=NOW + number * DAY, as_of=AS_OF + number * DAY)
        records = list_publications(warehouse)
        assert {one.publication_id: one.status for one in records}["p1"] == "archived"
        room.keep_samples(warehouse, shop, records, [])
    assert samples(shop) == ["p1@4095", *(f"p{number}@4095" for number in range(2, 7))][:1] + samples(shop)[1:]
    bought_later(shop)
    later = snapshot_of(shop, now=NOW + 30 * DAY)
    [due] = room.due(shop, records, AS_OF + 7 * DAY, [])
    assert room.realised(shop, later, due, None).value == pytest.approx(EXPECTED)


@ON_DUCKDB
def test_only_the_sampled_customers_count(shop: Settings) -> None:
    bought_later(shop)
    with open_warehouse(shop, purpose="test") as warehouse:
        publication = find_publication(warehouse, "p1")
    assert publication is not None
    [path] = (shop.resolved_home / "monitoring" / "lists").glob("*.parquet")
    from recsys.buckets import bucket_of

    buckets = {user: bucket_of("recsys", user) for user in ("ada", "bob")}
    first = min(buckets, key=lambda user: buckets[user])
    path.rename(path.with_name(f"p1@{buckets[first]}.parquet"))
    found = room.realised(shop, snapshot_of(shop, now=NOW + 30 * DAY), publication, None)
    assert found.details["customers"] == 1
    assert found.value == pytest.approx(EXPECTED * 2 if first == "ada" else 0)


@ON_DUCKDB
def test_what_nobody_bought_says_nothing(shop: Settings) -> None:
    with open_warehouse(shop, purpose="test") as warehouse:
        add_events(warehouse, [Event(None, ITEMS[0], AS_OF + 8 * DAY)], first=1000)
        publication = find_publication(warehouse, "p1")
    assert publication is not None
    found = room.realised(shop, snapshot_of(shop, now=NOW + 30 * DAY), publication, None)
    assert (found.value, found.status) == (None, "ok")
    assert "nothing can be said" in found.message


def samples(settings: Settings) -> list[str]:
    folder: Path = settings.resolved_home / "monitoring" / "lists"
    return sorted(path.stem for path in folder.glob("*"))
