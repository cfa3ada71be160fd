"""When rules hold, and which products their sides are about."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from recsys.knowledge import Period, Products, Rule, Side, match_sides, rules_in
from recsys.knowledge.files import COLUMNS

NOON = datetime(2025, 6, 1, 12)


@pytest.mark.parametrize(
    ("season", "inside", "outside"),
    [
        (("06-01", "08-31"), ["06-01", "07-15", "08-31"], ["05-31", "09-01", "01-01", "12-31"]),
        (("11-15", "01-06"), ["11-15", "12-31", "01-01", "01-06"], ["11-14", "01-07", "06-01"]),
        (("02-29", "03-01"), ["02-29", "03-01"], ["02-28", "03-02"]),
        (("12-24", "12-24"), ["12-24"], ["12-23", "12-25"]),
    ],
)
def test_a_season_includes_both_days_and_may_wrap_over_new_year(
    season: tuple[str, str], inside: list[str], outside: list[str]
) -> None:
    period = Period(season_from=season[0], season_to=season[1])
    for expected, days in ((True, inside), (False, outside)):
        for day in days:
            first = datetime.fromisoformat(f"2024-{day}")
            last = first + timedelta(days=1, microseconds=-1)
            assert [period.holds(at) for at in (first, last)] == [expected] * 2, day


def test_a_period_ends_just_before_its_end() -> None:
    period = Period(NOON, NOON + timedelta(days=1))
    tick = timedelta(microseconds=1)
    moments = (NOON - tick, NOON, NOON + timedelta(days=1) - tick, NOON + timedelta(days=1))
    assert [period.holds(at) for at in moments] == [False, True, True, False]
    assert [Period(ends_at=NOON).holds(at) for at in moments[:2]] == [True, False]
    assert [Period(starts_at=NOON).holds(at) for at in moments[:2]] == [False, True]
    assert Period().holds(datetime(1970, 1, 1))


def test_a_season_within_a_period_needs_both() -> None:
    period = Period(datetime(2025, 1, 1), None, "12-01", "12-31")
    assert [period.holds(datetime(year, 12, 5)) for year in (2024, 2025, 2026)] == [False, True, True]
    assert not period.holds(NOON)


def row(rule_id: str, **values: object) -> dict[str, object]:
    names = [name for name in COLUMNS if not name.endswith("item_id")] + ["item_idx", "other_item_idx"]
    return {**dict.fromkeys(names), "rule_id": rule_id, "kind": "boost", "weight": 1.0, "item_idx": 1, **values}


def test_what_was_known_later_or_does_not_hold_is_left_out() -> None:
    early = NOON - timedelta(days=9)
    rows = [
        row("holds", known_at=early),
        row("known then", known_at=NOON),
        row("known just before", known_at=NOON - timedelta(microseconds=1)),
        row("over", known_at=early, ends_at=NOON),
        row("not yet", known_at=early, starts_at=NOON + timedelta(days=1)),
        row("no season", known_at=early, season_from="07-01", season_to="05-31"),
    ]
    schema = pa.schema([*((name, pa.timestamp("us")) for name in ("known_at", "starts_at", "ends_at"))])
    table = pa.Table.from_pylist(rows)
    for field in schema:
        table = table.set_column(table.column_names.index(field.name), field, table[field.name].cast(field.type))
    assert [rule.rule_id for rule in rules_in(table, NOON)] == ["holds", "known just before"]


def test_a_rule_without_a_placement_counts_everywhere() -> None:
    everywhere, there = Rule("a", "boost", Side()), Rule("b", "boost", Side(), placement="discover")
    assert [everywhere.counts_in(name) for name in ("for_you", "discover", None)] == [True] * 3
    assert [there.counts_in(name) for name in ("for_you", "discover", None)] == [False, True, False]


def test_sides_match_a_product_a_brand_or_a_category_with_all_below_it() -> None:
    products = Products(
        np.array([3, 5, 8, 9], np.int32),
        np.array(["b", "a", "", "b"], object),
        np.array(["Tea > Green", "Tea", "Teapots", ""], object),
    )
    sides = [
        Side(item_idx=5),
        Side(item_idx=4),
        Side(brand="b"),
        Side(brand="c"),
        Side(category="Tea"),
        Side(category="Tea > Green"),
        Side(category="Green"),
        Side(),
    ]
    assert match_sides(sides, products).toarray().tolist() == [
        [0, 1, 0, 0],
        [0, 0, 0, 0],
        [1, 0, 0, 1],
        [0, 0, 0, 0],
        [1, 1, 0, 0],
        [1, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]
    assert match_sides([], products).shape == (0, 4)
    none = Products(np.empty(0, np.int32), np.empty(0, object), np.empty(0, object))
    assert match_sides(sides, none).shape == (8, 0)
