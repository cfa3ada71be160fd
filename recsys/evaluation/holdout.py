"""One placement's models on the hold-out, from the artifacts of a training."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from recsys.artifacts import open_artifact
from recsys.cuts import CutPlan
from recsys.evaluation.fusions import fused_lists
from recsys.evaluation.health import Timed, release_figures
from recsys.evaluation.metrics import Truth, hit_matrix, ndcg
from recsys.evaluation.models import Compared, compare_models
from recsys.evaluation.reading import HoldOut
from recsys.evaluation.roles import FUSED, RANKER, SHAPED, K
from recsys.evaluation.shaped import shape_ranking
from recsys.lists import Lists
from recsys.ranking import Ranker, RankingSet
from recsys.ranking.baselines import SCORES_FILE, read_scores
from recsys.ranking.ingredients import Ingredients
from recsys.settings import Settings

CURVE_POINTS = 10
HOLDOUT = "holdout"  # the ranking set's file with every candidate of the hold-out


@dataclass(frozen=True)
class Measured:
    """What a placement's models come to.

    Attributes:
        compared: the figures, and the customers' values that they were made of.
        ranked: the twin's lists.
        shaped: the same as customers would see them.
        timed: the twin, and what its candidates are made of.
    """

    compared: Compared
    ranked: Lists
    shaped: Lists
    timed: Timed


def evaluate_placement(
    settings: Settings,
    holdout: HoldOut,
    placement: str,
    plan: CutPlan,
    facts: Mapping[str, Any],
    rankers: str,
    ranking_set: str,
    others: Mapping[str, Lists],
) -> Measured:
    """Measure the twin (ranked and shaped), the fusion and every generator of a placement on the hold-out.

    Args:
        settings: in force.
        holdout: what all placements are measured by.
        placement: whose models.
        plan: the training's cuts.
        facts: the ranking set's.
        rankers: URI of the trained rankers.
        ranking_set: URI of the ranking set.
        others: lists of models that are not of this training, such as the champion's.
    """
    k = max(*settings.evaluation.ks, K)
    trained = open_artifact(rankers) / placement
    twin, release = Ranker.load(trained / "twin"), Ranker.load(trained / "release")
    rows = RankingSet.read([open_artifact(ranking_set) / placement / f"{HOLDOUT}.parquet"])
    candidates = rows.user_idx, rows.item_idx, twin.scores(rows.features, settings.thread_count)
    made_of, rules = Ingredients.of(facts), settings.placement(placement)
    shaping = shape_ranking(settings, made_of.snapshot, placement, plan.holdout, candidates, k)
    learned = facts["weights"].get(placement)
    models = {
        RANKER: Lists.ranked(*candidates, k),
        SHAPED: shaping.lists,
        **others,
        **fused_lists(settings, made_of, plan.holdout, rules, learned, k),
    }
    (users, items), scored = read_scores(trained / SCORES_FILE)
    models |= {name: Lists.ranked(users, items, scores, k) for name, scores in scored.items()}
    for name, path in made_of.files(plan.holdout, rules).items():
        proposed = Lists.read(path, k)
        if len(proposed.rank):
            models[name] = proposed
    ground = holdout.ground(repeats=rules.repeats)
    compared = compare_models(
        models,
        ground,
        holdout.slices,
        settings,
        customers=holdout.customers,
        wider_truth=holdout.wider_truth(repeats=rules.repeats),
    )
    compared.figures["shaping"] = shaping.figures
    compared.figures["fusion"] = {"in_use": f"{FUSED}_{rules.fusion}", "learned_weights": learned}
    compared.figures["release"] = release_figures(twin, release, rows, settings.thread_count)
    compared.figures["importance"] = twin.importance()
    compared.figures["learning_curve"] = _learning_curve(twin, rows, ground.truth, settings.thread_count)
    return Measured(compared, models[RANKER], shaping.lists, Timed(twin, made_of, rules))


def _learning_curve(twin: Ranker, rows: RankingSet, truth: Truth, threads: int) -> dict[str, list[Any]]:
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
