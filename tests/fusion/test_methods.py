"""The fusion methods by hand, and what must hold for each."""

from itertools import product
from math import sqrt
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as config
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys.fusion import METHODS, fuse
from recsys.settings import FusionRules, FusionSwitch, PlacementSettings
from tests.support.proposed import write_proposals

Rows = list[tuple[int, int, float, int]]
NAMES = ("popularity", "als")
WEIGHTED = [name for name, method in METHODS.items() if method.is_weighted]
# The first customer's lists have one product in common, the second's come from one generator alone.
PROPOSED: dict[str, Rows] = {
    "popularity": [(1, 10, 9.0, 1), (1, 11, 8.0, 2), (1, 13, 5.0, 3), (2, 10, 1.0, 1)],
    "als": [(1, 11, 0.5, 1), (1, 12, 0.4, 2)],
}


def files(folder: Path, proposed: dict[str, Rows] = PROPOSED) -> dict[str, Path]:
    return {name: write_proposals(folder / f"{name}.parquet", rows) for name, rows in proposed.items()}


def fused(
    folder: Path, proposed: dict[str, Rows] = PROPOSED, generators: tuple[str, ...] = NAMES, **settings: object
) -> dict[int, dict[int, float]]:
    """Return each customer's products, best first, with their scores."""
    with duckdb.connect() as connection:
        fuse(connection, files(folder, proposed), generators, PlacementSettings(**settings))
        rows = connection.execute(
            "select user_idx, item_idx, fused_score, fused_rank from candidates order by user_idx, fused_rank"
        ).fetchall()
    found: dict[int, dict[int, float]] = {}
    for user, item, score, rank in rows:
        found.setdefault(user, {})[item] = score
        assert rank == len(found[user])
    return found


def order(found: dict[int, dict[int, float]], user: int = 1) -> list[int]:
    return list(found[user])


def test_reciprocal_ranks_by_hand(tmp_path: Path) -> None:
    found = fused(tmp_path, fusion="rrf")
    assert found[1] == pytest.approx({11: 1 / 62 + 1 / 61, 10: 1 / 61, 12: 1 / 62, 13: 1 / 63})
    assert order(found) == [11, 10, 12, 13]
    assert found[2] == pytest.approx({10: 1 / 61})


def test_scores_between_lowest_and_highest_by_hand(tmp_path: Path) -> None:
    found = fused(tmp_path, fusion="scores")
    # popularity: 10 -> 1, 11 -> (8 - 5) / 4, 13 -> 0; als: 11 -> 1, 12 -> 0; equal scores go to the lower item.
    assert found[1] == pytest.approx({11: 1.75, 10: 1.0, 12: 0.0, 13: 0.0})
    assert order(found) == [11, 10, 12, 13]
    assert found[2] == pytest.approx({10: 1.0})


def test_z_scores_by_hand(tmp_path: Path) -> None:
    found = fused(tmp_path, fusion="scores", normalise="z")
    deviation = sqrt(((9 - 22 / 3) ** 2 + (8 - 22 / 3) ** 2 + (5 - 22 / 3) ** 2) / 3)
    assert found[1] == pytest.approx({10: 4 / deviation, 11: 3 / deviation + 0.1 / 0.05, 12: 0.0, 13: 0.0}, rel=1e-6)


def test_the_union_takes_turns(tmp_path: Path) -> None:
    found = fused(tmp_path, fusion="union")
    assert found[1] == pytest.approx({10: 1.0, 11: 1.0, 12: 1 / 2, 13: 1 / 3})
    twice = fused(tmp_path, fusion="union", weights={"als": 3.0})
    assert order(twice) == [11, 12, 10, 13]


def test_rules_by_hand(tmp_path: Path) -> None:
    rules = FusionRules(order=("als",), quotas={"als": 1, "popularity": 2})
    # als gives 11, popularity gives 10 (11 is there already); then by rank: 12 (rank 2), 13 (rank 3).
    assert order(fused(tmp_path, fusion="rules", rules=rules)) == [11, 10, 12, 13]
    # All of als' turn comes before popularity's.
    rules = FusionRules(order=("als",), quotas={"als": 5, "popularity": 5})
    assert order(fused(tmp_path, fusion="rules", rules=rules)) == [11, 12, 10, 13]
    # Without a turn, a generator's products come last.
    rules = FusionRules(order=("als",), quotas={"als": 0, "popularity": 1})
    assert order(fused(tmp_path, fusion="rules", rules=rules)) == [10, 11, 12, 13]


def test_without_quotas_the_turns_are_equal_shares(tmp_path: Path) -> None:
    rows = {
        "popularity": [(1, item, 1 / item, item) for item in range(1, 21)],
        "als": [(1, 100 + item, 1 / item, item) for item in range(1, 21)],
    }
    found = order(fused(tmp_path, rows, fusion="rules", rules=FusionRules(order=("als",)), fused=10))
    assert found == [101, 102, 103, 104, 105, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("switch", "switched"),
    [
        (FusionSwitch(segments=("young",), order=("als",), quotas={"als": 5}), {1}),
        (FusionSwitch(max_purchases=3, order=("als",), quotas={"als": 5}), {2, 3}),
        (FusionSwitch(max_purchases=0, order=("als",), quotas={"als": 5}), {3}),
        (FusionSwitch(segments=("old",), max_purchases=3, order=("als",), quotas={"als": 5}), {2}),
        (FusionSwitch(segments=("it's",), order=("als",), quotas={"als": 5}), set()),
    ],
)
def test_a_switch_holds_for_its_customers(tmp_path: Path, switch: FusionSwitch, switched: set[int]) -> None:
    """Customers: 1 is young and bought much, 2 is old and bought 3 lines, 3 is new and of no segment."""
    rows = {
        "popularity": [(user, 10, 1.0, 1) for user in (1, 2, 3)],
        "als": [(user, 20, 1.0, 1) for user in (1, 2, 3)],
    }
    placement = PlacementSettings(fusion="rules", rules=FusionRules(order=("popularity",), switches=(switch,)))
    with duckdb.connect() as connection:
        connection.execute(
            "create table users as select * from (values (1, 'young'), (2, 'old'), (3, null)) as t(user_idx, segment)"
        )
        connection.execute(
            "create table features_user as select * from (values (1, 50), (2, 3)) as t(user_idx, user_lines)"
        )
        fuse(connection, files(tmp_path, rows), NAMES, placement)
        first = connection.execute("select user_idx, item_idx from candidates where fused_rank = 1").fetchall()
    assert {user for user, item in first if item == 20} == switched


def test_the_first_switch_that_fits_is_taken(tmp_path: Path) -> None:
    rows = {name: [(1, 10 * (n + 1), 1.0, 1)] for n, name in enumerate(("popularity", "als", "item_cf"))}
    switches = tuple(FusionSwitch(max_purchases=100, order=(name,)) for name in ("item_cf", "als"))
    placement = PlacementSettings(fusion="rules", rules=FusionRules(switches=switches))
    with duckdb.connect() as connection:
        connection.execute("create table users as select 1 as user_idx, 'a' as segment")
        connection.execute("create table features_user as select 1 as user_idx, 7 as user_lines")
        fuse(connection, files(tmp_path, rows), tuple(rows), placement)
        assert connection.execute("select item_idx from candidates where fused_rank = 1").fetchall() == [(30,)]


@pytest.mark.parametrize("method", WEIGHTED)
def test_weights_turn_the_order(tmp_path: Path, method: str) -> None:
    rows: dict[str, Rows] = {"popularity": [(1, 10, 1.0, 1), (1, 1, 0.5, 2)], "als": [(1, 20, 1.0, 1), (1, 2, 0.5, 2)]}
    assert order(fused(tmp_path, rows, fusion=method, weights={"als": 0.5}))[0] == 10
    assert order(fused(tmp_path, rows, fusion=method, weights={"als": 2.0}))[0] == 20
    assert order(fused(tmp_path, rows, fusion=method, weights={"popularity": 0.0}))[0] == 20


@pytest.mark.parametrize("method", METHODS)
def test_equal_scores_go_to_the_lower_item_and_the_rest_is_cut(tmp_path: Path, method: str) -> None:
    rows = [(1, item, 1.0, rank) for rank, item in enumerate(range(30, 10, -1), start=1)]
    same = {"popularity": [(user, item, score, 1) for user, item, score, _ in rows]}
    assert order(fused(tmp_path, same, fusion=method, fused=10)) == list(range(11, 21))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("absent", [True, False], ids=["no file", "no rows"])
def test_a_generator_without_proposals_leaves_empty_columns(tmp_path: Path, method: str, absent: bool) -> None:
    proposed = {"popularity": PROPOSED["popularity"]} | ({} if absent else {"als": []})
    with duckdb.connect() as connection:
        fuse(connection, files(tmp_path, proposed), NAMES, PlacementSettings(fusion=method))
        columns = [name for name, *_ in connection.execute("describe candidates").fetchall()]
        assert connection.execute("select count(als_rank), count(als_score), count(*) from candidates").fetchall() == [
            (0, 0, 4)
        ]
    assert columns == [
        *("user_idx", "item_idx", "popularity_score", "popularity_rank", "als_score", "als_rank"),
        *("fused_score", "fused_rank"),
    ]


@pytest.mark.parametrize("method", METHODS)
def test_no_proposals_at_all_are_no_candidates(tmp_path: Path, method: str) -> None:
    assert fused(tmp_path, {"popularity": [], "als": []}, fusion=method) == {}


@pytest.mark.parametrize("normalise", ["minmax", "z"])
def test_scores_that_are_all_equal_count_one_each(tmp_path: Path, normalise: str) -> None:
    rows: dict[str, Rows] = {
        "popularity": [(1, 10, 7.0, 1), (1, 11, 7.0, 2)],
        "als": [(1, 11, 2.0, 1), (1, 12, 0.0, 2)],
    }
    als = 1.0 if normalise == "minmax" else 2.0
    assert fused(tmp_path, rows, fusion="scores", normalise=normalise)[1] == pytest.approx({11: 1 + als, 10: 1, 12: 0})


@pytest.mark.parametrize("normalise", ["minmax", "z"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_no_number_counts_nothing(tmp_path: Path, normalise: str, bad: float) -> None:
    rows: dict[str, Rows] = {"popularity": [(1, 10, bad, 1), (1, 11, 3.0, 2), (1, 12, 1.0, 3)]}
    found = fused(tmp_path, rows, fusion="scores", normalise=normalise)[1]
    assert list(found) == [11, 10, 12]
    assert found[10] == found[12] == 0


@pytest.mark.parametrize(("method", "normalise"), [*product(METHODS, ["minmax"]), ("scores", "z")])
def test_the_same_for_any_number_of_threads(tmp_path: Path, method: str, normalise: str) -> None:
    random = np.random.default_rng(1)
    rows: dict[str, Rows] = {}
    for name in NAMES:
        rows[name] = [
            (user, int(item), float(score), rank)
            for user in range(700)
            for rank, (item, score) in enumerate(
                zip(random.choice(500, 40, replace=False), -np.sort(-random.random(40)), strict=True), start=1
            )
        ]
    made = files(tmp_path, rows)
    found = []
    for threads in (1, 2, 4):
        with duckdb.connect(config={"threads": threads}) as connection:
            placement = PlacementSettings(fusion=method, normalise=normalise)
            fuse(connection, made, NAMES, placement)
            found.append(connection.execute("from candidates order by user_idx, fused_rank").fetchall())
    assert found[0] == found[1] == found[2]


@config(deadline=None, max_examples=25)
@given(st.data())
def test_every_method_keeps_the_best_of_the_same_products(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever is proposed: ranks are 1, 2, ..., nothing is invented, and little is left out only if much is there."""
    folder = tmp_path_factory.mktemp("any")
    proposed: dict[str, Rows] = {}
    for name in NAMES:
        items = data.draw(st.lists(st.integers(0, 40), unique=True, max_size=25))
        scores = sorted(data.draw(st.lists(st.floats(0, 9, width=32), min_size=len(items), max_size=len(items))))[::-1]
        proposed[name] = [(3, item, score, n) for n, (item, score) in enumerate(zip(items, scores, strict=True), 1)]
    everything = {item for rows in proposed.values() for _, item, *_ in rows}
    for method in METHODS:
        found = fused(folder, proposed, fusion=method, fused=15).get(3, {})
        assert set(found) <= everything
        assert len(found) == min(15, len(everything))
        assert list(found.values()) == sorted(found.values(), reverse=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": {"alz": 1.0}}, "unknown generator 'alz'"),
        ({"weights": {"als": -1.0}}, "greater than or equal to 0"),
        ({"weights": {"als": float("nan")}}, "finite number"),
        ({"rules": {"order": ["alz"]}}, "unknown generator 'alz'"),
        ({"rules": {"quotas": {"als": -1}}}, "greater than or equal to 0"),
        ({"rules": {"switches": [{"order": ["als"]}]}}, "a switch needs a condition"),
        ({"fusion": "rules", "learn_weights": True}, "has no weights to learn"),
        ({"fusion": "median"}, "'rrf', 'scores', 'rules' or 'union'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PlacementSettings(**settings)
