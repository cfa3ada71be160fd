"""Snapshots: what is in one, what is not, and that the same content has the same name."""

import itertools
import json
import os
import signal
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from recsys.artifacts import file_hash
from recsys.settings import Settings
from recsys.snapshot import Snapshot, take_snapshot, taking
from recsys.warehouse import open_warehouse
from tests.support import children
from tests.support.planted import (
    NOW,
    Event,
    Person,
    Version,
    debris,
    parquet_rows,
    quick_settings,
    run_sql,
    write_shop,
)
from tests.support.taken import AS_OF, DAY, FIRST, ITEMS, USERS, event, event_ids, shop, taken
from tests.support.warehouse import write_small_shop


@pytest.fixture
def settings(warehouse_url: str, tmp_path: Path) -> Settings:
    return quick_settings(tmp_path, warehouse_url=warehouse_url, rating_min=1, rating_max=5)


def some_events() -> list[Event]:
    random = Random(5)
    picks = [(random.choice([*USERS, None]), random.choice(ITEMS)) for _ in range(60)]
    return [
        Event(user, item, FIRST + DAY * (n // 2), name=f"n{n:02d}", quantity=1 + n % 3)
        for n, (user, item) in enumerate(picks)
    ]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seed", [1, 2])
def test_same_content_same_id_whatever_order_and_threads(tmp_path: Path, threads: int, seed: int) -> None:
    ids = []
    for name, shuffled, count in (("a", False, 2), ("b", True, threads)):
        settings = quick_settings(tmp_path / name, threads=count)
        users, items, events = list(USERS), list(ITEMS), some_events()
        if shuffled:
            for rows in (users, items, events):
                Random(seed).shuffle(rows)
        write_shop(settings, users=users, items=items, events=events)
        ids.append(taken(settings).snapshot_id)
    assert ids[0] == ids[1]


def test_other_content_has_another_id(settings: Settings) -> None:
    write_shop(settings, users=USERS, items=ITEMS, events=some_events())
    before = taken(settings)
    run_sql(settings, "update shop.events set quantity = quantity + 1 where event_id = 'n07'")
    after = taken(settings)
    assert before.snapshot_id != after.snapshot_id
    assert before.folder.is_dir(), "the older one is immutable and stays"


def test_second_run_is_reused_and_leaves_no_debris(settings: Settings) -> None:
    write_shop(settings, users=USERS, items=ITEMS, events=some_events())
    first, second = (take_snapshot(settings, as_of="2024-04-01", now=NOW + n * DAY) for n in range(2))
    assert (first.reused, second.reused) == (False, True)
    assert first.uri == second.uri
    assert [path.name for path in (settings.resolved_home / "snapshots").iterdir()] == [first.path.name]
    assert debris(settings.resolved_home) == []


def test_the_manifest_tells_the_files(settings: Settings) -> None:
    write_shop(settings, users=USERS, items=ITEMS, events=some_events())
    snapshot = taken(settings)
    files = {str(path.relative_to(snapshot.folder)): path for path in snapshot.folder.rglob("*.parquet")}
    assert snapshot.manifest["files"] == {name: file_hash(path) for name, path in files.items()}
    assert snapshot.manifest["as_of"] == "2024-04-01T00:00:00"
    assert snapshot.first_event == FIRST
    guests = sum(one.user is None for one in some_events())
    assert guests > 0
    assert snapshot.manifest["rows"] == {
        "users": 3,
        "items": 3,
        "item_versions": 3,
        "promotions": 0,
        "item_rules": 0,
        "events": 60,
        "guest_events": guests,
    }
    assert list(snapshot.manifest["schema"]) == [
        "users",
        "items",
        "item_versions",
        "promotions",
        "item_rules",
        "events",
    ]
    assert snapshot.manifest["schema"]["item_versions"][1:3] == ["valid_from: timestamp[us]", "valid_to: timestamp[us]"]


@pytest.mark.parametrize(
    ("at", "recorded", "is_in"),
    [
        (AS_OF - timedelta(seconds=1), None, True),
        (AS_OF, None, False),
        (AS_OF + DAY, None, False),
        (AS_OF - 3 * DAY, AS_OF - timedelta(seconds=1), True),
        (AS_OF - 3 * DAY, AS_OF, False),
        (AS_OF - 3 * DAY, AS_OF + DAY, False),
        (AS_OF, AS_OF - DAY, False),
    ],
)
def test_only_what_had_occurred_and_was_recorded(
    settings: Settings, at: datetime, recorded: datetime | None, is_in: bool
) -> None:
    shop(settings, Event("bob", "milk", at, recorded=recorded, name="asked"))
    assert ("asked" in event_ids(taken(settings))) == is_in


def test_customers_and_products_of_later_are_not_in_it(settings: Settings) -> None:
    write_shop(
        settings,
        users=["ann", Person("zoe", since=AS_OF)],
        items=["bread", Version("tea", since=AS_OF), Version("jam", since=AS_OF - DAY)],
        events=[Event("ann", "bread", FIRST)],
    )
    snapshot = taken(settings)
    assert parquet_rows(f"select user_id from '{snapshot.users}'") == [("ann",)]
    assert parquet_rows(f"select item_id from '{snapshot.items}'") == [("bread",), ("jam",)]


def test_a_product_is_what_it_was_then(settings: Settings) -> None:
    changed = Version("bread", AS_OF, "Rye", "Later > Group", "Later", recommendable=False)
    before = Version("bread", AS_OF - 5 * DAY, "Toast", "Then > Group", "Then")
    items = [Version("bread", title="Oldest"), before, changed]
    write_shop(settings, users=USERS, items=items, events=[Event("ann", "bread", FIRST)])
    columns = "title, category, brand, recommendable, exists_from"
    assert parquet_rows(f"select {columns} from '{taken(settings).items}'") == [
        ("Toast", "Then > Group", "Then", True, datetime(2024, 1, 1))
    ]


def test_versions_of_products_are_kept_without_what_came_later(settings: Settings) -> None:
    first, second, third = AS_OF - 9 * DAY, AS_OF - 5 * DAY, AS_OF - 2 * DAY
    items = [
        Version("soap", second, category="Group", brand="Old", recommendable=False),
        Version("bread", second, title=" ", category="Then > Group", brand="Then"),
        Version("bread", first, "Toast", category="First > Group", brand="First", recommendable=False),
        Version("bread", AS_OF, category="Later > Group", brand="Later"),
        Version("tea", AS_OF),
    ]
    write_shop(settings, users=USERS, items=items, events=[Event("ann", "bread", FIRST)])
    run_sql(settings, f"update shop.item_versions set valid_to = timestamp '{AS_OF}' where category = 'Then > Group'")
    run_sql(settings, f"update shop.item_versions set valid_to = timestamp '{third}' where item_id = 'soap'")
    assert parquet_rows(f"from '{taken(settings).item_versions}'") == [
        (0, first, second, "Toast", "First > Group", "First", False),
        (0, second, None, "Product bread", "Then > Group", "Then", True),
        (1, second, third, "Thing soap", "Group", "Old", False),
    ]


def test_attributes_of_products_are_text(settings: Settings) -> None:
    shop(settings)
    run_sql(settings, """update shop.items set attributes = '{"size": "L"}' where item_id = 'milk'""")
    assert parquet_rows(f"select attributes from '{taken(settings).items}'") == [("",), ('{"size": "L"}',), ("",)]


@pytest.mark.parametrize(("history", "then"), [(True, False), (False, True), (None, True)])
def test_stock_tells_of_earlier_moments_only_where_a_source_keeps_history(
    settings: Settings, history: bool | None, then: bool
) -> None:
    shop(settings)
    run_sql(settings, "update shop.item_versions set available = false where item_id = 'milk'")
    if history is not None:
        columns = "source, time_zone, has_item_history, load_id, loaded_at"
        run_sql(
            settings, f"insert into shop.sources ({columns}) values ('a', 'UTC', {history}, 'x', timestamp '{NOW}')"
        )
    snapshot = taken(settings)
    assert parquet_rows(f"select recommendable from '{snapshot.items}'") == [(True,), (False,), (True,)]
    assert parquet_rows(f"select recommendable from '{snapshot.item_versions}'") == [(True,), (then,), (True,)]


def test_guests_are_kept_apart(settings: Settings) -> None:
    shop(settings, Event(None, "milk", FIRST + DAY, name="guest"), Event("bob", "milk", FIRST + DAY, name="known"))
    snapshot = taken(settings)
    assert event_ids(snapshot, "guests") == {"guest"}
    assert not any(path.endswith("guests.parquet") for path in snapshot.event_files())
    query = f"select event_id from read_parquet({snapshot.event_files()!r}) order by 1"
    assert parquet_rows(query) == [("first",), ("known",)]


def test_events_lie_in_the_files_of_their_buckets(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=40, items=40, days=60)
    snapshot = taken(settings, "latest")
    for low, high in ((0, 4096), (0, 1), (256, 257), (255, 257), (1000, 3000)):
        files = snapshot.event_files(low, high)
        query = f"""
            select count(*) from read_parquet('{snapshot.folder}/events/*.parquet') events
            join '{snapshot.users}' users using (user_idx) where bucket >= {low} and bucket < {high}
        """
        part = f"""
            select count(*) from read_parquet({files!r}) events join '{snapshot.users}' users using (user_idx)
            where bucket >= {low} and bucket < {high}
        """
        assert parquet_rows(query) == parquet_rows(part)


def quarantined(settings: Settings) -> list[tuple[str, str]]:
    with open_warehouse(settings, purpose="test") as warehouse:
        rows = warehouse.query('select rule, "row" from shop.quarantine')
    found = []
    for row in rows:
        text = row["row"]
        found.append((row["rule"], (json.loads(text) if isinstance(text, str) else text)["event_id"]))
    return sorted(found)


NEWEST = FIRST + 3 * DAY
REJECTED = {
    "occurred_at lies in the future": Event("bob", "milk", datetime(2099, 1, 1), name="bad"),
    "item_id is not in items": Event("bob", "ghost", NEWEST + DAY, name="bad"),
    "event_type is not one of the known types": Event("bob", "milk", NEWEST + DAY, kind="stare", name="bad"),
    "user_id is not in users": Event("nobody", "milk", NEWEST + DAY, name="bad"),
    "quantity is not a positive number": Event("bob", "milk", NEWEST + DAY, quantity=0, name="bad"),
    "rating is out of range": Event("bob", "milk", NEWEST + DAY, kind="rating", value=6, name="bad"),
    "value is not a number": Event("bob", "milk", NEWEST + DAY, value=float("nan"), name="bad"),
}


@pytest.mark.parametrize("rule", REJECTED)
def test_latest_is_just_after_the_newest_event_that_is_not_quarantined(settings: Settings, rule: str) -> None:
    shop(settings, Event("bob", "milk", NEWEST + timedelta(milliseconds=400), name="newest"), REJECTED[rule])
    snapshot = taken(settings, "latest")
    assert snapshot.as_of == NEWEST + timedelta(seconds=1)
    assert event_ids(snapshot) == {"first", "newest"}


@pytest.mark.parametrize("rule", REJECTED)
def test_a_bad_row_goes_to_quarantine_once_with_its_rule(settings: Settings, rule: str) -> None:
    shop(settings, Event("bob", "milk", NEWEST, name="newest"), REJECTED[rule])
    for day in range(2):
        artifact = take_snapshot(settings, as_of="2024-04-01", now=NOW + day * DAY)
        assert artifact.facts["rejected"] == Snapshot.open(artifact.uri).manifest["rejected"] == {rule: 1}
        assert quarantined(settings) == [(rule, "bad")]
    assert event_ids(Snapshot.open(artifact.uri)) == {"first", "newest"}
    with open_warehouse(settings, purpose="test") as warehouse:
        [row] = warehouse.query("select seen_at from shop.quarantine")
    assert row["seen_at"] == NOW, "when it was seen first"


def test_a_rating_without_a_value_is_not_a_rating_of_zero(settings: Settings) -> None:
    shop(
        settings,
        Event("bob", "milk", FIRST + DAY, kind="rating", value=None, name="empty"),
        Event("bob", "milk", FIRST + DAY, kind="view", value=None, name="view"),
    )
    snapshot = taken(settings)
    assert event(snapshot, "empty")["value"] is None
    assert event(snapshot, "view")["value"] == 0


def test_an_id_that_stands_twice_counts_once(settings: Settings) -> None:
    shop(settings, *(Event("bob", "milk", FIRST + DAY, name="twice") for _ in range(2)))
    snapshot = taken(settings)
    assert snapshot.manifest["rejected"] == {"event_id stands twice": 1}
    assert snapshot.manifest["rows"]["events"] == 2


def take_until(folder: Path, last: int, url: str) -> None:
    """In a child: take a snapshot, and end like a killed one at a write."""
    real, written = taking.write_parquet, itertools.count(1)

    def write(*arguments: Any, **named: Any) -> Any:
        if next(written) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)

    taking.write_parquet = write
    taking.take_snapshot(quick_settings(folder, warehouse_url=url), as_of="2024-04-01", now=NOW)


@pytest.mark.parametrize("write", [1, 9])
def test_killed_half_way_leaves_nothing_that_looks_finished(settings: Settings, tmp_path: Path, write: int) -> None:
    write_shop(settings, users=USERS, items=ITEMS, events=some_events())
    ended = children.run(tmp_path, take_until, tmp_path, write, settings.database_url)
    assert ended.code == -signal.SIGKILL, ended.printed
    kept = list((settings.resolved_home / "snapshots").iterdir())
    assert kept and all(path.name.startswith(".draft-") for path in kept)
    again = take_snapshot(settings, as_of="2024-04-01", now=NOW)
    assert not again.reused
    assert Snapshot.open(again.uri).manifest["rows"]["events"] == 60
