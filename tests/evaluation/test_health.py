"""A release beside its twin, and times, on rankers whose order is known."""

from pathlib import Path

import duckdb
import lightgbm as lgb
import numpy as np

from recsys.evaluation.health import _of_first_customers, release_figures
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


def test_a_thousand_customers_are_timed_with_all_that_every_generator_proposed_to_them(tmp_path: Path) -> None:
    """One generator proposes to even customers, the other to all from 5 on; those beyond the thousand stay out."""
    proposals = {}
    connection = duckdb.connect()
    for name, chosen in {"even": "user_idx % 2 = 0", "later": "user_idx >= 5"}.items():
        proposals[name] = tmp_path / f"all_{name}.parquet"
        connection.execute(
            "copy (select user_idx, item_idx, 0.5 as score, item_idx + 1 as rank from range(1007) as u(user_idx), "
            f"range(3) as i(item_idx) where {chosen}) to '{proposals[name]}' (format parquet)"
        )
    own = _of_first_customers(connection, proposals, tmp_path)
    counted = {
        name: connection.execute(f"select count(*), min(user_idx), max(user_idx) from '{path}'").fetchone()
        for name, path in own.items()
    }
    # 1 and 3 have no proposal, so the thousandth customer is 1001.
    assert counted == {"even": (3 * 501, 0, 1000), "later": (3 * 997, 5, 1001)}
