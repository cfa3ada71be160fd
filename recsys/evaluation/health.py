"""Is a trained model sound: its release against its evaluation twin, and how long it takes beside the champion.

Twin and release learn by one recipe, the release from one window more. On the same candidates they must order
alike; where they don't, the twin's figures say nothing about what would go live.
"""

from collections.abc import Mapping
from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from recsys.evaluation.metrics import NOTHING, shown_matrix
from recsys.evaluation.roles import K
from recsys.lists import Lists
from recsys.ranking import Ranker, RankingSet

TIMED_CUSTOMERS: Final = 1000
TIMES: Final = 20  # that each model ranks them
PERCENTILE: Final = 95

Features = NDArray[np.float32]


def release_figures(twin: Ranker, release: Ranker, rows: RankingSet, threads: int) -> dict[str, float]:
    """Compare how a twin and its release rank the same candidates.

    Args:
        twin: the ranker that was measured.
        release: the ranker that would go live.
        rows: candidates with features, of the columns of both.
        threads: to score with.

    Returns:
        ``overlap``: mean share of the first K of a twin's list that are among the first K of the release's;
        ``score_distance``: how far apart the two distributions of scores are (Wasserstein's first distance), in
        standard deviations: each score is taken less the mean and divided by the deviation of all, since a
        ranker's scale has no meaning; 0 for the same. Empty without candidates.
    """
    if not len(rows.user_idx):
        return {}
    scores = [one.scores(rows.features, threads) for one in (twin, release)]
    users = np.unique(rows.user_idx)
    lists = [Lists.ranked(rows.user_idx, rows.item_idx, own, K) for own in scores]
    old, new = (shown_matrix(users, one.user_idx, one.item_idx, one.rank, K) for one in lists)
    kept = ((old[:, :, None] == new[:, None, :]) & (old != NOTHING)[:, :, None]).any(axis=2).sum(axis=1)
    overlap = kept / np.maximum((old != NOTHING).sum(axis=1), 1)
    distance = wasserstein_distance(_standardised(scores[0]), _standardised(scores[1]))
    return {"overlap": float(overlap.mean()), "score_distance": float(distance)}


def _standardised(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((scores - scores.mean()) / (scores.std() or 1.0))


def first_customers(rows: RankingSet, ranker: Ranker) -> Features:
    """Return a ranker's columns of the candidates of the first ``TIMED_CUSTOMERS`` customers."""
    count = int(rows.groups[:TIMED_CUSTOMERS].sum())
    wanted = [rows.names.index(name) for name in ranker.names]
    return rows.features[:count][:, wanted]


def ranking_times(models: Mapping[str, tuple[Ranker, Features]], threads: int) -> dict[str, float]:
    """Time how long models take to rank the same customers' candidates, in turns, so that a busy machine slows all.

    Args:
        models: by name, a ranker and the features of its own candidates.
        threads: to score with.

    Returns:
        The 95th percentile of each model's seconds.
    """
    taken: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(TIMES):
        for name, (ranker, features) in models.items():
            begun = perf_counter()
            ranker.scores(features, threads)
            taken[name].append(perf_counter() - begun)
    return {name: float(np.percentile(seconds, PERCENTILE)) for name, seconds in taken.items()}
