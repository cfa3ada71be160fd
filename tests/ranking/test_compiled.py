"""Compiled trees against LightGBM itself: the same scores to the last bit."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from recsys.ranking import ranker as rankers
from recsys.ranking.compiled import BLOCK, CompiledTrees
from recsys.ranking.ranker import Ranker

FEATURES, GROUPS, SIZE = 6, 60, 50
ODD = np.float32([0, -0.0, 1e-35, -1e-35, 1.5e-35, 1e-36, 1e-45, 1, 2, np.nan, np.inf, -np.inf, 3.4e38, -3.4e38])
ROWS = arrays(
    np.float32,
    st.tuples(st.integers(1, 2 * BLOCK + 1), st.just(FEATURES)),
    elements=st.sampled_from(ODD.tolist()) | st.floats(-3, 3, width=32),
    fill=st.nothing(),
)


def made(seed: int) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Rows of whole numbers and of others, with and without missing ones, and labels that depend on all of them."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(GROUPS * SIZE, FEATURES)).astype(np.float32)
    rows[:, 1] = np.round(rows[:, 1])
    rows[random.random(len(rows)) < 0.3, 2] = np.nan
    rows[random.random(len(rows)) < 0.5, 3] = 0
    rows[:, 4] *= random.choice([1e-34, 1e30], len(rows))
    wanted = rows[:, 0] * rows[:, 1] + np.nan_to_num(rows[:, 2], nan=1.5) + (rows[:, 3] == 0) + np.sign(rows[:, 4])
    return rows, (wanted + random.normal(size=len(rows)) > 1.5).astype(np.int8)


def trained(**parameters: Any) -> lgb.Booster:
    rows, labels = made(1)
    chosen = {"objective": "lambdarank", "num_leaves": 15, "min_data_in_leaf": 3, "verbosity": -1, "num_threads": 1}
    data = lgb.Dataset(rows, labels, group=[SIZE] * GROUPS, params={"min_data_in_bin": 1})
    return lgb.train({**chosen, **parameters}, data, 40)


BOOSTERS = {
    "two leaves": trained(num_leaves=2),
    "15 leaves": trained(),
    "31 leaves": trained(num_leaves=31, objective="rank_xendcg"),
    "63 leaves": trained(num_leaves=63),
    "deep": trained(num_leaves=40, max_depth=-1, learning_rate=1.5),
    "no missing": trained(use_missing=False),
    "one leaf": trained(min_data_in_leaf=GROUPS * SIZE),
}


@pytest.fixture(params=BOOSTERS)
def booster(request: pytest.FixtureRequest) -> lgb.Booster:
    return BOOSTERS[request.param]


def compiled(booster: lgb.Booster) -> CompiledTrees:
    trees = CompiledTrees.of(booster)
    assert trees is not None
    return trees


def test_other_rows_get_what_lightgbm_says(booster: lgb.Booster) -> None:
    rows, _ = made(2)
    assert (compiled(booster).scores(rows) == booster.predict(rows)).all()


@pytest.mark.parametrize("name", ["15 leaves", "63 leaves", "no missing"])
@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_so_do_odd_values(name: str, rows: NDArray[np.float32]) -> None:
    assert (compiled(BOOSTERS[name]).scores(rows) == BOOSTERS[name].predict(rows)).all()


def test_values_at_the_thresholds(booster: lgb.Booster) -> None:
    """The very float32 values between which a node tells apart."""
    found = booster.trees_to_dataframe().dropna(subset=["threshold"])
    bounds = found["threshold"].to_numpy(float).astype(np.float32)
    columns = found["split_feature"].str.removeprefix("Column_").astype(int).to_numpy()
    rows = np.zeros((3 * len(bounds), FEATURES), np.float32)
    near = (bounds, np.nextafter(bounds, np.float32(np.inf)), np.nextafter(bounds, np.float32(-np.inf)))
    rows[np.arange(len(rows)), np.tile(columns, 3)] = np.concatenate(near)
    if len(rows):
        assert (compiled(booster).scores(rows) == booster.predict(rows)).all()


@pytest.mark.parametrize(
    "parameters",
    [
        {"objective": "binary"},  # what it predicts is not the sum of the leaves
        {"num_leaves": 70},
        {"zero_as_missing": True},
        {"categorical_feature": "1"},
        {"linear_tree": True, "objective": "regression"},
    ],
    ids=str,
)
def test_what_only_lightgbm_follows_is_left_to_it(parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    booster = trained(**parameters)
    assert CompiledTrees.of(booster) is None
    monkeypatch.setattr(rankers, "COMPILED_FROM", 0)
    rows, _ = made(2)
    assert (Ranker(booster, ()).scores(rows, 1) == booster.predict(rows)).all()


def test_a_ranker_compiles_when_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = made(2)
    booster = BOOSTERS["15 leaves"]
    expected = booster.predict(rows)
    ranker = Ranker(booster, ())
    monkeypatch.setattr(Ranker, "followed", 0)
    monkeypatch.setattr(rankers, "COMPILED_FROM", 2 * len(rows) * booster.num_trees())
    for is_compiled in (False, True, True):
        assert (ranker.scores(rows, 1) == expected).all()
        assert ("_compiled" in vars(ranker)) is is_compiled
    assert (ranker.scores(np.asfortranarray(rows), 1) == expected).all()
    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(lambda part: ranker.scores(part, 1), np.array_split(rows, 50)))
    assert (np.concatenate(parts) == expected).all()
