"""Is a trained model sound: its release against its evaluation twin, and how long it takes beside the champion.

Twin and release learn by one recipe, the release from one window more. On the same candidates they must order
alike; where they don't, the twin's figures say nothing about what would go live.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

import duckdb
import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from recsys.compute import write_parquet
from recsys.evaluation.metrics import NOTHING, shown_matrix
from recsys.evaluation.roles import K
from recsys.lists import Lists
from recsys.ranking import Ranker, RankingSet, write_ranking_rows
from recsys.ranking.ingredients import Ingredients
from recsys.settings import PlacementSettings, Settings

TIMED_CUSTOMERS: Final = 1000
TIMES: Final = 5  # that each model scores them
PERCENTILE: Final = 95


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


@dataclass(frozen=True)
class Timed:
    """What is timed of a model.

    Attributes:
        ranker: it.
        made_of: the proposals and features that its candidates are made of.
        rules: how they are made of them.
    """

    ranker: Ranker
    made_of: Ingredients
    rules: PlacementSettings


def scoring_times(settings: Settings, models: Mapping[str, Timed], cut: datetime) -> dict[str, float]:
    """Time how long models take to score the same customers, in turns, so that a busy machine slows all.

    Timed is what grows with customers: to fuse the generators' proposals, join the features, and rank. What is fitted
    once for everybody (similarities, factors, counts, features of products) is not, nor are the generators' proposals,
    which a training makes for all customers at once.

    Args:
        settings: in force, for threads and memory.
        models: by name.
        cut: the moment to score at.

    Returns:
        The 95th percentile of each model's seconds for the first ``TIMED_CUSTOMERS`` customers.
    """
    taken: dict[str, list[float]] = {name: [] for name in models}
    with ExitStack() as stack:
        work = Path(stack.enter_context(TemporaryDirectory()))
        scorers = {
            name: stack.enter_context(_prepared(settings, one, cut, work / name)) for name, one in models.items()
        }
        for _ in range(TIMES):
            for name, score in scorers.items():
                begun = perf_counter()
                score()
                taken[name].append(perf_counter() - begun)
    return {name: float(np.percentile(seconds, PERCENTILE)) for name, seconds in taken.items()}


@contextmanager
def _prepared(settings: Settings, model: Timed, cut: datetime, work: Path) -> Iterator[Callable[[], int]]:
    """Give what scores the first customers, and returns how many candidates they had."""
    work.mkdir()
    path, generators = work / "candidates.parquet", model.made_of.generators
    with model.made_of.laid(settings, cut) as connection:
        proposals = _of_first_customers(connection, model.made_of.files(cut, model.rules), work)

        def score() -> int:
            write_ranking_rows(connection, model.rules, proposals, generators, path, negatives=None, seed=settings.seed)
            rows = RankingSet.read([path])
            wanted = [rows.names.index(name) for name in model.ranker.names]
            return len(model.ranker.scores(rows.features[:, wanted], settings.thread_count)) if len(rows.labels) else 0

        yield score


def _of_first_customers(
    connection: duckdb.DuckDBPyConnection, proposals: Mapping[str, Path], work: Path
) -> dict[str, Path]:
    """Write the proposals for the first customers who have any, and return their files."""
    connection.execute(
        f"create or replace temp table timed as select distinct user_idx from read_parquet($files) "
        f"order by user_idx limit {TIMED_CUSTOMERS}",
        {"files": [str(path) for path in proposals.values()]},
    )
    query = "select * from read_parquet($file) semi join timed using (user_idx) order by user_idx, rank"
    own = {name: work / f"{name}.parquet" for name in proposals}
    for name, path in proposals.items():
        write_parquet(connection, query, own[name], {"file": str(path)})
    return own
