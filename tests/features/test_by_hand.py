"""Every feature, worked out by hand on a shop of nine purchases."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.compute import engine
from recsys.cuts import lay_cut
from recsys.features import TABLES, FeatureTables, compute_tables, feature_meanings, features_hash, tables
from recsys.features.assemble import CROSSED, assemble, feature_names, generator_features
from recsys.fusion import Candidates
from recsys.ranking.ranking_set import attach_features
from recsys.settings import GENERATORS
from recsys.snapshot import Snapshot, take_snapshot
from tests.support.by_hand import CUT, EVENTS, EXPECTED, ITEMS, KEYS, PROMOTIONS
from tests.support.planted import NOW, Event, days, quick_settings, write_shop


@pytest.fixture(scope="module", params=[tables.CUSTOMERS_AT_ONCE, 1], ids=["together", "one by one"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The feature tables at the cut, with customers and the first product of each group by name.

    What products sold is summed up of so many customers at once.
    """
    place = tmp_path_factory.mktemp("features")
    settings = quick_settings(place)
    write_shop(settings, users=["ann", "bob"], items=ITEMS, events=EVENTS, promotions=PROMOTIONS)
    snapshot = Snapshot.open(take_snapshot(settings, as_of="latest", now=NOW).uri)
    with engine(settings) as connection, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "CUSTOMERS_AT_ONCE", request.param)
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
