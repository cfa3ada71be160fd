"""What settings of the ranker are judged by: months that came after those they learned from.

A fold is one validation cut with the training cuts before it. A ranker learns from a draw of the candidates, as in
any training, and is measured on all candidates of all customers who bought something, as in the evaluation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recsys.evaluation.metrics import Truth, hit_matrix, ndcg
from recsys.evaluation.roles import K
from recsys.lists import Lists
from recsys.ranking import RankingSet, train_ranker
from recsys.settings import LearnerSettings, Settings


@dataclass(frozen=True)
class Fold:
    """One validation cut.

    Attributes:
        name: the cut.
        learned_from: the files of rows, below the folder of a number of negatives, of the cuts before it.
        measured_on: the file with all candidates of the cut, below the same folder.
        truth: what was bought after it.
    """

    name: str
    learned_from: tuple[str, ...]
    measured_on: str
    truth: Truth


@dataclass(frozen=True)
class Validation:
    """All folds, and where their rows are.

    Attributes:
        folds: newest first.
        rows: returns the folder of rows drawn with so many negatives, made if need be.
    """

    folds: Sequence[Fold]
    rows: Callable[[int], Path]

    def measure(self, learner: LearnerSettings, settings: Settings) -> list[NDArray[np.float64]]:
        """Return NDCG@10 of every customer of each fold's truth; one without candidates has 0."""
        folder = self.rows(learner.negatives)
        return [self._measure(fold, folder, learner, settings) for fold in self.folds]

    def _measure(self, fold: Fold, folder: Path, learner: LearnerSettings, settings: Settings) -> NDArray[np.float64]:
        # Read anew for each trial: a fold's rows are much, and reading them is little beside learning from them.
        ranker = train_ranker(RankingSet.read([folder / name for name in fold.learned_from]), settings, learner)
        rows = RankingSet.read([folder / fold.measured_on])
        scores = ranker.scores(rows.features, settings.thread_count)
        lists = Lists.ranked(rows.user_idx, rows.item_idx, scores, K)
        return ndcg(hit_matrix(fold.truth, lists.user_idx, lists.item_idx, lists.rank, K), fold.truth.relevant)
