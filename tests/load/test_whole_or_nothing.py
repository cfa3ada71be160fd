"""Loading again changes nothing; a load that fails or is killed leaves what was there."""

import os
import signal
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from recsys.errors import SettingsError, SourceError
from recsys.ledger import record_decision
from recsys.load import Progress, load_source
from recsys.settings import Settings
from recsys.warehouse import open_warehouse
from tests.support import children
from tests.support.orders import write_orders
from tests.support.shops import content, query
from tests.support.warehouse import SHOP_TABLES, make_settings, write_small_shop

FIRST = "Id,Who,What,Many,Paid,Sold\n1,a,x,1,2.5,2020-01-01\n2,b,y,2,3,2020-01-02 10:00\n3,,x,1,1,2020-01-03\n"
SECOND = FIRST + "4,c,z,1,2,2020-01-04\n"
Make = Callable[..., Path]


def test_loading_again_gives_the_same_and_no_doubles(make_source: Make, settings: Settings) -> None:
    data = make_source(FIRST + "4,d,x,many,1,2020-01-05\n")
    first = load_source(settings, "play", data_dir=data)
    before = content(settings, *SHOP_TABLES)
    assert {name: first.rows[name] for name in ("users", "items", "events")} == {"users": 2, "items": 2, "events": 3}
    again = load_source(settings, "play", data_dir=data, force=True)
    after = content(settings, *SHOP_TABLES)
    assert (again.load_id, again.rows, again.cleaning) == (first.load_id, first.rows, first.cleaning)
    for table in set(SHOP_TABLES) - {"sources", "cleaning", "quarantine"}:  # these say when they were written
        assert after[table] == before[table], table
    assert len(after["quarantine"]) == len(before["quarantine"]) == 1
    assert len(after["cleaning"]) == len(before["cleaning"]) == 1


def test_the_very_same_load_is_skipped(make_source: Make, settings: Settings) -> None:
    data = make_source(FIRST)
    first = load_source(settings, "play", data_dir=data)
    before = content(settings, *SHOP_TABLES)
    again = load_source(settings, "play", data_dir=data)
    assert (first.skipped, again.skipped) == (False, True)
    assert (again.load_id, again.rows, again.cleaning) == (first.load_id, first.rows, first.cleaning)
    assert content(settings, *SHOP_TABLES) == before


@pytest.mark.parametrize("change", ["data", "mapping", "option"])
def test_whatever_changes_is_loaded(change: str, make_source: Make, settings: Settings) -> None:
    data = make_source(FIRST)
    load_source(settings, "play", data_dir=data)
    if change == "data":
        data = make_source(SECOND)
    if change == "mapping":
        text = Path("sql/staging/play/items.sql").read_text().replace("what as title", "'T ' || what as title")
        data = make_source(FIRST, items_sql=text)
    report = load_source(settings, "play", data_dir=data, until="2020-01-02" if change == "option" else None)
    assert not report.skipped
    [row] = query(settings, "select count(*) as n, min(title) as t from shop.items")
    assert (row["n"], row["t"]) == {"data": (3, "x"), "mapping": (2, "T x"), "option": (1, "x")}[change]


def test_suppressions_rules_and_other_peoples_quarantine_stay(make_source: Make, settings: Settings) -> None:
    load_source(settings, "play", data_dir=make_source(FIRST))
    with open_warehouse(settings, purpose="a test") as warehouse, warehouse.transaction() as connection:
        warehouse.run(
            connection,
            "insert into shop.suppressions (suppression_id, item_id, starts_at, created_by, reason) "
            "values ('s1', 'x', timestamp '2020-01-01', 'me', 'recall')",
        )
        warehouse.run(
            connection,
            "insert into shop.item_rules (rule_id, kind, item_id, created_by, known_at) "
            "values ('r1', 'boost', 'x', 'me', timestamp '2020-01-01')",
        )
        warehouse.run(
            connection,
            "insert into shop.quarantine values ('shop.events', '{}', 'future', 'run-1', timestamp '2020-01-01')",
        )
    load_source(settings, "play", data_dir=make_source(SECOND))
    assert query(settings, "select count(*) as n from shop.suppressions") == [{"n": 1}]
    assert query(settings, "select rule_id, weight from shop.item_rules") == [{"rule_id": "r1", "weight": 1.0}]
    assert query(settings, "select run_id from shop.quarantine") == [{"run_id": "run-1"}]


@pytest.mark.parametrize(
    ("file", "sql", "says"),
    [
        ("redemptions_sql", "select 1 as redemption_id", "redemptions.sql lacks the column user_id, coupon_id"),
        ("redemptions_sql", "select nothing from raw_play.sales", "redemptions.sql can't be run: .*nothing"),
        ("redemptions_sql", "selct 1", "redemptions.sql can't be run"),
        ("users_sql", "select 'a' as user_id", r"users\.sql lacks the column created_at, is_personalised"),
        (
            "users_sql",
            "select who as user_id, sold as created_at, true as is_personalised, 1 as bonus from raw_play.sales",
            r"users\.sql gives a column that shop\.users doesn't have: bonus",
        ),
        (
            "users_sql",
            "select 'a' as user_id, sold as created_at, true as is_personalised from raw_play.sales",
            "several rows for one user_id, for example a. ",
        ),
        (
            "users_sql",
            "select who as user_id, who as created_at, true as is_personalised from raw_play.sales where id = '2'",
            r"users\.sql can't be run: .*b",
        ),
        (
            "users_sql",
            "select who as user_id, sold as created_at, true as is_personalised from raw_play.sales",
            r"users\.sql can't be run: .*(?i:null).*user_id",
        ),
        ("events_sql", "select * from raw_play.sales where false", r"events\.sql lacks the column event_id"),
        ("cleaning_sql", "select 'a' as rule, 1 as row_count", r"cleaning\.sql lacks the column 'reason'"),
    ],
)
def test_a_select_that_fails_is_named_and_leaves_the_old_shop(
    file: str, sql: str, says: str, make_source: Make, settings: Settings
) -> None:
    load_source(settings, "play", data_dir=make_source(FIRST))
    before = content(settings, *SHOP_TABLES)
    raw = query(settings, "select * from raw_play.sales order by id")
    data = make_source(SECOND, **{file: sql})
    with pytest.raises(SourceError, match=says):
        load_source(settings, "play", data_dir=data)
    assert content(settings, *SHOP_TABLES) == before
    assert query(settings, "select * from raw_play.sales order by id") == raw


def load_until(folder: Path, orders: Path, step: str) -> None:
    """In a child: load, and end like a killed one when the step begins."""

    class Stop(Progress):
        def _began(self, name: str, total: int | None) -> None:
            if name == step:
                os.kill(os.getpid(), signal.SIGKILL)

    load_source(make_settings(folder), "orders", data_dir=orders, progress=Stop(), force=True)


@pytest.mark.parametrize("step", ["raw order_lines", "shop events", "shop redemptions"])
def test_a_killed_load_leaves_the_old_shop(step: str, tmp_path: Path, settings: Settings) -> None:
    orders = tmp_path / "orders.csv"
    write_orders(orders, lines=400)
    load_source(settings, "orders", data_dir=orders)
    before = content(settings, *SHOP_TABLES)
    write_orders(orders, lines=700)
    ended = children.run(tmp_path, load_until, tmp_path, orders, step)
    assert ended.code == -signal.SIGKILL, ended.printed
    assert content(settings, *SHOP_TABLES) == before
    assert load_source(settings, "orders", data_dir=orders).rows["events"] > len(before["events"])


def test_another_shop_replaces_the_one_before(make_source: Make, settings: Settings, tmp_path: Path) -> None:
    load_source(settings, "play", data_dir=make_source(FIRST))
    orders = tmp_path / "orders" / "some.csv"
    orders.parent.mkdir()
    write_orders(orders, lines=200)
    load_source(settings, "orders", data_dir=orders.parent)
    assert query(settings, "select source from shop.sources") == [{"source": "orders"}]
    assert query(settings, "select count(*) as n from shop.users where user_id in ('a', 'b')") == [{"n": 0}]


@pytest.mark.parametrize("customers", [0, -3])
def test_a_number_of_customers_below_one_is_refused(customers: int, settings: Settings) -> None:
    with pytest.raises(SettingsError, match=f"--customers {customers}"):
        load_source(settings, "completejourney", customers=customers)


def test_customers_need_to_know_where_they_are(make_source: Make, settings: Settings) -> None:
    with pytest.raises(SourceError, match=r"add \[customers\]"):
        load_source(settings, "play", data_dir=make_source(FIRST), customers=1)


def test_another_shop_is_not_put_under_the_models_of_this_one(make_source: Make, settings: Settings) -> None:
    data = make_source(FIRST)
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=20, items=30)
    load_source(settings, "play", data_dir=data)  # nothing was decided for the other shop yet
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=20, items=30)
        record_decision(
            warehouse,
            placement="for_you",
            model_name="m",
            model_version="1",
            verdict="approved",
            decided_by="ada",
            channel="cli",
            reason="good",
            now=datetime(2025, 1, 1),
        )
    before = content(settings, *SHOP_TABLES)
    with pytest.raises(SettingsError, match=r"One home is one shop.*RECSYS_HOME=.recsys-play.*--replace-shop"):
        load_source(settings, "play", data_dir=data)
    assert content(settings, *SHOP_TABLES) == before
    assert load_source(settings, "play", data_dir=data, replace_shop=True).rows["events"] == 3
