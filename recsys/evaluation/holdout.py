"""One placement's models on the hold-out, from the artifacts of a training."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recsys import columns as c
from recsys.artifacts import local_path
from recsys.cuts import CutPlan, cut_name
from recsys.evaluation.metrics import hit_matrix, ndcg
from recsys.evaluation.models import FUSED, RANKER, K, compare_models, read_truth
from recsys.lists import Lists
from recsys.ranking import Ranker, RankingSet
from recsys.settings import Settings
from recsys.snapshot import Snapshot

SMALLEST_SEGMENT = 30  # customers; a mean over fewer says little
CURVE_POINTS = 10
HOLDOUT = "holdout"  # the ranking set's file with every candidate of the hold-out


def evaluate_placement(
    settings: Settings,
    snapshot: Snapshot,
    placement: str,
    plan: CutPlan,
    facts: Mapping[str, Any],
    rankers: str,
    ranking_set: str,
) -> tuple[dict[str, Any], Lists]:
    """Measure the twin, the fusion and every generator of a placement on the hold-out.

    Args:
        settings: in force.
        snapshot: of the training.
        placement: whose models.
        plan: the training's cuts.
        facts: the ranking set's.
        rankers: URI of the trained rankers.
        ranking_set: URI of the ranking set.

    Returns:
        The placement's part of the evaluation JSON, and the twin's lists.
    """
    repeats = settings.placement(placement).repeats
    at = cut_name(plan.holdout)
    features = local_path(facts["features"]) / at
    twin = Ranker.load(local_path(rankers) / placement / "twin")
    rows = RankingSet.read([local_path(ranking_set) / placement / f"{HOLDOUT}.parquet"])
    fused_rank = rows.features[:, rows.names.index("fused_rank")]
    lists = Lists.ranked(rows.user_idx, rows.item_idx, twin.scores(rows.features, settings.thread_count), K)
    models = {RANKER: lists, FUSED: Lists.ranked(rows.user_idx, rows.item_idx, -fused_rank, K)}
    variant = "repeats" if repeats else "novel"
    for name in facts["generators"]:
        proposed = Lists.read(local_path(facts["candidates"][name]) / at / f"{variant}.parquet", K)
        if len(proposed.rank):
            models[name] = proposed
    truth = read_truth(features / "truth.parquet", repeats=repeats)
    measured = compare_models(
        models,
        truth,
        read_truth(features / "truth.parquet", repeats=repeats, eligible_only=False),
        len(np.load(features / "eligible.npy")),
        customer_slices(snapshot, features / "user.parquet"),
        settings,
    )
    measured["importance"] = twin.importance()[:30]
    measured["learning_curve"] = _learning_curve(twin, rows, truth, settings.thread_count)
    return measured, lists


def _learning_curve(twin: Ranker, rows: RankingSet, truth: Any, threads: int) -> dict[str, list[Any]]:
    """Return NDCG by number of trees: to be looked at, not to choose by."""
    total = twin.booster.num_trees()
    points = [0, *sorted({max(1, total * i // CURVE_POINTS) for i in range(1, CURVE_POINTS + 1)})]
    scores = np.zeros(len(rows.labels))
    values = []
    for start, stop in pairwise(points):
        scores += twin.booster.predict(
            rows.features, start_iteration=start, num_iteration=stop - start, num_threads=threads
        )
        ranked = Lists.ranked(rows.user_idx, rows.item_idx, scores, K)
        hits = hit_matrix(truth, ranked.user_idx, ranked.item_idx, ranked.rank, K)
        values.append(float(ndcg(hits, truth.relevant).mean()) if len(hits) else 0.0)
    return {"iteration": points[1:], "ndcg@10": values}


def customer_slices(snapshot: Snapshot, user_features: Any) -> dict[str, NDArray[np.int32]]:
    """Return the customers of each slice: thirds by purchase lines before the hold-out, and segments."""
    table = pq.read_table(user_features, columns=[c.USER_IDX, "user_lines"])
    users, lines = table[c.USER_IDX].to_numpy(), table["user_lines"].to_numpy()
    low, high = np.quantile(lines, [1 / 3, 2 / 3]) if len(lines) else (0, 0)
    slices = {
        "light customers": users[lines <= low],
        "medium customers": users[(lines > low) & (lines <= high)],
        "heavy customers": users[lines > high],
    }
    segments = duckdb.connect().execute(
        "select segment, list(user_idx order by user_idx) from read_parquet($1) "
        "group by segment having count(*) >= $2 order by segment",
        [str(snapshot.users), SMALLEST_SEGMENT],
    )
    for segment, members in segments.fetchall():
        slices[f"segment: {segment}"] = np.asarray(members, np.int32)
    return slices
