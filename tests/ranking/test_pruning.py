"""The first look at all candidates: what it keeps of what the whole ranker would put first."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recsys.lists import Lists, leading
from recsys.ranking import Ranker, RankingSet, train_ranker
from recsys.ranking.pruning import first_look, survivors
from recsys.scoring import Recipe
from recsys.settings import PlacementSettings, RankerSettings
from tests.support.warehouse import make_settings

CUSTOMERS, CANDIDATES, FEATURES = 150, 200, 8
Scored = tuple[Ranker, RankingSet]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    """A ranker that learned what depends on several features together, and rows that it did not learn from."""
    settings = make_settings(tmp_path_factory.mktemp("home"), ranker=RankerSettings(min_rows_in_leaf=50))
    return train_ranker(made(1), settings), made(2)


def made(seed: int) -> RankingSet:
    random = np.random.default_rng(seed)
    features = random.normal(size=(CUSTOMERS * CANDIDATES, FEATURES)).astype(np.float32)
    features[:, 0] = np.tile(np.arange(CANDIDATES), CUSTOMERS)
    wanted = 2 * features[:, 1] + features[:, 2] * features[:, 3] + np.abs(features[:, 4]) - features[:, 0] / 50
    users = np.repeat(np.arange(CUSTOMERS, dtype=np.int32), CANDIDATES)
    return RankingSet(
        features,
        (random.random(len(users)) < 1 / (1 + np.exp(4 - wanted))).astype(np.int8),
        users,
        np.tile(np.arange(CANDIDATES, dtype=np.int32), CUSTOMERS),
        np.full(CUSTOMERS, CANDIDATES, np.int32),
        tuple(f"feature{number}" for number in range(FEATURES)),
    )


def kept_rows(scored: Scored, placement: PlacementSettings) -> NDArray[np.intp]:
    ranker, rows = scored
    return survivors(first_look(ranker, placement), rows.features, rows.user_idx, placement, 1)


def first_ten(scored: Scored, **settings: int) -> set[tuple[int, int]]:
    ranker, rows = scored
    kept = kept_rows(scored, PlacementSettings(**settings))
    lists = Lists.ranked(rows.user_idx[kept], rows.item_idx[kept], ranker.scores(rows.features[kept], 1), 10)
    return set(zip(lists.user_idx.tolist(), lists.item_idx.tolist(), strict=True))


def test_the_first_look_keeps_what_comes_first(scored: Scored) -> None:
    exact, found = first_ten(scored, first_trees=0), first_ten(scored)
    assert len(exact) == len(found) == 10 * CUSTOMERS
    assert len(exact & found) / len(exact) >= 0.99
    assert len(exact & first_ten(scored, first_trees=1, survivors=20)) / len(exact) < 0.99, "it is hard enough to tell"


def test_the_first_look_leaves_few_rows(scored: Scored) -> None:
    kept = kept_rows(scored, PlacementSettings())
    assert 60 * CUSTOMERS <= len(kept) < 62 * CUSTOMERS
    assert (np.diff(kept) > 0).all()


@pytest.mark.parametrize("settings", [{"first_trees": 0}, {"first_trees": 200}, {"survivors": 200}])
def test_without_a_first_look_all_rows_are_scored(scored: Scored, settings: dict[str, int]) -> None:
    kept = kept_rows(scored, PlacementSettings(**settings))
    assert kept.tolist() == list(range(CUSTOMERS * CANDIDATES))


def test_what_survives_is_scored_as_it_would_be(scored: Scored) -> None:
    ranker, rows = scored
    kept = kept_rows(scored, PlacementSettings())
    assert (ranker.scores(rows.features[kept], 1) == ranker.scores(rows.features, 1)[kept]).all()


def test_threads_may_ask_for_few_and_for_all_trees_at_once(scored: Scored) -> None:
    ranker, rows = scored
    asked = [ranker, first_look(ranker, PlacementSettings())]
    alone = [one.scores(rows.features, 1) for one in asked if one is not None]
    with ThreadPoolExecutor(2) as workers:
        together = list(workers.map(lambda one: one.scores(rows.features, 1), asked * 10))
    assert all((found == alone[number % 2]).all() for number, found in enumerate(together))


def test_the_best_of_each_customer_lead_and_equal_ones_with_them() -> None:
    users = np.array([3, 3, 3, 3, 5, 5, 9, 9, 9], np.int32)
    scores = np.array([0.1, 0.9, 0.5, 0.5, -1.0, -2.0, 1.0, 3.0, 2.0])
    assert leading(users, scores, 2).tolist() == [1, 2, 3, 4, 5, 7, 8]
    assert leading(users[:0], scores[:0], 2).tolist() == []


def test_models_of_before_have_no_first_look(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    recipe = Recipe.of(settings, "for_you")
    (tmp_path / "new").mkdir()
    recipe.save(tmp_path / "new")
    assert Recipe.load(tmp_path / "new").rules.first_trees == PlacementSettings().first_trees
    raw = json.loads(recipe.as_text())
    del raw["rules"]["first_trees"], raw["rules"]["survivors"]
    (tmp_path / "recipe.json").write_text(json.dumps(raw))
    assert Recipe.load(tmp_path).rules.first_trees == 0
