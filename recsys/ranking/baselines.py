"""Baseline rankers of scikit-learn on the ranker's own rows: what a simpler model would have made of them.

They judge each row by itself (bought or not), are compared with the ranker in every report, and are never served
nor kept: only their scores are.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recsys import columns as c
from recsys.ranking.ranking_set import RankingSet
from recsys.settings import Settings

BASELINE_RANKERS: Final = ("logistic", "tree", "forest")
MOST_ROWS: Final = 50_000  # more hardly teach these models anything, and take their time
SCORES_FILE: Final = "baselines.parquet"  # beside a placement's rankers
BLOCK: Final = 100_000
RankingKeys: TypeAlias = tuple[NDArray[np.int32], NDArray[np.int32]]


def score_baselines(
    learned_from: RankingSet, measured: RankingSet, settings: Settings
) -> dict[str, NDArray[np.float32]]:
    """Train every baseline ranker and score rows with it; the same rows give the same scores for any threads.

    Args:
        learned_from: rows of the training cuts, some bought and some not.
        measured: (r,) rows to score.
        settings: give seed and threads.

    Returns:
        (r,) probabilities by model.
    """
    rows = _draw(len(learned_from.labels), settings.seed)
    features, is_bought = _finite(learned_from.features[rows]), learned_from.labels[rows] > 0
    scores = {}
    for name in BASELINE_RANKERS:
        model = _make(name, settings)
        # A matrix product that is shared among threads adds in another order.
        with threadpool_limits(1):
            model.fit(features, is_bought)
            blocks = [_probability(model, block) for block in _blocks(measured.features)]
        scores[name] = np.concatenate([np.empty(0, np.float32), *blocks])
    return scores


def write_scores(measured: RankingSet, scores: dict[str, NDArray[np.float32]], path: Path) -> None:
    """Write user_idx, item_idx and each model's score."""
    keys = {c.USER_IDX: measured.user_idx, c.ITEM_IDX: measured.item_idx}
    pq.write_table(pa.table({**keys, **scores}), path, compression="zstd")


def read_scores(path: Path) -> tuple[RankingKeys, dict[str, NDArray[np.float32]]]:
    """Read what ``write_scores`` wrote: (user_idx, item_idx), and the scores by model."""
    table = pq.read_table(path)
    users, items, *scores = (table[name].to_numpy() for name in table.column_names)
    return (users, items), dict(zip(table.column_names[2:], scores, strict=True))


def _draw(count: int, seed: int) -> NDArray[np.int64]:
    if count <= MOST_ROWS:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, MOST_ROWS, replace=False))


def _make(name: str, settings: Settings) -> Any:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    if name == "logistic":
        fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        return make_pipeline(fill, StandardScaler(), LogisticRegression(max_iter=200))
    if name == "tree":
        return DecisionTreeClassifier(max_depth=8, min_samples_leaf=100, random_state=settings.seed)
    return RandomForestClassifier(
        n_estimators=30,
        max_depth=10,
        min_samples_leaf=20,
        max_samples=0.5,
        random_state=settings.seed,
        n_jobs=settings.thread_count,
    )


def _probability(model: Any, features: NDArray[np.float32]) -> NDArray[np.float32]:
    if not hasattr(model, "estimators_"):
        return np.asarray(model.predict_proba(features)[:, 1], np.float32)
    # The forest's own way adds up its trees as threads end, so in any order.
    total = np.zeros(len(features))
    for tree in model.estimators_:
        total += tree.predict_proba(features)[:, 1]
    return np.asarray(total / len(model.estimators_), np.float32)


def _blocks(features: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(features), BLOCK):
        yield _finite(features[start : start + BLOCK])


def _finite(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the features with what is infinite made unknown: these models know NaN, and not that."""
    return np.where(np.isinf(features), np.float32(np.nan), features)
