"""Measures the final lists on the test item: the one place where it is read."""

from collections.abc import Mapping
from typing import Any, Final

from recsys.evaluation import rolling
from recsys.evaluation.metrics import hit_matrix, per_customer
from recsys.evaluation.roles import RANKER
from recsys.evaluation.values import CustomerValues, Summary, summarise
from recsys.leave_one_out.holding import TEST, read_labels
from recsys.lists import Lists
from recsys.settings import Settings
from recsys.snapshot import Snapshot

SYSTEM: Final = "system"
FUSED: Final = "fused"
SHOWN: Final = ("ndcg", "recall", "hit_rate", "mrr")  # with one relevant item precision and MAP say nothing more


def measure(settings: Settings, source: Snapshot, models: Mapping[str, Lists]) -> tuple[int, Summary]:
    """Open the test item and measure every model on it.

    Args:
        settings: give the list lengths, confidence, draws and seed.
        source: the interactions.
        models: the lists of each model, ``system`` among them.

    Returns:
        How many customers were measured, and each model's figures with intervals and differences to the system.
    """
    truth = read_labels(source, TEST).truth()
    ks = settings.evaluation.ks
    values = {}
    for name, lists in models.items():
        hits = hit_matrix(truth, lists.user_idx, lists.item_idx, lists.rank, max(ks))
        found = per_customer(hits, truth.relevant, ks)
        values[name] = {figure: own for figure, own in found.items() if figure.partition("@")[0] in SHOWN}
    return len(truth.users), summarise([CustomerValues(truth.users, values)], SYSTEM, settings)


def records(summary: Summary, customers: int, **labels: Any) -> list[dict[str, Any]]:
    """Return a flat record for each model and metric.

    They are those of ``recsys.evaluation.rolling.records``, with the system in the ranker's place.
    """
    figures = {
        "customers": customers,
        RANKER: SYSTEM,
        "models": summary.models,
        "intervals": summary.intervals,
        "comparisons": summary.comparisons,
        "roles": {model: role_of(model) for model in summary.models},
    }
    return rolling.records(figures, **labels)


def role_of(model: str) -> str:
    """Return the part that a model plays."""
    return {SYSTEM: "whole system", FUSED: "fusion"}.get(model, "single generator")
