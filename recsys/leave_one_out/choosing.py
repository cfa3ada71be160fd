"""Chooses on the validation item what the whole system is: a ranker, the plain fusion, or one generator alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recsys.leave_one_out.holding import Labels
from recsys.lists import rank_within
from recsys.ranking.ranking_set import RankingSet
from recsys.settings import LearnerSettings

K: Final = 10
FEWEST_POSITIVES: Final = 30  # customers whose item is a candidate; a ranker that learns from fewer says nothing

_LEARNER: Final = LearnerSettings(
    negatives=60,
    objective="binary",
    truncation=10,
    trees=120,
    leaves=15,
    learning_rate=0.07,
    min_rows_in_leaf=100,
    l2=10.0,
    feature_fraction=0.5,
    bagging_fraction=0.8,
)
LEARNERS: Final[Mapping[str, LearnerSettings]] = {
    "ranker_binary": _LEARNER,
    "ranker_lambdarank": _LEARNER.model_copy(update={"objective": "lambdarank"}),
    "ranker_small": _LEARNER.model_copy(update={"leaves": 7, "trees": 80}),
}


@dataclass(frozen=True)
class Tried:
    """NDCG@10 of the validation item of every customer, by what was tried; the simplest first."""

    values: Mapping[str, NDArray[np.float64]]

    @property
    def means(self) -> dict[str, float]:
        """The mean of each."""
        return {name: float(found.mean()) for name, found in self.values.items()}

    def best(self, names: Sequence[str] | None = None) -> str:
        """Return the name of the best (of equals the first, which is the simplest), of all or of some."""
        means = self.means
        return max(names or means, key=lambda name: means[name])


def ranked_ndcg(rows: RankingSet, scores: NDArray[np.floating], labels: Labels) -> NDArray[np.float64]:
    """Return NDCG@10 of each customer of ``labels`` when candidates are ranked by scores."""
    order, rank = rank_within(rows.user_idx, rows.item_idx, scores, K)
    hit = rows.labels[order] > 0
    found = np.zeros(len(labels.users))
    found[np.searchsorted(labels.users, rows.user_idx[order][hit])] = 1 / np.log2(rank[hit] + 1.0)
    return found
