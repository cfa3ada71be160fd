"""Every model side by side on the hold-out: the same customers, products and window."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recsys import columns as c
from recsys.evaluation.metrics import Truth, hit_matrix, per_customer
from recsys.evaluation.significance import paired_difference
from recsys.lists import Lists
from recsys.settings import Settings

K = 10
RANKER = "ranker"
FUSED = "fused"
HEADLINE = f"ndcg@{K}"
BASELINES = ("popularity", "repurchase")  # what a shop would show without any model


def read_truth(path: Path, *, repeats: bool, eligible_only: bool = True) -> Truth:
    """Read what was bought after a cut, as one placement counts it."""
    table = pq.read_table(path)
    kept = np.ones(table.num_rows, bool)
    if eligible_only:
        kept &= table["is_eligible"].to_numpy(zero_copy_only=False)
    if not repeats:
        kept &= table["is_new"].to_numpy(zero_copy_only=False)
    return Truth.of(table[c.USER_IDX].to_numpy()[kept], table[c.ITEM_IDX].to_numpy()[kept])


def compare_models(
    models: Mapping[str, Lists],
    truth: Truth,
    wider_truth: Truth,
    catalogue: int,
    slices: Mapping[str, NDArray[np.int32]],
    settings: Settings,
) -> dict[str, Any]:
    """Measure every model and compare the ranker with each.

    Args:
        models: lists by name, ``ranker`` among them.
        truth: relevant products by the measure.
        wider_truth: the same with products that were bought too seldom to be recommended.
        catalogue: number of products that may be recommended, for coverage.
        slices: customers of each slice.
        settings: give confidence, draws and seed.

    Returns:
        The placement's part of the evaluation JSON.
    """
    values = {
        name: per_customer(hit_matrix(truth, lists.user_idx, lists.item_idx, lists.rank, K), truth.relevant)
        for name, lists in models.items()
    }
    table = {
        name: {
            **{f"{metric}@{K}": _mean(value) for metric, value in found.items()},
            "coverage": len(np.unique(models[name].item_idx)) / max(catalogue, 1),
        }
        for name, found in values.items()
    }
    singles = [name for name in models if name not in (RANKER, FUSED)]
    best = max(singles, key=lambda name: table[name][HEADLINE])
    headline = {name: found["ndcg"] for name, found in values.items()}
    return {
        "customers": len(truth.users),
        "models": table,
        RANKER: RANKER,
        "best_single": best,
        "baselines": [name for name in BASELINES if name in models],
        "comparisons": [
            {"a": RANKER, "b": name, "metric": HEADLINE} | _difference(headline, name, settings)
            for name in models
            if name != RANKER
        ],
        "slices": {name: _slice(headline, np.isin(truth.users, users)) for name, users in slices.items() if len(users)},
        "without_rule_of_ten": {
            name: _mean(
                per_customer(
                    hit_matrix(wider_truth, lists.user_idx, lists.item_idx, lists.rank, K), wider_truth.relevant
                )["ndcg"]
            )
            for name, lists in models.items()
        },
    }


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _difference(headline: Mapping[str, NDArray[np.float64]], other: str, settings: Settings) -> dict[str, Any]:
    gate = settings.gate
    return asdict(
        paired_difference(
            headline[RANKER],
            headline[other],
            confidence=gate.confidence,
            draws=gate.bootstrap,
            seed=settings.seed,
        )
    )


def _slice(headline: Mapping[str, NDArray[np.float64]], chosen: NDArray[np.bool_]) -> dict[str, Any]:
    return {"customers": int(chosen.sum())} | {name: _mean(values[chosen]) for name, values in headline.items()}
