"""A poisoned day is stopped or contained; a clean one passes without a word."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from recsys.errors import ContractError
from recsys.settings import ContractSettings, Settings
from recsys.snapshot import Snapshot, take_snapshot
from recsys.warehouse import open_warehouse
from tests.support.planted import Event, Version, add_events, quick_settings, run_sql, write_shop

BEGIN = datetime(2024, 3, 1)
DAY = timedelta(days=1)
DAYS, A_DAY = 20, 300
TODAY = BEGIN + DAYS * DAY
NOW = TODAY + DAY + timedelta(hours=2)
USERS = [f"u{n:03d}" for n in range(120)]
ITEMS = [f"i{n:03d}" for n in range(250)]
HOURS = [8] * 2 + [9] * 5 + [10] * 9 + [11] * 7 + [12] * 4 + [17] * 6 + [18] * 8 + [19] * 3
Poison = Callable[[list[Event]], list[Event]]


def day_of(day: int) -> list[Event]:
    """Return a day of a shop that opens from 8 to 20 o'clock."""
    random = Random(day)
    return [
        Event(
            random.choice(USERS),
            random.choice(ITEMS),
            BEGIN + day * DAY + timedelta(hours=random.choice(HOURS), seconds=random.randrange(3600)),
            value=random.choice([1.5, 2.0, 4.0, 6.0]),
            quantity=random.choice([1.0, 1.0, 2.0]),
            name=f"d{day:02d}-{n:03d}",
        )
        for n in range(A_DAY)
    ]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with a good snapshot. Tests work on copies."""
    settings = quick_settings(tmp_path_factory.mktemp("before"))
    events = [event for day in range(DAYS) for event in day_of(day)]
    write_shop(settings, users=USERS, items=[Version(item) for item in ITEMS], events=events)
    assert take_snapshot(settings, as_of=TODAY.isoformat(), now=NOW).facts["broken"] == []
    return settings


@pytest.fixture
def home(before: Settings, tmp_path: Path) -> Settings:
    shutil.copytree(before.resolved_home, tmp_path / "home")
    return quick_settings(tmp_path)


def tomorrow(settings: Settings, events: list[Event]) -> Snapshot:
    """Take the snapshot of the day after the good one."""
    with open_warehouse(settings, purpose="test") as warehouse:
        add_events(warehouse, events)
    return Snapshot.open(take_snapshot(settings, as_of=(TODAY + DAY).isoformat(), now=NOW).uri)


def broken(settings: Settings, name: str) -> dict[str, str]:
    """Return the rules that a kept report tells, each with what it says of them."""
    report = json.loads((settings.resolved_home / "contracts" / f"{name}.json").read_text())
    return {failure["id"]: failure["severity"] for failure in report["failures"]}


def test_a_clean_day_passes_without_a_word(home: Settings) -> None:
    snapshot = tomorrow(home, day_of(DAYS))
    assert snapshot.manifest["rejected"] == {}
    assert snapshot.manifest["rows"]["events"] == (DAYS + 1) * A_DAY
    assert broken(home, snapshot.snapshot_id) == {}


STOPPED: dict[str, tuple[Poison, str]] = {
    "no values": (lambda day: [replace(event, value=None) for event in day], "events_missing"),
    "no customers": (lambda day: [replace(event, user=None) for event in day], "events_missing"),
    "no products": (lambda day: [replace(event, item=None) for event in day], "events_rejected"),
    "no quantities": (lambda day: [replace(event, quantity=None) for event in day], "events_rejected"),
    "values in cents": (lambda day: [replace(event, value=100 * (event.value or 0)) for event in day], "events_unit"),
    "values in hundreds": (
        lambda day: [replace(event, value=(event.value or 0) / 100) for event in day],
        "events_unit",
    ),
    "pieces": (lambda day: [replace(event, quantity=100 * (event.quantity or 0)) for event in day], "events_unit"),
    "five hours later": (
        lambda day: [replace(event, at=event.at + timedelta(hours=4)) for event in day],
        "events_hours",
    ),
    "seven hours earlier": (
        lambda day: [replace(event, at=event.at - timedelta(hours=7)) for event in day],
        "events_hours",
    ),
}


@pytest.mark.parametrize("poison", STOPPED)
def test_a_poisoned_day_is_stopped_and_changes_nothing(home: Settings, poison: str) -> None:
    spoil, rule = STOPPED[poison]
    kept = sorted(path.name for path in (home.resolved_home / "snapshots").iterdir())
    with pytest.raises(ContractError, match=rf"stop +{rule}: shop\.events"):
        tomorrow(home, spoil(day_of(DAYS)))
    assert sorted(path.name for path in (home.resolved_home / "snapshots").iterdir()) == kept
    assert broken(home, "stopped")[rule] == "stop"
    with open_warehouse(home, purpose="test") as warehouse:
        assert warehouse.query("select * from shop.quarantine") == []


def test_a_shift_is_told_by_its_hours(home: Settings) -> None:
    with pytest.raises(ContractError, match=r"new events look shifted by \+3 hours \(correlation \.?0?\.?\d+"):
        tomorrow(home, [replace(event, at=event.at + timedelta(hours=3)) for event in day_of(DAYS)])


def test_prices_of_products_in_cents_are_stopped(home: Settings) -> None:
    run_sql(home, "update shop.item_versions set price = 100 * price")
    with pytest.raises(
        ContractError, match=r"items_price_unit: shop\.items\.price.*200 as a median, 2 before: 100 times"
    ):
        tomorrow(home, day_of(DAYS))


@pytest.mark.parametrize(("what", "rule"), [("events", "events_volume"), ("items", "items_volume")])
def test_rows_that_are_gone_are_stopped(home: Settings, what: str, rule: str) -> None:
    """Half of the events, or of the products: the load brought one of two shops."""
    key = {"events": "event_id", "items": "item_id"}[what]
    run_sql(home, f"delete from shop.{what} where right({key}, 1) in ('1', '3', '5', '7', '9')")
    with pytest.raises(ContractError, match=f"{rule}: shop.{what}: .* are gone: .* rows are left; at least 80%"):
        tomorrow(home, day_of(DAYS))


def test_a_shop_may_let_it_pass(home: Settings) -> None:
    lenient = ContractSettings(severities={"events_unit": "warn"})
    settings = home.model_copy(update={"contracts": lenient})
    snapshot = tomorrow(settings, [replace(event, value=100.0 * (event.value or 0)) for event in day_of(DAYS)])
    assert broken(settings, snapshot.snapshot_id) == {"events_unit": "warn"}


def test_one_report_tells_all_failures(home: Settings) -> None:
    """Of rows and of the whole, of several tables, with counts and examples; and no customer's id."""
    run_sql(home, "insert into shop.users values ('u000', 3, timestamp '2024-01-01', true, null)")
    spoilt = [replace(event, value=None) for event in day_of(DAYS)]
    spoilt[:3] = [replace(event, quantity=-1.0) for event in spoilt[:3]]
    spoilt[3:5] = [replace(event, user="ghost") for event in spoilt[3:5]]
    with pytest.raises(ContractError) as caught:
        tomorrow(home, spoilt)
    told = str(caught.value)
    assert "Broken rules: 1 stop, 3 quarantine." in told
    assert "users_key: shop.users.user_id: user_id stands twice (1 rows)" in told
    assert "events_quantity: shop.events.quantity: quantity is not a positive number (3 rows). For example " in told
    assert "event_id d20-000, quantity -1.0; event_id d20-001, quantity -1.0" in told
    assert "events_user: shop.events.user_id: user_id is not in users (2 rows). For example event_id d20-003" in told
    assert "value of purchase is missing in 100%, 0% before" in told
    assert "ghost" not in told


@pytest.mark.parametrize("same_id", [True, False])
def test_a_doubled_day_counts_once(home: Settings, same_id: bool) -> None:
    day = day_of(DAYS)
    again = day if same_id else [replace(event, name=f"{event.name}-again") for event in day]
    snapshot = tomorrow(home, [*day, *again])
    says = "event_id stands twice" if same_id else "the day's rows stand twice under other ids"
    assert snapshot.manifest["rejected"] == {says: A_DAY}
    assert snapshot.manifest["rows"]["events"] == (DAYS + 1) * A_DAY


def test_a_bot_of_a_hundred_thousand_events_is_contained(home: Settings) -> None:
    """What it did is left out, everybody else stays, and the snapshot is the one without it."""
    clean = tomorrow(home, day_of(DAYS))
    run_sql(
        home,
        "insert into shop.users values ('bot', 5, timestamp '2024-03-21', true, null)",
        "insert into shop.events (event_id, user_id, bucket, item_id, event_type, occurred_at, quantity, value) "
        "select 'bot' || range, 'bot', 5, 'i' || lpad((range % 250)::text, 3, '0'), 'view', "
        "timestamp '2024-03-21 09:00:00' + to_milliseconds(range * 100), 1, 2 from range(100_000)",
    )
    snapshot = tomorrow(home, [])
    assert snapshot.manifest["rejected"] == {"customer has more events than a person can make": 100_000}
    assert snapshot.manifest["rows"]["events"] == clean.manifest["rows"]["events"]
    assert snapshot.manifest["files"]["events/00.parquet"] is not None
    with open_warehouse(home, purpose="test") as warehouse:
        [row] = warehouse.query("select count(*) as n from shop.quarantine")
    assert row["n"] == 100_000


def test_accounts_that_push_a_product_are_contained_and_a_launch_is_not(home: Settings) -> None:
    """Three new accounts buy one product daily; forty old customers take up another, two of them often."""
    run_sql(home, *(f"insert into shop.users values ('f{n}', 7, timestamp '2024-03-10', true, null)" for n in range(3)))
    at = BEGIN + 10 * DAY + timedelta(hours=11)
    pushed = [Event(f"f{n}", "i007", at + k * DAY, name=f"push{n}-{k}") for n in range(3) for k in range(9)]
    cover = [Event(f"f{n}", f"i0{k + 10}", at + k * DAY, name=f"cover{n}-{k}") for n in range(3) for k in range(9)]
    launch = [Event(user, "i008", at + timedelta(hours=n), name=f"new{n}") for n, user in enumerate(USERS[:40])]
    fond = [Event(user, "i008", at + k * DAY, name=f"fond{user}-{k}") for user in USERS[:2] for k in range(8)]
    snapshot = tomorrow(home, [*day_of(DAYS), *pushed, *cover, *launch, *fond])
    assert snapshot.manifest["rejected"] == {"a few customers together push one product": 27}
    assert snapshot.manifest["rows"]["events"] == (DAYS + 1) * A_DAY + len(cover) + len(launch) + len(fond)


def test_accounts_that_buy_the_favourites_all_day_are_contained(home: Settings) -> None:
    """Twelve days of 220 favourites, and twice a product that so would seem to go with all of them."""
    run_sql(home, *(f"insert into shop.users values ('f{n}', 7, timestamp '2024-03-10', true, null)" for n in range(3)))
    at = BEGIN + 6 * DAY + timedelta(hours=11)
    favourites = [
        Event(f"f{n}", f"i{j:03d}", at + k * DAY, name=f"fav{n}-{k}-{j}")
        for n in range(3)
        for k in range(12)
        for j in range(220)
    ]
    pushed = [Event(f"f{n}", "i247", at + 4 * k * DAY, name=f"push{n}-{k}") for n in range(3) for k in range(2)]
    fond = [Event("u001", f"i{j:03d}", at + timedelta(minutes=j), name=f"fond{j}") for j in range(250)]
    snapshot = tomorrow(home, [*day_of(DAYS), *favourites, *pushed, *fond])
    assert snapshot.manifest["rejected"] == {"customer has far more events in a month than all others": 7926}
    assert snapshot.manifest["rows"]["events"] == (DAYS + 1) * A_DAY + len(fond)


def test_latest_is_just_after_the_newest_event_that_is_not_rejected(home: Settings) -> None:
    """Accounts go on pushing when the shop has closed, and repeat one product at the end of the day."""
    closed = take_snapshot(home, as_of="latest", now=NOW).facts["as_of"]
    run_sql(home, *(f"insert into shop.users values ('f{n}', 7, timestamp '2024-03-10', true, null)" for n in range(3)))
    late = TODAY - timedelta(hours=1)
    pushed = [Event(f"f{n}", "i007", late - k * DAY, name=f"push{n}-{k}") for n in range(3) for k in range(9)]
    repeated = [Event("u001", "i009", late + timedelta(seconds=k), name=f"often-{k}") for k in range(60)]
    with open_warehouse(home, purpose="test") as warehouse:
        add_events(warehouse, [*pushed, *repeated])
    taken = take_snapshot(home, as_of="latest", now=NOW)
    assert taken.facts["as_of"] == closed
    assert taken.facts["rejected"] == {"a few customers together push one product": 24}


def test_far_more_events_than_usual_are_told_and_pass(home: Settings) -> None:
    busy = [event for day in range(40, 45) for event in day_of(day)]
    moved = [replace(event, at=TODAY + timedelta(hours=event.at.hour, minutes=event.at.minute)) for event in busy]
    snapshot = tomorrow(home, moved)
    assert broken(home, snapshot.snapshot_id) == {"events_day_volume": "warn"}


def test_events_that_stop_coming_are_told_until_they_come_again(home: Settings) -> None:
    """However often somebody looks meanwhile."""
    for day, told in (
        (0, []),
        (4, []),
        (7, []),
        (8, [["warn", "events_age", None]]),
        (9, [["warn", "events_age", None]]),
    ):
        assert take_snapshot(home, as_of="latest", now=NOW + day * DAY).facts["broken"] == told
