"""Every feature, worked out by hand on a shop of nine purchases."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.compute import engine
from recsys.cuts import lay_cut
from recsys.features import TABLES, FeatureTables, compute_tables, feature_meanings, features_hash
from recsys.features.assemble import CROSSED, assemble, feature_names, generator_features
from recsys.fusion import Candidates
from recsys.ranking.ranking_set import attach_features
from recsys.settings import GENERATORS
from recsys.snapshot import Snapshot, take_snapshot
from tests.support.planted import NOW, Event, Promotion, Version, days, quick_settings, write_shop

CUT = datetime(2024, 6, 1)  # 152 days after the products were first seen
KEYS = {"cut_id", "user_idx", "user_market", "item_idx", "category_no", "family_no", "brand_no"}
ITEMS = (
    Version("A", category="D > G > x", brand="X"),
    Version("B", category="D > G > x", brand="Y"),
    Version("C", category="D > G > y", brand="X"),
)


def bought(user: str, item: str, age: float, quantity: float, value: float) -> Event:
    return Event(user, item, CUT - days(age), quantity=quantity, value=value, basket=f"{user} {age}")


EVENTS = (
    bought("ann", "A", 70, 1, 2),
    bought("ann", "B", 70, 2, 6),
    bought("ann", "A", 40, 3, 6),
    bought("ann", "A", 10, 1, 3),
    bought("ann", "C", 10, 1, 5),
    bought("ann", "B", 2, 1, 3),
    bought("bob", "A", 5, 2, 4),
    bought("bob", "C", 50, 1, 4),
    # None of what follows counts: taken back, known too late, later, not a purchase, a guest's.
    bought("ann", "C", 20, 9, 99),
    Event("ann", "C", CUT - days(19), kind="return"),
    Event("bob", "B", CUT - days(3), recorded=CUT, value=99),
    Event("bob", "B", CUT, value=99),
    Event("ann", "A", CUT - days(1), kind="view"),
    Event(None, "A", CUT - days(1), value=99),
    Event("ann", "A", CUT + days(100)),
)

PROMOTIONS = (
    Promotion("A", "store 1", CUT - days(3), CUT + days(4), CUT - days(5)),
    Promotion("A", "store 2", CUT - days(20), CUT - days(13), CUT - days(20)),
    # Too long ago, known too late, begun too late.
    Promotion("C", "store 1", CUT - days(100), CUT - days(90), CUT - days(100)),
    Promotion("B", "store 1", CUT - days(3), CUT + days(4), CUT),
    Promotion("C", "store 1", CUT, CUT + days(7), CUT - days(5)),
)


def decay(half_life: float, *ages: float) -> float:
    return sum(0.5 ** (age / half_life) for age in ages)


def pair(
    lines: int, last: float, first: float, lines_28d: int, ages: tuple[float, ...], **rest: float | None
) -> Mapping[str, float | None]:
    return {
        "pair_lines": lines,
        "pair_days_since_last": last,
        "pair_days_since_first": first,
        "pair_lines_28d": lines_28d,
        "pair_lines_84d": lines,
        **{f"pair_decay_{half}": decay(half, *ages) for half in (14, 30, 60, 120)},
        **rest,
    }


def group(
    prefix: str, lines: int, items: int, last: float, lines_28d: int, ages: tuple[float, ...], share: float
) -> dict[str, float | None]:
    return {
        f"{prefix}_lines": lines,
        f"{prefix}_items": items,
        f"{prefix}_days_since_last": last,
        f"{prefix}_lines_28d": lines_28d,
        f"{prefix}_decay_60": decay(60, *ages),
        f"{prefix}_share": share,
    }


def category(interval: float | None, new_items: int, price: float) -> dict[str, float | None]:
    return {"category_interval": interval, "category_new_items_112d": new_items, "category_price": price}


def market(buyers: int, rate: float, lift: float, promoted: int) -> dict[str, float | None]:
    return {
        "market_buyers_84d": buyers,
        "market_rate": rate,
        "market_lift": lift,
        "market_promoted": promoted,
    }


def item(*values: float | None) -> Mapping[str, float | None]:
    names = (
        "item_lines",
        "item_buyers",
        "item_buyers_7d",
        "item_buyers_28d",
        "item_buyers_14d",
        "item_first_buyers_28d",
        "item_days_since_last",
        "item_trend",
        "item_repeat_share",
        "item_lines_per_buyer",
        "item_interval",
        "item_age",
        "item_price",
        "item_price_change",
        "item_price_week",
        "item_category_share",
    )
    return dict(zip(names, values, strict=True))


EXPECTED: dict[str, dict[tuple[str, ...], Mapping[str, float | None]]] = {
    "user": {
        ("ann",): {
            "user_lines": 6,
            "user_baskets": 4,
            "user_items": 3,
            "user_days_since_last": 2,
            "user_days_since_first": 70,
            "user_basket_interval": (70 - 2) / 3,
            "user_basket_size": 6 / 4,
            "user_repeat_share": 1 - 3 / 6,
            "user_lines_28d": 3,
            "user_baskets_28d": 2,
            "user_value_per_line": (2 + 6 + 6 + 3 + 5 + 3) / 6,
            "user_new_items_84d": 3,
        },
        ("bob",): {
            "user_lines": 2,
            "user_baskets": 2,
            "user_items": 2,
            "user_days_since_last": 5,
            "user_days_since_first": 50,
            "user_basket_interval": 45,
            "user_basket_size": 1,
            "user_repeat_share": 0,
            "user_lines_28d": 1,
            "user_baskets_28d": 1,
            "user_value_per_line": 4,
            "user_new_items_84d": 2,
        },
    },
    "item": {
        # 28 days: ann and bob; the 28 days before: ann; ann's gaps are 30 and 30 days; category: A 2, B 1 buyers
        ("A",): item(4, 2, 1, 2, 2, 1, 5, 3 / 2, 1 / 2, 2, 30, 152, 15 / 7, (7 / 3) / (15 / 7), 14 / 15, 2 / 3),
        ("B",): item(2, 1, 1, 1, 1, 0, 2, 2 / 1, 1, 2, 68, 152, 9 / 3, 1, 1, 1 / 3),
        ("C",): item(2, 2, 0, 1, 1, 1, 10, 2 / 2, 0, 1, None, 152, 9 / 2, 5 / 4.5, None, 1),
    },
    "promotion": {("A",): {"item_promoted_markets": 1, "item_promotions_56d": 2}},
    # both customers of these days bought in store 1
    "market_item": {
        ("store 1", "A"): market(2, 2 / 7, 2 / 7, 1),
        ("store 1", "B"): market(1, 1 / 7, (1 / 7) / (1 / 2), 0),
        ("store 1", "C"): market(2, 2 / 7, 2 / 7, 0),
    },
    "user_item": {
        ("ann", "A"): pair(
            3,
            10,
            70,
            1,
            (70, 40, 10),
            pair_interval=30,
            pair_overdue=10 / 30,
            pair_interval_median=30,
            pair_overdue_median=10 / 30,
            pair_basket_share=3 / 4,
            pair_quantity=5 / 3,
            pair_in_last_basket=0,
            pair_order=1,
        ),
        ("ann", "B"): pair(
            2,
            2,
            70,
            1,
            (70, 2),
            pair_interval=68,
            pair_overdue=2 / 68,
            pair_interval_median=68,
            pair_overdue_median=2 / 68,
            pair_basket_share=2 / 4,
            pair_quantity=3 / 2,
            pair_in_last_basket=1,
            pair_order=2,
        ),
        ("ann", "C"): pair(
            1,
            10,
            10,
            1,
            (10,),
            pair_interval=None,
            pair_overdue=None,
            pair_interval_median=None,
            pair_overdue_median=None,
            pair_basket_share=1 / 2,
            pair_quantity=1,
            pair_in_last_basket=0,
            pair_order=3,
        ),
        ("bob", "A"): pair(
            1,
            5,
            5,
            1,
            (5,),
            pair_interval=None,
            pair_overdue=None,
            pair_interval_median=None,
            pair_overdue_median=None,
            pair_basket_share=1,
            pair_quantity=2,
            pair_in_last_basket=1,
            pair_order=1,
        ),
        ("bob", "C"): pair(
            1,
            50,
            50,
            0,
            (50,),
            pair_interval=None,
            pair_overdue=None,
            pair_interval_median=None,
            pair_overdue_median=None,
            pair_basket_share=1 / 2,
            pair_quantity=1,
            pair_in_last_basket=0,
            pair_order=2,
        ),
    },
    "user_category": {
        # ann's baskets with it are 70, 40, 10 and 2 days old
        ("ann", "A"): category(30, 2, 20 / 8) | group("category", 5, 2, 2, 2, (70, 70, 40, 10, 2), 5 / 6),
        ("ann", "C"): category(None, 1, 5) | group("category", 1, 1, 10, 1, (10,), 1 / 6),
        ("bob", "A"): category(None, 1, 2) | group("category", 1, 1, 5, 1, (5,), 1 / 2),
        ("bob", "C"): category(None, 1, 4) | group("category", 1, 1, 50, 0, (50,), 1 / 2),
    },
    "user_family": {
        ("ann", "A"): group("family", 6, 3, 2, 3, (70, 70, 40, 10, 10, 2), 1),
        ("bob", "A"): group("family", 2, 2, 5, 1, (5, 50), 1),
    },
    "user_brand": {
        ("ann", "A"): group("brand", 4, 2, 10, 2, (70, 40, 10, 10), 4 / 6),
        ("ann", "B"): group("brand", 2, 1, 2, 1, (70, 2), 2 / 6),
        ("bob", "A"): group("brand", 2, 2, 5, 1, (5, 50), 1),
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The feature tables at the cut, with customers and the first product of each group by name."""
    place = tmp_path_factory.mktemp("features")
    settings = quick_settings(place)
    write_shop(settings, users=["ann", "bob"], items=ITEMS, events=EVENTS, promotions=PROMOTIONS)
    snapshot = Snapshot.open(take_snapshot(settings, as_of="latest", now=NOW).uri)
    with engine(settings) as connection:
        snapshot.attach(connection)
        lay_cut(connection, CUT)
        compute_tables(connection, place)
        pairs = connection.execute(
            "select user_idx, user_id, item_idx, item_id from users, items order by user_id, item_id"
        ).fetchall()
        asked = [(user, thing) for user, _, thing, _ in pairs]
        connection.register("candidates", candidates(asked))
        attach_features(connection, dict.fromkeys(TABLES, place))
        np.save(place / "gathered.npy", FeatureTables(connection).gather(fused_candidates(asked)))
        rows = connection.sql(
            f"select user_id, item_id, features.* from ({assemble(('popularity', 'als'))}) features "
            "join users using (user_idx) join items using (item_idx) order by user_idx, item_idx"
        ).to_arrow_table()
    pq.write_table(rows, place / "assembled.parquet")
    return place


def candidates(pairs: list[tuple[int, int]]) -> pa.Table:
    return pa.table(
        {
            "user_idx": pa.array([user for user, _ in pairs], pa.int32()),
            "item_idx": pa.array([thing for _, thing in pairs], pa.int32()),
            "popularity_score": pa.array([0.5] * len(pairs), pa.float32()),
            "popularity_rank": pa.array([thing + 1 for _, thing in pairs], pa.int16()),
            "als_score": pa.nulls(len(pairs), pa.float32()),
            "als_rank": pa.nulls(len(pairs), pa.int16()),
            "fused_rank": pa.array([thing + 1 for _, thing in pairs], pa.int64()),
        }
    )


def fused_candidates(pairs: list[tuple[int, int]]) -> Candidates:
    """Return the same candidates, by customer and fused rank, as fusion returns them."""
    users, things = np.array(sorted(pairs), np.int32).T
    scores, ranks = np.full((len(users), 2), np.nan, np.float32), np.zeros((len(users), 2), np.int16)
    scores[:, 0], ranks[:, 0] = 0.5, things + 1
    return Candidates(users, things, scores, ranks, -things.astype(np.float64), things.astype(np.int64) + 1)


# Products are numbered in the order of their ids, groups of them in the order of their names.
NUMBERS = {
    "item_idx": {"A": 0, "B": 1, "C": 2},
    "category_no": {"A": 1, "C": 2},
    "family_no": {"A": 1},
    "brand_no": {"A": 1, "B": 2},
}


@pytest.mark.parametrize("table", TABLES)
def test_features_by_hand(folder: Path, table: str) -> None:
    users = assembled_users(folder)
    found = {}
    for row in pq.read_table(folder / f"{table}.parquet").to_pylist():
        key = tuple(name_of(column, row[column], users) for column in TABLES[table])
        found[key] = {name: value for name, value in row.items() if name not in KEYS}
    assert set(found) == set(EXPECTED[table])
    for key, expected in EXPECTED[table].items():
        assert filled(found[key]) == pytest.approx(filled(expected), rel=1e-9, nan_ok=True), key


def filled(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: float("nan") if value is None else float(value) for name, value in values.items()}


def assembled_users(folder: Path) -> dict[int, str]:
    rows = pq.read_table(folder / "assembled.parquet", columns=["user_idx", "user_id"]).to_pylist()
    return {row["user_idx"]: row["user_id"] for row in rows}


def name_of(column: str, number: int, users: dict[int, str]) -> str:
    if column == "user_market":
        return str(number)
    if column == "user_idx":
        return users[number]
    return {value: name for name, value in NUMBERS[column].items()}[number]


def test_every_feature_is_worked_out_at_least_once() -> None:
    worked = {name for rows in EXPECTED.values() for row in rows.values() for name in row}
    assert worked == set(feature_meanings())


@pytest.mark.parametrize("table", TABLES)
def test_every_column_has_a_line_of_meaning_and_every_line_a_column(folder: Path, table: str) -> None:
    prefixes = {"user_item": "pair_", "market_item": "market_", "promotion": "item_promot"}
    prefix = prefixes.get(table, f"{table.removeprefix('user_')}_")
    other = () if table == "promotion" else ("item_promot",)
    meanings = {name for name in feature_meanings() if name.startswith(prefix) and not name.startswith(other)}
    columns = set(pq.read_schema(folder / f"{table}.parquet").names) - KEYS
    assert columns == meanings
    assert all(feature_meanings()[name].strip() for name in columns)


def test_assembled_rows_have_every_feature_in_order(folder: Path) -> None:
    schema = pq.read_schema(folder / "assembled.parquet")
    names = feature_names(("popularity", "als"))
    assert schema.names == ["user_id", "item_id", "user_idx", "item_idx", *names]
    assert {str(schema.field(name).type) for name in names} == {"float"}
    assert generator_features(GENERATORS)[-1] == "fused_rank"
    assert set(names) == {*feature_meanings(), *CROSSED} | set(generator_features(("popularity", "als")))


def test_gathered_rows_are_those_that_are_joined(folder: Path) -> None:
    joined = pq.read_table(folder / "assembled.parquet")
    columns = [joined[name].to_numpy() for name in feature_names(("popularity", "als"))]
    gathered = np.load(folder / "gathered.npy")
    assert gathered.dtype == np.float32
    np.testing.assert_array_equal(gathered, np.column_stack(columns))


def test_assembled_values_by_hand(folder: Path) -> None:
    rows = pq.read_table(folder / "assembled.parquet").to_pylist()
    row = {(row["user_id"], row["item_id"]): row for row in rows}
    assert len(rows) == len(row) == 6
    ann = row["ann", "A"]
    assert ann["pair_overdue_item"] == pytest.approx(10 / 30)
    assert ann["category_breadth"] == pytest.approx(2 / 5)
    assert ann["pair_category_share"] == pytest.approx(3 / 5)
    assert ann["category_overdue"] == pytest.approx(2 / 30)
    assert ann["price_to_category"] == pytest.approx((15 / 7) / (20 / 8))
    assert ann["item_first_share"] == pytest.approx(1 / 2)
    assert (ann["market_promoted"], row["bob", "A"]["market_promoted"]) == (1, 1)
    assert ann["user_lines"] == 6
    assert ann["item_buyers"] == 2
    assert ann["brand_lines"] == 4
    assert ann["family_lines"] == 6
    assert (ann["popularity_rank"], ann["popularity_score"], ann["als_rank"], ann["fused_rank"]) == (1, 0.5, None, 1)
    assert row["ann", "C"]["pair_overdue_item"] is None  # nobody bought C twice
    unknown = row["bob", "B"]
    assert unknown["pair_lines"] is None
    assert (unknown["category_lines"], unknown["brand_lines"], unknown["item_lines"]) == (1, None, 2)


def test_the_hash_of_the_features_is_stable_within_a_checkout() -> None:
    assert features_hash() == features_hash()
    assert len(features_hash()) == 16


def test_sums_do_not_depend_on_threads(tmp_path: Path) -> None:
    """Bytes of the tables are equal for one thread and two, on many purchases with awkward ages."""
    random = np.random.default_rng(1)
    events = [
        Event(f"u{n % 7}", "ABC"[int(random.integers(3))], CUT - days(float(random.uniform(0.001, 300))), value=0.1)
        for n in range(3000)
    ]
    contents = []
    for threads in (1, 2):
        settings = quick_settings(tmp_path / str(threads), threads=threads)
        write_shop(settings, users=[f"u{n}" for n in range(7)], items=ITEMS, events=events)
        snapshot = Snapshot.open(take_snapshot(settings, as_of="latest", now=NOW).uri)
        place = tmp_path / f"tables {threads}"
        place.mkdir()
        with engine(settings) as connection:
            snapshot.attach(connection)
            lay_cut(connection, CUT)
            compute_tables(connection, place)
        contents.append({name: (place / f"{name}.parquet").read_bytes() for name in TABLES})
    assert contents[0] == contents[1]
