"""Incremental extraction: whatever was changed, the rows are those of a full one, and far fewer are read."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st

from recsys.do_not_process import list_mark
from recsys.privacy import Subject, remove_extracts
from recsys.pseudonyms import Pseudonyms
from recsys.settings import PrivacySettings, Settings, SnapshotSettings
from recsys.snapshot import EXTRACTED_EVENTS, EXTRACTS, extracting, take_snapshot
from recsys.snapshot.extracting import MOST_DAYS, OWN_COLUMNS, Extraction, extract
from recsys.warehouse import Warehouse, migrate, open_warehouse
from tests.support.planted import NOW, Event, add_events, quick_settings, run_sql, write_shop
from tests.support.postgres import drop_database, make_database
from tests.support.warehouse import write_small_shop

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
FIRST = datetime(2024, 3, 1, 9)
END = datetime(2025, 1, 1)
USERS = ("ann", "bob", "cem")
ITEMS = ("bread", "milk", "soap")
LATEST_ALLOWED = NOW + DAY
KEY = "a key that is long enough"


def incremental(home: Path, url: str, late_days: int = 1, **overrides: Any) -> Settings:
    return quick_settings(
        home, warehouse_url=url, snapshot=SnapshotSettings(incremental=True, late_days=late_days), **overrides
    )


def full(settings: Settings) -> Settings:
    """The same warehouse, read whole, from a home of its own."""
    home = settings.home.with_name(f"{settings.home.name} full")
    off = SnapshotSettings(incremental=False)
    return settings.model_copy(update={"home": home, "warehouse_url": settings.database_url, "snapshot": off})


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


shops = st.lists(events(), min_size=3, max_size=20)


def few(max_examples: int) -> Any:
    """Settings of examples that each write a shop; always the same ones, for they are few."""
    return tries(max_examples=max_examples, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of one embedded warehouse for all examples."""
    folder = tmp_path_factory.mktemp("warehouse")
    settings = quick_settings(folder)
    with open_warehouse(settings, purpose="test") as warehouse:
        migrate(warehouse)
    return settings.database_url


@pytest.fixture(scope="module")
def server(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a warehouse on a server for all examples."""
    url = make_database(postgres_url, "extracting_test")
    with open_warehouse(quick_settings(tmp_path_factory.mktemp("server"), warehouse_url=url), purpose="test") as opened:
        migrate(opened)
    yield url
    drop_database(postgres_url, "extracting_test")


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new folder each time."""
    return iter(lambda: tmp_path_factory.mktemp("home"), None)


def follow(settings: Settings, first: list[Event], told: Any) -> None:
    """Extract, let things happen, extract again; each time compare with a full extraction."""
    write_shop(settings, users=USERS, items=ITEMS, events=first)
    done, rows = extracted(settings, FIRST + 15 * DAY)
    assert (done.mode, rows) == ("full", extracted(full(settings), FIRST + 15 * DAY)[1])
    for happened, moment in told:
        with open_warehouse(settings, purpose="test") as warehouse:
            for one in happened:
                one(warehouse)
        done, rows = extracted(settings, moment)
        whole, expected = extracted(full(settings), moment)
        assert done.mode == "incremental"
        assert rows == expected
        # Who is named in a row that a contract rejects has to be named in the quarantine.
        assert set(whole.names.values()) <= set(done.names.values())


@few(max_examples=20)
@given(shops, rounds, st.integers(0, 3), st.booleans())
def test_whatever_changes_the_rows_are_those_of_a_full_extraction(
    embedded: str, homes: Iterator[Path], first: list[Event], told: Any, late_days: int, pseudonymise: bool
) -> None:
    privacy = PrivacySettings(key=KEY, pseudonymise=pseudonymise)
    follow(incremental(next(homes), embedded, late_days, privacy=privacy), first, told)


@few(max_examples=6)
@given(shops, rounds)
def test_so_they_are_on_a_server(server: str, homes: Iterator[Path], first: list[Event], told: Any) -> None:
    follow(incremental(next(homes), server), first, told)


@pytest.fixture
def settings(warehouse_url: str, tmp_path: Path) -> Settings:
    made = incremental(tmp_path, warehouse_url)
    write_shop(made, users=USERS, items=ITEMS, events=some_events())
    return made


def snapshot_of(settings: Settings, moment: datetime) -> tuple[str, str]:
    taken = take_snapshot(settings, as_of=moment.isoformat(), now=NOW)
    return taken.path.name, taken.facts["extraction"]


def test_the_snapshot_has_the_id_of_a_full_one(settings: Settings) -> None:
    moments = [FIRST + n * DAY for n in (10, 20, 14, 30)]
    snapshot_of(settings, moments[0])
    later = [Event("ann", "milk", moments[0] - 5 * DAY, recorded=moments[0] + HOUR, name="late")]
    later += [Event("ann", "bread", FIRST + 9 * DAY, "return", recorded=FIRST + 25 * DAY, name="back")]
    for moment, events_added, statements in zip(
        moments[1:],
        ([], later, [Event("dan", "soap", FIRST + 3 * DAY, name="unknown customer")]),
        (
            ("delete from shop.events where event_id = 'e00002'",),
            ("update shop.events set quantity = 7 where event_id = 'e00001'",),
            ("update shop.users set is_personalised = false where user_id = 'bob'",),
        ),
        strict=True,
    ):
        with open_warehouse(settings, purpose="test") as warehouse:
            add_events(warehouse, events_added)
        run_sql(settings, *statements)
        name, mode = snapshot_of(settings, moment)
        assert mode == "incremental"
        assert (name, "full") == snapshot_of(full(settings), moment)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A shop with a year of events, of which all but the last 1 % were extracted."""
    folder = tmp_path_factory.mktemp("grown")
    made = incremental(folder, f"duckdb:///{folder / 'grown.duckdb'}", late_days=2)
    with open_warehouse(made, purpose="test") as warehouse:
        write_small_shop(warehouse, users=100, items=40, end=END)
    assert extracted(made, END - 4 * DAY)[0].mode == "full"
    return made


def counted(settings: Settings, condition: str) -> int:
    with open_warehouse(settings, purpose="test") as warehouse:
        return int(warehouse.query(f"select count(*) as found from shop.events where {condition}")[0]["found"])


def test_only_what_is_new_is_read_and_days_that_changed(grown: Settings) -> None:
    everything = counted(grown, "true")
    recent = counted(grown, f"occurred_at >= timestamp '{END - 6 * DAY}'")
    done, _ = extracted(grown, END)
    assert (done.mode, done.rows_read) == ("incremental", recent)
    assert 0 < recent < everything / 30
    again = counted(grown, f"occurred_at >= timestamp '{END - 2 * DAY}'")
    old = "cast(occurred_at as date) = date '2024-07-01'"
    run_sql(
        grown,
        f"update shop.events set quantity = 9 where event_id = (select min(event_id) from shop.events where {old})",
    )
    done, rows = extracted(grown, END)
    assert (done.mode, done.rows_read) == ("incremental", again + counted(grown, old))
    assert "1 earlier days" in done.why
    assert rows == extracted(full(grown), END)[1]


def test_where_too_much_differs_everything_is_read(grown: Settings) -> None:
    run_sql(grown, "update shop.events set market = 'another'")
    done, rows = extracted(grown, END)
    assert done.mode == "full"
    assert int(done.why.split()[0]) > MOST_DAYS
    assert rows == extracted(full(grown), END)[1]
    assert extracted(grown, END)[0].mode == "incremental"


def kept(settings: Settings) -> list[Path]:
    return sorted((settings.resolved_home / EXTRACTS).glob(f"*/{EXTRACTED_EVENTS}"))


@pytest.fixture
def plain(embedded: str, tmp_path: Path) -> Settings:
    made = incremental(tmp_path, embedded)
    write_shop(made, users=USERS, items=ITEMS, events=some_events())
    extracted(made, FIRST + 20 * DAY)
    return made


def test_one_extraction_is_kept_and_an_earlier_moment_does_not_replace_it(plain: Settings) -> None:
    [before] = kept(plain)
    assert extracted(plain, FIRST + 10 * DAY)[0].mode == "incremental"
    assert kept(plain) == [before]
    assert extracted(plain, FIRST + 21 * DAY)[0].mode == "incremental"
    [after] = kept(plain)
    assert after != before


def test_switched_off_nothing_is_kept(plain: Settings) -> None:
    off = plain.model_copy(update={"snapshot": SnapshotSettings(incremental=False)})
    done, _ = extracted(off, FIRST + 20 * DAY)
    assert (done.mode, done.why) == ("full", "nothing is compared with what was read before")
    assert kept(plain) == []


def test_an_altered_extraction_is_not_used(plain: Settings) -> None:
    [path] = kept(plain)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    done, rows = extracted(plain, FIRST + 20 * DAY)
    assert done.mode == "full"
    assert rows == extracted(full(plain), FIRST + 20 * DAY)[1]


def test_with_pseudonyms_what_was_kept_with_ids_goes(plain: Settings) -> None:
    disguised = plain.model_copy(update={"privacy": PrivacySettings(key=KEY, pseudonymise=True)})
    assert extracted(disguised, FIRST + 20 * DAY)[0].mode == "full"
    [path] = kept(plain)
    names = set(pq.read_table(path)["user_id"].to_pylist())
    assert names == {None, *Pseudonyms.of(disguised).names(USERS)}
    assert extracted(disguised, FIRST + 20 * DAY)[0].mode == "incremental"


def test_who_must_not_be_processed_is_not_kept(plain: Settings) -> None:
    with open_warehouse(plain, purpose="test") as warehouse:
        list_mark(plain, warehouse, Pseudonyms.of(plain).mark("bob"), "e1", NOW)
    done, rows = extracted(plain, FIRST + 20 * DAY)
    assert done.mode == "incremental"
    assert any("'ann'" in row for row in rows)
    assert not any("'bob'" in row for row in rows)
    [path] = kept(plain)
    assert "bob" not in pq.read_table(path)["user_id"].to_pylist()
    run_sql(plain, "delete from recsys.do_not_process")


def test_an_erasure_deletes_what_holds_the_customer(plain: Settings) -> None:
    assert remove_extracts(plain, Subject.of(plain, "nobody")) == {}
    assert len(kept(plain)) == 1
    assert remove_extracts(plain, Subject.of(plain, "bob")) == {EXTRACTS: 1}
    assert kept(plain) == []
    assert extracted(plain, FIRST + 20 * DAY)[0].mode == "full"


@pytest.mark.parametrize(("times", "mode"), [(1, "incremental"), (9, "full")])
def test_what_changes_while_it_is_read(plain: Settings, monkeypatch: pytest.MonkeyPatch, times: int, mode: str) -> None:
    real, happened = extracting._Reading.of_days, []

    def read(self: Any, days: list[int]) -> Path:
        path = real(self, days)
        if len(happened) < times:
            happened.append(1)
            Change(f"update shop.events set quantity = {len(happened) + 5} where event_id = 'e00003'")(self.warehouse)
        return path

    monkeypatch.setattr(extracting._Reading, "of_days", read)
    run_sql(plain, "update shop.events set quantity = 5 where event_id = 'e00003'")
    done, rows = extracted(plain, FIRST + 20 * DAY)
    assert done.mode == mode
    assert rows == extracted(full(plain), FIRST + 20 * DAY)[1]
