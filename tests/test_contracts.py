"""The contracts of canonical rows: required columns, known types, and one reason for each rejected row."""

from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from recsys import contracts
from recsys.errors import ContractError
from recsys.warehouse import migrate, open_warehouse
from tests.support.planted import NOW, Event, quick_settings, run_sql

AT = datetime(2024, 5, 1)
ALLOWED = datetime(2025, 1, 1)


def rules(
    *events: Event,
    most: int = 100,
    users: tuple[str, ...] = ("ann",),
    ratings: tuple[float, float] = (-1e300, 1e300),
) -> list[str | None]:
    """Return the rule that each event breaks, in their order."""
    rows = [{**event.row(n), "known_at": event.at} for n, event in enumerate(events)]
    with duckdb.connect() as engine:
        engine.register("extracted_events", pa.Table.from_pylist(rows))
        engine.register("extracted_users", pa.table({"user_id": [*users, None], "bucket": [1] * (len(users) + 1)}))
        engine.register("extracted_items", pa.table({"item_id": ["milk", "milk", None], "title": ["b", "a", "c"]}))
        contracts.split_entities(engine)
        assert engine.execute("select item_id, title from valid_items").fetchall() == [("milk", "a")]
        counts = contracts.split_events(engine, latest_allowed=ALLOWED, max_user_events=most, rating_range=ratings)
        found = dict(engine.execute("select event_id, rule from checked_events").fetchall())
        [(valid,)] = engine.execute("select count(*) from valid_events").fetchall()
        kept = contracts.rejected_rows(engine, "run", NOW)
    told = [found[row["event_id"]] for row in rows]
    assert sum(counts.values()) == kept.num_rows == len(rows) - valid
    return told


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


@pytest.mark.parametrize("table", contracts.REQUIRED)
def test_every_required_column_is_asked_for(tmp_path: Path, table: str) -> None:
    settings = quick_settings(tmp_path)
    with open_warehouse(settings, purpose="test") as warehouse:
        migrate(warehouse)
        contracts.check_columns(warehouse)
    columns = contracts.REQUIRED[table]
    asked = list(dict.fromkeys((columns[0], columns[-1])))
    run_sql(settings, *(f"alter table shop.{table} rename column {name} to other_{name}" for name in asked))
    with open_warehouse(settings, purpose="test") as warehouse, pytest.raises(ContractError) as caught:
        contracts.check_columns(warehouse)
    named = ", ".join(f"shop.{table}.{name}" for name in asked)
    assert str(caught.value).startswith(f"The warehouse lacks {named}. Run 'recsys migrate'")
