"""Metrics of ranked lists, on plain arrays: of a list against what was relevant, and beyond that.

``lists`` lays lists out a row a customer and finds the hits; ``ranking`` judges hits; ``beyond`` judges what is
shown, whether or not it was relevant.
"""

from recsys.evaluation.metrics.beyond import (
    calibration,
    coverage,
    diversity,
    exposure_gini,
    novelty,
    serendipity,
)
from recsys.evaluation.metrics.lists import NOTHING, Truth, hit_matrix, hits_of, shown_matrix
from recsys.evaluation.metrics.ranking import (
    METRICS,
    average_precision,
    hit_rate,
    ndcg,
    per_customer,
    precision,
    recall,
    reciprocal_rank,
)

__all__ = [
    "METRICS",
    "NOTHING",
    "Truth",
    "average_precision",
    "calibration",
    "coverage",
    "diversity",
    "exposure_gini",
    "hit_matrix",
    "hit_rate",
    "hits_of",
    "ndcg",
    "novelty",
    "per_customer",
    "precision",
    "recall",
    "reciprocal_rank",
    "serendipity",
    "shown_matrix",
]
