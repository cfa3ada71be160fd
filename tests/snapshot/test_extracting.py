"""Incremental extraction: what was changed in whatever way, the rows are those of a full one, and far fewer are read."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st

from recsys.artifacts import ArtifactStore
from recsys.do_not_process import list_mark
from recsys.privacy import Subject, remove_extracts
from recsys.pseudonyms import Pseudonyms
from recsys.settings import PrivacySettings, Settings, SnapshotSettings
from recsys.snapshot import EXTRACTED_EVENTS, EXTRACTS, take_snapshot
from recsys.snapshot.extracting import MOST_DAYS, OWN_COLUMNS, Extraction, extract
from recsys.warehouse import Warehouse, migrate, open_warehouse
from tests.support.planted import NOW, Event, Person, add_events, quick_settings, run_sql, write_shop
from tests.support.warehouse import user_id, write_small_shop

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
FIRST = datetime(2024, 3, 1, 9)
END = datetime(2025, 1, 1)
USERS = ("ann", "bob", "cem")
ITEMS = ("bread", "milk", "soap")
LATEST_ALLOWED = NOW + DAY
KEY = "a key that is long enough"


def incremental(home: Path, url: str, late_days: int = 1, **overrides: Any) -> Settings:
    return quick_settings(home, warehouse_url=url, snapshot=SnapshotSettings(late_days=late_days), **overrides)


def full(settings: Settings) -> Settings:
    """The same warehouse, read whole, from a home of its own."""
    home = settings.home.with_name(f"{settings.home.name} full")
    return settings.model_copy(update={"home": home, "snapshot": SnapshotSettings(incremental=False)})


def extracted(settings: Settings, moment: datetime) -> tuple[Extraction, list[str]]:
    """Extract as of a moment; return what was done, and the rows of events in a fixed order."""
    raw = settings.resolved_home / "raw"
    shutil.rmtree(raw, ignore_errors=True)
    raw.mkdir(parents=True)
    with open_warehouse(settings, purpose="test") as warehouse:
        done = extract(settings, warehouse, raw, moment=moment, latest_allowed=LATEST_ALLOWED)
    table = pq.read_table(raw / "events.parquet")
    rows = table.drop_columns([name for name in OWN_COLUMNS if name in table.column_names]).to_pylist()
    return done, sorted(map(repr, rows))


@dataclass(frozen=True)
class Change:
    """One thing that happens to a shop's tables between two snapshots."""

    statement: str

    def __call__(self, warehouse: Warehouse) -> None:
        with warehouse.transaction() as connection:
            connection.exec_driver_sql(self.statement)


@dataclass(frozen=True)
class Added:
    """An event that is added, maybe late."""

    event: Event

    def __call__(self, warehouse: Warehouse) -> None:
        add_events(warehouse, [self.event])


numbers = st.integers(0, 30)
days = st.floats(0, 30, width=16).map(lambda day: day * DAY)
users = st.sampled_from([*USERS, None, "dan"])
kinds = st.sampled_from(["purchase", "return", "view"])


@st.composite
def events(draw: st.DrawFn) -> Event:
    at = FIRST + draw(days)
    recorded = draw(st.one_of(st.none(), days.map(lambda late: at + late - 2 * DAY)))
    name = f"e{draw(numbers):05d}"  # the same id may come again
    return Event(draw(users), draw(st.sampled_from(ITEMS)), at, draw(kinds), recorded, name=name)


def change_of(name: int, other: int) -> list[str]:
    one = f"event_id = 'e{name:05d}'"
    return [
        f"delete from shop.events where {one}",
        f"update shop.events set quantity = {other} where {one}",
        f"update shop.events set quantity = null, market = basket_id, basket_id = market where {one}",
        f"update shop.events set occurred_at = occurred_at - interval '{other}' day where {one}",
        f"update shop.events set recorded_at = occurred_at + interval '{other}' day where {one}",
        f"update shop.events set recorded_at = null where {one}",
        f"update shop.events set event_type = 'return' where {one}",
        f"update shop.events set user_id = null, bucket = -1 where {one}",
        f"update shop.events set occurred_at = timestamp '2030-01-01' where {one}",
        f"update shop.users set is_personalised = false where user_id = '{USERS[other % 3]}'",
        f"delete from shop.users where user_id = '{USERS[other % 3]}'",
        f"update shop.users set user_id = 'dan' where user_id = '{USERS[other % 3]}'",
        f"update shop.items set title = 'New' where item_id = '{ITEMS[other % 3]}'",
    ]


changes = st.one_of(
    events().map(Added),
    st.tuples(numbers, st.integers(1, 9)).flatmap(lambda pair: st.sampled_from(change_of(*pair))).map(Change),
)
rounds = st.lists(st.tuples(st.lists(changes, max_size=4), days.map(lambda day: FIRST + day)), min_size=1, max_size=3)


def some_events(count: int = 25) -> list[Event]:
    return [Event(USERS[n % 3] if n % 5 else None, ITEMS[n % 2], FIRST + n * DAY) for n in range(count)]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of one embedded warehouse for all examples."""
    folder = tmp_path_factory.mktemp("warehouse")
    settings = quick_settings(folder)
    with open_warehouse(settings, purpose="test") as warehouse:
        migrate(warehouse)
    return settings.database_url


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new folder each time."""
    return iter(lambda: tmp_path_factory.mktemp("home"), None)


@tries(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(events(), min_size=3, max_size=20), rounds, st.integers(0, 3), st.booleans())
def test_whatever_changes_the_rows_are_those_of_a_full_extraction(
    embedded: str, homes: Iterator[Path], first: list[Event], told: Any, late_days: int, pseudonymise: bool
) -> None:
    settings = incremental(
        next(homes), embedded, late_days, privacy=PrivacySettings(key=KEY, pseudonymise=pseudonymise)
    )
    write_shop(settings, users=USERS, items=ITEMS, events=first)
    done, rows = extracted(settings, FIRST + 15 * DAY)
    assert (done.mode, rows) == ("full", extracted(full(settings), FIRST + 15 * DAY)[1])
    for happened, moment in told:
        with open_warehouse(settings, purpose="test") as warehouse:
            for one in happened:
                one(warehouse)
        done, rows = extracted(settings, moment)
        assert done.mode == "incremental"
        expected, whole = extracted(full(settings), moment)
        assert rows == whole
        if pseudonymise:
            # whoever is named in a row must be told in the quarantine, if a contract rejects the row
            assert {id for id in expected.names.values()} <= {*done.names.values()} | set()
