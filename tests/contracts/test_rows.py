"""The contracts of canonical rows: required columns, known types, and one reason for each rejected row."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from recsys import contracts
from recsys.errors import ContractError, SettingsError
from recsys.settings import ContractSettings, load_settings
from recsys.warehouse import migrate, open_warehouse
from tests.support.planted import NOW, Event, quick_settings, run_sql

AT = datetime(2024, 5, 1)
ALLOWED = datetime(2025, 1, 1)


def rules(
    *events: Event,
    most: int = 100,
    users: tuple[str, ...] = ("ann",),
    ratings: tuple[float, float] | None = None,
    **limits: Any,
) -> list[str | None]:
    """Return the rule that each event breaks, in their order."""
    low, high = ratings or (None, None)
    chosen = load_settings(rating_min=low, rating_max=high, contracts=ContractSettings(**limits))
    settings = chosen.model_copy(update={"max_user_events": most})
    rows = [{**event.row(n), "known_at": event.at, "price": 1.0} for n, event in enumerate(events)]
    with duckdb.connect() as engine:
        lay(engine, rows, users)
        report = contracts.check_tables(engine, settings, as_of=ALLOWED, latest_allowed=ALLOWED, now=NOW)
        assert engine.execute("select item_id, title from valid_items").fetchall() == [("milk", "a")]
        found = dict(engine.execute("select event_id, rule from checked_events").fetchall())
        [(valid,)] = engine.execute("select count(*) from valid_events").fetchall()
        kept = contracts.rejected_rows(engine, "run", NOW).filter(pc.field("source_table") == "shop.events")
    told = [found[row["event_id"]] for row in rows]
    others = report.rejected["item_id stands twice"], report.rejected["item_id is missing"]
    assert others == (1, 1)
    assert kept.num_rows == len(rows) - valid
    return told


def lay(engine: duckdb.DuckDBPyConnection, events: list[dict[str, Any]], users: tuple[str, ...]) -> None:
    """Register what was extracted of a shop that sells milk, with a double and a nameless product."""
    names, count = [*users, None], len(users) + 1
    engine.register("events_", pa.Table.from_pylist(events))
    engine.execute("create table extracted_events as from events_")
    people = {"user_id": pa.array(names, pa.string()), "bucket": [1] * count, "created_at": [AT] * count}
    engine.register("extracted_users", pa.table(people))
    items = {"item_id": ["milk", "milk", None], "title": ["b", "a", "c"], "price": [2.0] * 3}
    engine.register("extracted_items", pa.table(items))
    for name, columns in {
        "item_versions": "item_id text, valid_from timestamp, valid_to timestamp, price double",
        "promotions": "item_id text, starts_at timestamp, ends_at timestamp",
        "item_rules": "rule_id text, kind text, weight double, starts_at timestamp, ends_at timestamp",
        "campaigns": "campaign_id text, user_id text, starts_at timestamp, ends_at timestamp",
        "coupons": "coupon_id text, campaign_id text, item_id text",
        "redemptions": "redemption_id text, user_id text, coupon_id text, redeemed_at timestamp",
    }.items():
        engine.execute(f"create table extracted_{name} ({columns})")


def test_a_good_row_breaks_no_rule() -> None:
    kinds = ("view", "cart", "purchase", "return", "rating", "review", "impression", "click", "dismiss")
    events = [Event("ann", "milk", AT, kind=kind) for kind in kinds]
    events += [Event(None, "milk", AT), Event("ann", None, AT, kind="search"), Event("ann", "milk", ALLOWED)]
    events += [Event("ann", "milk", AT, kind="view", quantity=None, value=None)]
    assert set(rules(*events)) == {None}


@pytest.mark.parametrize(
    ("event", "rule"),
    [
        (Event("ann", "milk", datetime(2025, 1, 1, 0, 0, 1)), "occurred_at lies in the future"),
        (Event("ann", "milk", AT, kind="stare"), "event_type is not one of the known types"),
        (Event("ann", "ghost", AT), "item_id is not in items"),
        (Event("ann", None, AT), "item_id is not in items"),
        (Event("ann", "ghost", AT, kind="search"), "item_id is not in items"),
        (Event("ghost", "milk", AT), "user_id is not in users"),
        (Event("ann", "milk", AT, quantity=0), "quantity is not a positive number"),
        (Event("ann", "milk", AT, quantity=-1, kind="return"), "quantity is not a positive number"),
        (Event("ann", "milk", AT, quantity=float("nan")), "quantity is not a positive number"),
        (Event("ann", "milk", AT, quantity=float("inf")), "quantity is not a positive number"),
        (Event("ann", "milk", AT, value=float("-inf")), "value is not a number"),
        (Event("ann", "ghost", datetime(2099, 1, 1), quantity=-1), "occurred_at lies in the future"),
    ],
)
def test_the_first_broken_rule_is_told(event: Event, rule: str) -> None:
    assert rules(Event("ann", "milk", AT), event) == [None, rule]


@pytest.mark.parametrize(("count", "is_bot"), [(5, False), (6, True)])
def test_a_customer_with_too_many_events_is_rejected_whole(count: int, is_bot: bool) -> None:
    events = [Event("ann", "milk", AT) for _ in range(count)]
    others = [Event("bob", "milk", AT), *(Event(None, "milk", AT) for _ in range(9))]
    told = rules(*events, *others, most=5, users=("ann", "bob"))
    assert set(told[:count]) == {"customer has more events than a person can make" if is_bot else None}
    assert set(told[count:]) == {None}, "guests are no one customer"


@pytest.mark.parametrize("kind", ["rating", "review"])
def test_ratings_out_of_the_shops_range_are_rejected(kind: str) -> None:
    values = (0, 1, 5, 5.5, None)
    events = [Event("ann", "milk", AT, kind=kind, value=value) for value in values]
    wrong = "rating is out of range"
    assert rules(*events, ratings=(1, 5)) == [wrong, None, None, wrong, None]
    assert rules(Event("ann", "milk", AT, value=9), ratings=(1, 5)) == [None], "a purchase may cost more"


@pytest.mark.parametrize("table", contracts.COLUMNS)
def test_every_required_column_is_asked_for(tmp_path: Path, table: str) -> None:
    settings = quick_settings(tmp_path)
    with open_warehouse(settings, purpose="test") as warehouse:
        migrate(warehouse)
        contracts.check_columns(warehouse)
    columns = list(contracts.COLUMNS[table])
    asked = list(dict.fromkeys((columns[0], columns[-1])))
    run_sql(settings, *(f"alter table shop.{table} rename column {name} to other_{name}" for name in asked))
    with open_warehouse(settings, purpose="test") as warehouse, pytest.raises(ContractError) as caught:
        contracts.check_columns(warehouse)
    named = ", ".join(f"shop.{table}.{name}" for name in asked)
    assert str(caught.value).startswith(f"The warehouse lacks {named}. Run 'recsys migrate'")


def test_columns_of_other_types_are_told_all_at_once(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    with open_warehouse(settings, purpose="test") as warehouse:
        migrate(warehouse)
    run_sql(
        settings,
        "alter table shop.events alter column occurred_at set data type text",
        "alter table shop.item_versions alter column price set data type text",
    )
    with open_warehouse(settings, purpose="test") as warehouse, pytest.raises(ContractError) as caught:
        contracts.check_columns(warehouse)
    assert "shop.item_versions.price is VARCHAR, not a number column" in str(caught.value)
    assert "shop.events.occurred_at is VARCHAR, not a time column" in str(caught.value)


def test_a_day_of_more_events_than_a_person_can_make_is_rejected_and_no_other() -> None:
    busy = [Event("ann", "milk", AT + timedelta(minutes=n), kind="view") for n in range(11)]
    quiet = [Event("ann", "milk", AT + timedelta(days=1, minutes=n), kind="view") for n in range(10)]
    told = rules(*busy, *quiet, max_user_events_a_day=10)
    assert set(told[:11]) == {"customer has more events in a day than a person can make"}
    assert set(told[11:]) == {None}


def test_what_stands_twice_under_other_ids_is_rejected_on_a_day_of_many() -> None:
    days = [[Event("ann", "milk", AT + timedelta(days=day, minutes=n)) for n in range(10)] for day in range(5)]
    once = [event for day in days for event in day]
    told = rules(*once, *days[3], *days[4][:2], min_day_rows=10)
    double = "the day's rows stand twice under other ids"
    assert set(told[:50]) == {None}
    assert told[50:] == [double] * 10 + [None] * 2, "two of twelve rows may be a coincidence"


@pytest.mark.parametrize(("times", "wrong"), [(10, None), (11, "customer repeats one product more than a person does")])
def test_who_repeats_one_product_beyond_measure_is_rejected_with_it(times: int, wrong: str | None) -> None:
    """Of 2,000 customers one thousandth is two: one alone doesn't move what is usual."""
    crowd = tuple(f"u{n}" for n in range(2000))
    again = [Event("ann", "milk", AT + timedelta(hours=n)) for n in range(times)]
    others = [Event(user, "milk", AT + timedelta(hours=n), kind="purchase") for user in crowd for n in range(2)]
    told = rules(*again, *others, users=("ann", *crowd), max_repeats=10, repeat_factor=2)
    assert set(told[:times]) == {wrong}
    assert set(told[times:]) == {None}


def test_severities_are_the_shops_to_choose() -> None:
    wrong = Event("ann", "milk", AT, quantity=0)
    assert rules(wrong, severities={"events_quantity": "warn"}) == [None]
    assert rules(wrong, severities={"events_quantity": "off"}) == [None]
    with pytest.raises(SettingsError, match=r"'events_quantty', which is no rule\. The rules are: users_id, "):
        rules(wrong, severities={"events_quantty": "warn"})
    with pytest.raises(SettingsError, match="events_volume is about a whole table"):
        rules(wrong, severities={"events_volume": "quarantine"})


def many_events() -> list[dict[str, Any]]:
    """Return rows of ninety customers, some of whom look at milk again and again, and a few that are broken."""
    looks = [(person, nth) for person in range(90) for nth in range(1 + person * person % 17)]
    events = [Event(f"u{person}", "milk", AT + timedelta(hours=nth), kind="view") for person, nth in looks]
    events += [
        Event(f"u{person}", "milk", AT, kind="purchase") for person in range(0, 90, 7) for _ in range(person % 5)
    ]
    events += [Event("ghost", "milk", AT), Event(None, "milk", AT), Event("u1", "ghost", AT)]
    return [{**event.row(n), "known_at": event.at, "price": 1.0} for n, event in enumerate(events)]


def test_events_that_are_kept_as_files_are_judged_alike(tmp_path: Path) -> None:
    people, found = tuple(f"u{person}" for person in range(90)), []
    for folder in (None, tmp_path / "checked"):
        with duckdb.connect() as engine:
            lay(engine, many_events(), people)
            report = contracts.check_tables(
                engine, load_settings(), as_of=ALLOWED, latest_allowed=ALLOWED, now=NOW, folder=folder
            )
            rows = engine.execute("select * from checked_events order by event_id").fetchall()
            found.append((rows, [column[0] for column in engine.description], report.rejected))
    assert found[0] == found[1]
    assert len(list((tmp_path / "checked").rglob("*.parquet"))) >= 2  # guests apart from others


def test_what_is_usual_is_the_discrete_quantile_of_the_pairs() -> None:
    people = tuple(f"u{person}" for person in range(90))
    with duckdb.connect() as engine:
        lay(engine, many_events(), people)
        contracts.check_tables(engine, load_settings(), as_of=ALLOWED, latest_allowed=ALLOWED, now=NOW)
        found = engine.execute("select event_type, often, rarely from usual_counts order by event_type").fetchall()
        expected = engine.execute(
            "select event_type, quantile_disc(times, 0.99), quantile_disc(times, 0.999) from (select event_type, "
            "count(*) as times from extracted_events where user_id is not null "
            "group by event_type, user_id, item_id, floor(epoch(occurred_at) / 86400 / 28)) group by all order by all"
        ).fetchall()
    assert found == expected
    assert len({often for _, often, _ in found}) == 2
