"""The ranking set: what counts as relevant, which candidates teach, and that the ranker is the same every time."""

from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.compute import engine
from recsys.cuts import lay_cut
from recsys.errors import ContractError
from recsys.history import read_history
from recsys.lists import group_sizes
from recsys.ranking import RankingSet, train_ranker, write_ranking_rows, write_truth
from recsys.ranking.ranking_set import sample_customers
from recsys.settings import PlacementSettings, RankerSettings, Settings, load_settings
from recsys.snapshot import Snapshot, take_snapshot
from tests.support.planted import NOW, Event, Version, days, quick_settings, write_shop

CUT = datetime(2024, 6, 1)
WINDOW = 28


def truth_of(settings: Settings, folder: Path, *events: Event) -> dict[tuple[str, str], tuple[bool, bool]]:
    """Return is_new and is_eligible of every relevant (customer, product) at the cut."""
    items = ["milk", "soap", "tea", "rare", Version("fuel", recommendable=False)]
    base = [Event("other", item, CUT - days(n + 1)) for n in range(3) for item in ("milk", "soap", "tea", "fuel")]
    end = Event("other", "milk", CUT + days(200))
    write_shop(settings, users=["ann", "bob", "other"], items=items, events=[*base, *events, end])
    snapshot = Snapshot.open(take_snapshot(settings, as_of="latest", now=NOW).uri)
    with engine(settings) as connection:
        snapshot.attach(connection)
        lay_cut(connection, CUT)
        history = read_history(connection, settings, CUT, snapshot.user_count)
        write_truth(connection, settings, history.items, folder / "truth.parquet")
        rows = connection.execute(
            "select user_id, item_id, is_new, is_eligible from read_parquet($1) join users using (user_idx) "
            "join items using (item_idx) where user_id <> 'other'",
            [str(folder / "truth.parquet")],
        ).fetchall()
    return {(user, item): (new, eligible) for user, item, new, eligible in rows}


def test_labels_by_hand(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    found = truth_of(
        settings,
        tmp_path,
        Event("ann", "milk", CUT - days(9)),
        Event("ann", "soap", CUT - days(9), kind="view"),
        Event("ann", "milk", CUT),  # the window's first moment: bought again
        Event("ann", "soap", CUT + days(27.9)),  # looked at before, so not new
        Event("ann", "tea", CUT + days(2)),  # new
        Event("ann", "rare", CUT + days(3)),  # never bought before, so nobody could recommend it
        Event("ann", "fuel", CUT + days(3)),  # not recommendable
        Event("bob", "milk", CUT + days(3)),  # has no purchase before the cut
    )
    assert found == {
        ("ann", "milk"): (False, True),
        ("ann", "soap"): (False, True),
        ("ann", "tea"): (True, True),
        ("ann", "rare"): (True, False),
    }


@pytest.mark.parametrize(("after", "counts"), [(-0.001, False), (0.0, True), (27.999, True), (28.0, False)])
def test_the_window_is_half_open(tmp_path: Path, after: float, counts: bool) -> None:
    found = truth_of(
        quick_settings(tmp_path),
        tmp_path,
        Event("ann", "milk", CUT - days(9)),
        Event("ann", "tea", CUT + days(after)),
    )
    assert (("ann", "tea") in found) == counts


@pytest.mark.parametrize(("returned", "counts"), [(10.0, False), (27.0, False), (28.0, True), (40.0, True)])
def test_what_is_returned_within_the_window_was_not_wanted(tmp_path: Path, returned: float, counts: bool) -> None:
    found = truth_of(
        quick_settings(tmp_path),
        tmp_path,
        Event("ann", "milk", CUT - days(9)),
        Event("ann", "tea", CUT + days(5)),
        Event("ann", "tea", CUT + days(returned), kind="return"),
    )
    assert (("ann", "tea") in found) == counts


CUSTOMERS, CANDIDATES = 12, 30


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[int, int, int]]]:
    """Rows (customer, product, label) by draw: customer n bought n of their 30 candidates, and two others."""
    folder = tmp_path_factory.mktemp("drawn")
    pairs = [(user, item) for user in range(CUSTOMERS) for item in range(CANDIDATES)]
    proposals = pa.table(
        {
            "user_idx": pa.array([user for user, _ in pairs], pa.int32()),
            "item_idx": pa.array([item for _, item in pairs], pa.int32()),
            "score": pa.array([1 / (1 + item) for _, item in pairs], pa.float32()),
            "rank": pa.array([item + 1 for _, item in pairs], pa.int16()),
        }
    )
    pq.write_table(proposals, folder / "popularity.parquet")
    truth = [(user, item * 2) for user in range(CUSTOMERS) for item in range(user)]
    truth += [(user, CANDIDATES + n) for user in range(CUSTOMERS) for n in range(2)]
    found = {}
    for name, negatives, seed, threads in (
        ("five", 5, 1, 2),
        ("again", 5, 1, 1),
        ("other seed", 5, 2, 2),
        ("all", None, 1, 2),
    ):
        with engine(load_settings(threads=threads, home=folder)) as connection:
            _empty_features(connection)
            table = pa.table(
                {
                    "user_idx": pa.array([user for user, _ in truth], pa.int32()),
                    "item_idx": pa.array([item for _, item in truth], pa.int32()),
                    "level": pa.array([1] * len(truth), pa.int8()),
                }
            )
            connection.register("labels", table)
            write_ranking_rows(
                connection,
                PlacementSettings(),
                {"popularity": folder / "popularity.parquet"},
                ("popularity",),
                folder / "rows.parquet",
                negatives=negatives,
                seed=seed,
            )
        rows = pq.read_table(folder / "rows.parquet", columns=["user_idx", "item_idx", "label"]).to_pylist()
        found[name] = [(row["user_idx"], row["item_idx"], row["label"]) for row in rows]
    return found


def _empty_features(connection: duckdb.DuckDBPyConnection) -> None:
    """Give the views that candidates are joined with, for 40 products that nobody has bought."""
    from recsys.features import compute_tables
    from recsys.ranking.ranking_set import attach_features

    connection.execute(
        "create temp table items_at_cut as select range::integer as item_idx, 'A > B' as category, 'C' as brand, "
        "timestamp '2024-01-01' as exists_from, true as exists_then from range(40)"
    )
    connection.execute(
        "create temp table purchases (cut_id integer, cut_at timestamp, user_idx integer, item_idx integer, "
        "occurred_at timestamp, basket_id text, market text, quantity decimal(18, 3), value decimal(18, 4), age double)"
    )
    connection.execute(
        "create temp table cuts as select 0 as cut_id, 0 as subject_id, timestamp '2024-06-01' as cut_at"
    )
    connection.execute(
        "create temp table promotions (item_idx integer, market text, starts_at timestamp, ends_at timestamp, "
        "known_at timestamp)"
    )
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        compute_tables(connection, Path(name))
        attach_features(connection, dict.fromkeys(_tables(), Path(name)))
        for table in _tables():
            connection.execute(f"create temp table kept_{table} as from features_{table}")
            connection.execute(f"create or replace view features_{table} as from kept_{table}")


def _tables() -> tuple[str, ...]:
    from recsys.features import TABLES

    return tuple(TABLES)


def test_all_that_was_bought_is_kept_and_at_most_n_others(drawn: dict[str, list[tuple[int, int, int]]]) -> None:
    rows = drawn["five"]
    for user in range(1, CUSTOMERS):
        own = [(item, label) for customer, item, label in rows if customer == user]
        assert {item for item, label in own if label} == {item * 2 for item in range(user)}
        assert sum(not label for _, label in own) == 5
    assert not [row for row in rows if row[0] == 0], "who bought none of their candidates teaches nothing"


def test_the_draw_is_that_of_the_seed(drawn: dict[str, list[tuple[int, int, int]]]) -> None:
    assert drawn["five"] == drawn["again"]
    assert drawn["five"] != drawn["other seed"]


def test_without_a_draw_every_candidate_is_there(drawn: dict[str, list[tuple[int, int, int]]]) -> None:
    assert len(drawn["all"]) == CUSTOMERS * CANDIDATES
    assert sum(label for *_, label in drawn["all"]) == sum(range(CUSTOMERS))


def test_rows_are_ordered_by_customer_and_fused_rank(drawn: dict[str, list[tuple[int, int, int]]]) -> None:
    assert [row[:2] for row in drawn["all"]] == sorted(row[:2] for row in drawn["all"])


def test_group_sizes_by_hand() -> None:
    assert group_sizes(np.array([3, 3, 3, 5, 9, 9], np.int32)).tolist() == [3, 1, 2]
    assert group_sizes(np.array([], np.int32)).tolist() == []
    assert group_sizes(np.array([1, 2, 1], np.int32)).tolist() == [1, 1, 1]


@given(st.lists(st.integers(0, 3), max_size=30))
def test_group_sizes_cover_every_row(users: list[int]) -> None:
    sizes = group_sizes(np.array(users, np.int32))
    assert sizes.sum() == len(users)
    assert (sizes > 0).all()


def write_rows(path: Path, seed: int, customers: int = 60) -> Path:
    random = np.random.default_rng(seed)
    users = np.repeat(np.arange(customers), 12)
    first, second = random.normal(size=(2, len(users))).astype(np.float32)
    second[random.random(len(users)) < 0.2] = np.nan
    pq.write_table(
        pa.table(
            {
                "user_idx": pa.array(users, pa.int32()),
                "item_idx": pa.array(np.tile(np.arange(12), customers), pa.int32()),
                "first": first,
                "second": second,
                "label": pa.array(first + random.normal(size=len(users)) > 1, pa.int8()),
            }
        ),
        path,
    )
    return path


def test_groups_of_two_cuts_do_not_join(tmp_path: Path) -> None:
    """The last customer of one cut may be the first of the next."""
    files = [write_rows(tmp_path / f"{n}.parquet", n, customers=1) for n in range(2)]
    rows = RankingSet.read(files)
    assert rows.groups.tolist() == [12, 12]
    assert rows.names == ("first", "second")
    assert rows.features.shape == (24, 2)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_are_all_rows_once_and_cut_no_customer_in_two(tmp_path: Path, count: int) -> None:
    files = [write_rows(tmp_path / f"{n}.parquet", n) for n in range(2)]
    whole = RankingSet.read(files)
    shares = [RankingSet.read_share(files, rank, count) for rank in range(count)]
    for name in ("features", "labels", "user_idx", "item_idx", "groups"):
        np.testing.assert_array_equal(
            np.concatenate([getattr(share, name) for share in shares]), getattr(whole, name), err_msg=name
        )
    sizes = [len(share.labels) for share in shares]
    assert max(sizes) - min(sizes) <= 2 * whole.groups.max()


def test_more_shares_than_customers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="RECSYS_RANKER__MACHINES lower"):
        RankingSet.read_share([write_rows(tmp_path / "rows.parquet", 1, customers=3)], 0, 4)


def test_the_ranker_is_the_same_for_any_number_of_threads(tmp_path: Path) -> None:
    rows = RankingSet.read([write_rows(tmp_path / f"{n}.parquet", n) for n in range(2)])
    texts = [
        train_ranker(rows, load_settings(threads=threads, ranker=RankerSettings(trees=15))).booster.model_to_string()
        for threads in (1, 2, 2)
    ]
    without = [text.replace("[num_threads: 1]", "").replace("[num_threads: 2]", "") for text in texts]
    assert without[0] == without[1] == without[2]


def test_the_ranker_finds_what_was_planted(tmp_path: Path) -> None:
    rows = RankingSet.read([write_rows(tmp_path / "rows.parquet", 1)])
    learned = train_ranker(rows, load_settings(threads=1, ranker=RankerSettings(trees=15)))
    assert learned.importance()[0]["feature"] == "first"
    scores = learned.scores(rows.features, 1)
    assert np.corrcoef(scores, rows.features[:, 0])[0, 1] > 0.8


def test_nothing_to_learn_from_says_what_to_do(tmp_path: Path) -> None:
    rows = RankingSet.read([write_rows(tmp_path / "rows.parquet", 1)])
    none = RankingSet(**{**rows.__dict__, "labels": np.zeros_like(rows.labels)})
    with pytest.raises(ContractError, match="No candidate was bought within the horizon"):
        train_ranker(none, load_settings())


def test_all_customers_are_taken_while_they_are_few() -> None:
    settings = load_settings(ranker=RankerSettings(max_customers=50))
    assert sample_customers(50, settings).tolist() == list(range(50))


def test_of_many_customers_a_seeded_draw_is_taken() -> None:
    settings = load_settings(ranker=RankerSettings(max_customers=50))
    one, two = sample_customers(1000, settings), sample_customers(1000, settings)
    assert one.tolist() == two.tolist() == sorted(set(one.tolist()))
    assert len(one) == 50
    assert one.max() < 1000
    assert sample_customers(1000, settings.model_copy(update={"seed": 1})).tolist() != one.tolist()


def test_horizons_are_a_setting(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path, ranker=RankerSettings(horizon_days=7))
    events = [Event("ann", "milk", CUT - days(9)), Event("ann", "tea", CUT + timedelta(days=8))]
    assert truth_of(settings, tmp_path, *events) == {}
