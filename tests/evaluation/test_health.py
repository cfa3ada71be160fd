"""A release beside its twin, and times, on rankers whose order is known."""

import lightgbm as lgb
import numpy as np
import pytest

from recsys.evaluation.health import TIMED_CUSTOMERS, first_customers, ranking_times, release_figures
from recsys.ranking import Ranker, RankingSet

ITEMS = 20


def ranker(signs: tuple[float, float]) -> Ranker:
    """Return a ranker of two columns that follows signs * columns."""
    random = np.random.default_rng(0)
    features = random.random((4000, 2)).astype(np.float32)
    target = features @ np.array(signs)
    data = lgb.Dataset(features, target, feature_name=["a", "b"])
    booster = lgb.train({"objective": "regression", "verbosity": -1, "num_threads": 1, "seed": 1}, data, 60)
    return Ranker(booster, ("a", "b"))


def rows(customers: int) -> RankingSet:
    """Return candidates; for every customer column a rises with the item and column b falls."""
    rise = np.tile(np.linspace(0, 1, ITEMS, dtype=np.float32), customers)
    return RankingSet(
        features=np.column_stack([rise, 1 - rise]),
        labels=np.zeros(customers * ITEMS, np.int8),
        user_idx=np.repeat(np.arange(customers, dtype=np.int32), ITEMS),
        item_idx=np.tile(np.arange(ITEMS, dtype=np.int32), customers),
        groups=np.full(customers, ITEMS, np.int32),
        names=("a", "b"),
    )


def test_a_ranker_is_like_itself() -> None:
    one = ranker((1, 0))
    assert release_figures(one, one, rows(5), 1) == {"overlap": 1.0, "score_distance": 0.0}


def test_a_ranker_that_turns_the_order_round_shares_nothing_of_twenty() -> None:
    found = release_figures(ranker((1, 0)), ranker((0, 1)), rows(5), 1)
    assert found["overlap"] == 0
    assert found["score_distance"] < 0.2  # the same scores, for other products


def test_the_scale_of_scores_does_not_count() -> None:
    found = release_figures(ranker((1, 0)), ranker((9, 0)), rows(5), 1)
    assert found["overlap"] > 0.9
    assert found["score_distance"] < 0.2


def test_a_ranker_that_scores_nearly_all_alike_lies_apart() -> None:
    constant = ranker((0, 0))
    found = release_figures(ranker((1, 0)), constant, rows(5), 1)
    assert found["score_distance"] >= 0.5


def test_nothing_to_rank_is_nothing_to_tell() -> None:
    assert release_figures(ranker((1, 0)), ranker((1, 0)), rows(0), 1) == {}


def test_a_ranking_is_timed_on_a_thousand_customers_by_the_columns_of_its_own() -> None:
    one = Ranker(ranker((1, 0)).booster, ("b", "a"))
    features = first_customers(rows(TIMED_CUSTOMERS + 50), one)
    assert features.shape == (TIMED_CUSTOMERS * ITEMS, 2)
    assert features[0].tolist() == pytest.approx([1, 0])
    found = ranking_times({"new": (one, features), "old": (one, features[:ITEMS])}, 1)
    assert set(found) == {"new", "old"}
    assert all(seconds > 0 for seconds in found.values())
