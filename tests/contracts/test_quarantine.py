"""The quarantine: each rejected row once, corrected and put back, or left."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recsys import contracts
from recsys.cli import app
from recsys.contracts import Quarantined, find_quarantined
from recsys.errors import NotFoundError, RefusedError, SettingsError
from recsys.load import load_source
from recsys.settings import Settings, load_settings
from recsys.snapshot import Snapshot, take_snapshot
from recsys.warehouse import open_warehouse
from tests.support.planted import NOW, Event, Person, Version, parquet_rows, run_sql, write_shop

FIRST = datetime(2024, 3, 1, 9)
DAY = timedelta(days=1)
AS_OF = datetime(2024, 4, 1)
BAD = (
    Event("ann", "milk", FIRST + DAY, quantity=-2, name="minus"),
    Event("ann", "ghost", FIRST + 2 * DAY, name="nothing"),
    Event("ghost", "milk", FIRST + 3 * DAY, name="nobody"),
)


def shop(settings: Settings, *events: Event) -> None:
    write_shop(settings, users=["ann", "bob"], items=["milk", "bread"], events=[Event("bob", "milk", FIRST), *events])


def taken(settings: Settings, as_of: datetime = AS_OF, now: datetime = NOW) -> Snapshot:
    return Snapshot.open(take_snapshot(settings, as_of=as_of.isoformat(), now=now).uri)


def kept(settings: Settings, **wanted: Any) -> dict[str, Quarantined]:
    """Return the events in quarantine by their ids."""
    with open_warehouse(settings, purpose="test") as warehouse:
        return {row.row["event_id"]: row for row in find_quarantined(warehouse, **wanted)}


def replayed(settings: Settings, *entries: Quarantined) -> contracts.Replayed:
    with open_warehouse(settings, purpose="test") as warehouse:
        return contracts.replay(warehouse, settings, entries, by="anna", now=NOW + DAY)


def corrected(settings: Settings, entry: Quarantined, **values: str | None) -> Quarantined:
    with open_warehouse(settings, purpose="test") as warehouse:
        return contracts.repair(warehouse, entry.quarantine_id[:12], values, by="anna", now=NOW + timedelta(hours=1))


def rows(settings: Settings, query: str) -> list[dict[str, Any]]:
    with open_warehouse(settings, purpose="test") as warehouse:
        return warehouse.query(query)


def event_ids(snapshot: Snapshot) -> set[str]:
    files = f"{snapshot.folder}/events/*.parquet"
    return {name for (name,) in parquet_rows(f"select event_id from read_parquet('{files}')")}


def test_a_row_is_kept_once_however_often_it_is_rejected(settings: Settings) -> None:
    shop(settings, *BAD)
    first = taken(settings)
    for day in (0, 1):
        taken(settings, AS_OF + day * DAY, NOW + day * DAY)
    found = rows(settings, "select rule, run_id, seen_at from shop.quarantine order by rule")
    assert [row["rule"] for row in found] == [
        "item_id is not in items",
        "quantity is not a positive number",
        "user_id is not in users",
    ]
    assert {row["run_id"] for row in found} == {first.snapshot_id}, "the run that saw it first"
    assert {row["seen_at"] for row in found} == {NOW}


def test_rows_are_found_by_table_rule_and_run(settings: Settings) -> None:
    shop(settings, *BAD)
    run_sql(
        settings, "insert into shop.promotions values ('p', 'milk', 'm', 'k', '2024-03-02', '2024-03-01', '2024-01-01')"
    )
    snapshot = taken(settings)
    assert set(kept(settings, table="events", rule="events_quantity")) == {"minus"}
    assert set(kept(settings, rule="user_id is not in users", run_id=snapshot.snapshot_id)) == {"nobody"}
    assert kept(settings, rule="user_id is not in users", run_id="another") == {}
    with open_warehouse(settings, purpose="test") as warehouse:
        [promotion] = find_quarantined(warehouse, table="promotions")
    assert (promotion.rule, promotion.row["item_id"]) == ("a promotion doesn't end after it starts", "milk")


def test_a_row_that_is_corrected_and_replayed_is_in_the_next_snapshot(settings: Settings) -> None:
    shop(settings, *BAD)
    assert event_ids(taken(settings)) == {"e00000"}
    minus = kept(settings)["minus"]
    fixed = corrected(settings, minus, quantity="2")
    assert (fixed.status, fixed.repaired) == ("repaired", {**minus.row, "quantity": "2"})
    done = replayed(settings, fixed)
    assert [row.row["event_id"] for row in done.rows] == ["minus"]
    found = rows(settings, "select quantity, value, user_id, bucket from shop.events where event_id = 'minus'")
    assert [(row["quantity"], row["value"], row["user_id"]) for row in found] == [(2.0, 2.0, "ann")]
    assert kept(settings)["minus"].status == "replayed"
    assert event_ids(taken(settings)) == {"e00000", "minus"}
    assert replayed(settings, kept(settings)["minus"]) == contracts.Replayed((), ()), "once is enough"
    with pytest.raises(RefusedError, match=r"was replayed already: it is in shop\.events again"):
        corrected(settings, minus, quantity="3")


def test_a_row_that_still_breaks_a_rule_stays(settings: Settings) -> None:
    shop(settings, *BAD)
    taken(settings)
    found = kept(settings)
    done = replayed(settings, corrected(settings, found["minus"], quantity="0"), found["nothing"], found["nobody"])
    assert done.rows == ()
    assert {entry.row["event_id"]: why for entry, why in done.refused} == {
        "minus": "quantity is not a positive number",
        "nothing": "item_id is not in items",
        "nobody": "user_id is not in users",
    }
    [row] = rows(settings, "select quantity from shop.events where event_id = 'minus'")
    assert row["quantity"] == -2
    unreadable = replayed(settings, corrected(settings, found["minus"], occurred_at="yesterday"))
    [(_, why)] = unreadable.refused
    assert why.startswith("it can't be read: Invalid isoformat string: 'yesterday'")


def test_a_customer_who_comes_later_brings_the_events_back(settings: Settings) -> None:
    shop(settings, *BAD)
    taken(settings)
    run_sql(settings, "insert into shop.users values ('ghost', 9, timestamp '2024-01-01', true, null)")
    assert [row.row["event_id"] for row in replayed(settings, *kept(settings).values()).rows] == ["nobody"]
    assert event_ids(taken(settings)) == {"e00000", "nobody"}


def test_a_row_that_breaks_a_rule_again_after_its_replay_waits_again(settings: Settings) -> None:
    """A shop's own export filled the tables anew: the correction is still known."""
    shop(settings, *BAD)
    taken(settings)
    replayed(settings, corrected(settings, kept(settings)["minus"], quantity="2"))
    run_sql(settings, "update shop.events set quantity = -2 where event_id = 'minus'")
    taken(settings, now=NOW + 2 * DAY)
    again = kept(settings)["minus"]
    assert (again.status, again.current["quantity"]) == ("repaired", "2")
    assert len(rows(settings, "select * from shop.quarantine")) == 3


def test_what_is_dropped_is_not_replayed(settings: Settings) -> None:
    shop(settings, *BAD)
    taken(settings)
    name = kept(settings)["minus"].quarantine_id
    with open_warehouse(settings, purpose="test") as warehouse:
        assert contracts.drop(warehouse, name, by="anna", now=NOW).status == "dropped"
    assert "minus" not in {entry.row["event_id"] for entry, _ in replayed(settings, *kept(settings).values()).refused}


def test_wrong_ids_and_columns_are_told(settings: Settings) -> None:
    shop(settings, *BAD)
    taken(settings)
    with open_warehouse(settings, purpose="test") as warehouse:
        with pytest.raises(NotFoundError, match=r"has the id 'feed': recsys quarantine list shows them"):
            contracts.one_quarantined(warehouse, "feed")
        with pytest.raises(SettingsError, match="is no id"):
            contracts.one_quarantined(warehouse, "%")
    with pytest.raises(SettingsError, match=r"The row has no 'colour'. Its columns are: basket_id, "):
        corrected(settings, kept(settings)["minus"], colour="red")


PLAY = {
    "source.toml": """
title = "Play"
time_zone = "UTC"
has_item_history = false

[tables.lines]
file = "lines.csv"
columns = { who = "text", what = "text", sold = "timestamp", n = "double" }
""",
    "users.sql": "select who as user_id, min(sold) as created_at, true as is_personalised "
    "from raw_play.lines group by who",
    "items.sql": "select distinct 'milk' as item_id, 'Milk' as title, true as available, true as recommendable, "
    "timestamp '2024-01-01' as created_at from raw_play.lines",
    "events.sql": "select who || what || sold as event_id, who as user_id, what as item_id, 'purchase' as event_type, "
    "sold as occurred_at, n as quantity from raw_play.lines",
}
Command = Callable[..., str]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run the command line on a home of its own, in a folder of its own."""
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == 0, done.output
        return done.output

    return run


def test_the_command_line_lists_repairs_and_replays(command: Command) -> None:
    settings = load_settings()
    shop(settings, *BAD)
    assert "Nothing is in quarantine." in command("quarantine", "list")
    taken(settings)
    assert "events_pushed" in command("contracts")
    assert '"events_quantity"' in command("contracts", "--report")
    name = kept(settings)["minus"].quarantine_id[:12]
    listed = command("quarantine", "list", "--rule", "events_quantity")
    assert name in listed
    assert kept(settings)["nobody"].quarantine_id[:12] not in listed
    assert f"recsys quarantine replay {name}" in command("quarantine", "repair", name, "--set", "quantity=2")
    assert 'corrected: {"quantity": "2"}' in command("quarantine", "show", name)
    told = command("quarantine", "replay", "--all")
    assert "1 rows are back in their tables, 2 stay in quarantine." in told
    assert "of shop.events: item_id is not in items" in told
    assert "is dropped." in command("quarantine", "drop", kept(settings)["nobody"].quarantine_id)
    assert CliRunner().invoke(app, ["quarantine", "replay"]).exit_code == 1


def test_what_a_load_left_out_is_put_in_and_waits_again_after_the_next_load(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "sql" / "staging" / "play"
    folder.mkdir(parents=True)
    for name, content in PLAY.items():
        (folder / name).write_text(content)
    data = tmp_path / "lines.csv"
    data.write_text("who,what,sold,n\nann,milk,2024-01-02 10:00:00,1\nann,mlik,2024-01-03 10:00:00,2\n")
    settings = load_settings()
    load_source(settings, "play", data_dir=data, now=NOW)
    [entry] = kept(settings).values()
    assert entry.rule == "the item is missing from items"
    done = replayed(settings, corrected(settings, entry, item_id="milk"))
    assert len(done.rows) == 1
    count = "select count(*) as n, sum(quantity) as q from shop.events where item_id = 'milk' and bucket >= 0"
    assert rows(settings, count) == [{"n": 2, "q": 3.0}]
    load_source(settings, "play", data_dir=data, now=NOW + 2 * DAY, force=True)
    assert rows(settings, count) == [{"n": 1, "q": 1.0}]
    [again] = kept(settings).values()
    assert again.status == "repaired"
    assert len(replayed(settings, again).rows) == 1
    assert rows(settings, count) == [{"n": 2, "q": 3.0}]


def test_a_line_that_could_not_be_read_is_mended_in_the_source(settings: Settings, tmp_path: Path) -> None:
    head = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
    lines = [f"{n},S{n % 3},Milk,1,2024-01-{n:02} 10:00,2.5,{n % 4},UK" for n in range(1, 31)]
    orders = tmp_path / "orders.csv"
    orders.write_text("\n".join([head, *lines, "31,S1,Milk,many,2024-01-31 10:00,2.5,1,UK"]) + "\n")
    load_source(settings, "orders", data_dir=orders, now=NOW)
    with (
        open_warehouse(settings, purpose="test") as warehouse,
        pytest.raises(RefusedError, match="mend the source and load it again"),
    ):
        [entry] = find_quarantined(warehouse)
        contracts.repair(warehouse, entry.quarantine_id, {"quantity": "2"}, by="anna", now=NOW)


CAMPAIGNS = """
    insert into shop.campaigns values
    ('spring', 'ann', 'mail', timestamp '2024-03-02', timestamp '2024-03-09', timestamp '2024-03-02'),
    ('spring', 'ann', 'post', timestamp '2024-03-02', timestamp '2024-03-09', timestamp '2024-03-02'),
    ('spring', 'ghost', 'mail', timestamp '2024-03-02', timestamp '2024-03-09', timestamp '2024-03-02'),
    ('spring', 'bob', 'mail', timestamp '2024-03-09', timestamp '2024-03-09', timestamp '2024-03-02'),
    ('autumn', 'ghost', 'mail', timestamp '2024-09-02', timestamp '2024-09-09', timestamp '2024-09-02')
"""
COUPONS = """
    insert into shop.coupons values
    ('c1', 'spring', 'milk', timestamp '2024-03-02'), ('c1', 'spring', 'milk', timestamp '2024-03-03'),
    ('c1', 'spring', 'ghost', timestamp '2024-03-02'), ('c1', 'spring', 'late', timestamp '2024-03-02')
"""
REDEMPTIONS = """
    insert into shop.redemptions values
    ('r1', 'ann', 'c1', 'spring', timestamp '2024-03-05'), ('r1', 'bob', 'c1', 'spring', timestamp '2024-03-05'),
    ('r2', 'ghost', 'c1', 'spring', timestamp '2024-03-05'), ('r3', 'later', 'c1', 'spring', timestamp '2024-03-05')
"""


def test_campaigns_coupons_and_redemptions_are_judged_and_put_back(settings: Settings) -> None:
    """Who and what the shop came to know after the moment is no failure; a replay puts back what was repaired."""
    people = [Person("ann"), Person("bob"), Person("later", since=AS_OF + DAY)]
    things = [Version("milk"), Version("late", since=AS_OF + DAY)]
    write_shop(settings, users=people, items=things, events=[Event("bob", "milk", FIRST)])
    run_sql(settings, CAMPAIGNS, COUPONS, REDEMPTIONS)
    assert taken(settings).manifest["rejected"] == {
        "a campaign doesn't end after it starts": 1,
        "a coupon has a product twice in a campaign": 1,
        "a customer has a campaign twice from one moment on": 1,
        "item_id is not in items": 1,
        "redemption_id stands twice": 1,
        "user_id is not in users": 2,
    }
    with open_warehouse(settings, purpose="test") as warehouse:
        waiting = find_quarantined(warehouse)
        assert len(waiting) == 7
        [short] = find_quarantined(warehouse, rule="a campaign doesn't end after it starts")
    mended = corrected(settings, short, ends_at="2024-03-16T00:00:00")
    assert [row.quarantine_id for row in replayed(settings, mended).rows] == [short.quarantine_id]
    [row] = rows(settings, "select ends_at from shop.campaigns where user_id = 'bob'")
    assert row["ends_at"] == datetime(2024, 3, 16)
    again = take_snapshot(settings, as_of=AS_OF.isoformat(), now=NOW + 2 * DAY)
    assert sum(again.facts["rejected"].values()) == 6
