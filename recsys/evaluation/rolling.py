"""Several cuts together: the mean of what was measured at each, and flat records of all of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.evaluation.roles import HEADLINE, RANKER, role_of, singles_of
from recsys.evaluation.values import CustomerValues, summarise
from recsys.settings import Settings

MEAN = "mean"  # the cut of a record that stands for all of them


@dataclass(frozen=True)
class MeasuredCut:
    """One placement at one cut.

    Attributes:
        cut: the moment from which its days were unknown to the models, in ISO format.
        figures: the placement's part of the evaluation JSON.
        values: its customers' values.
    """

    cut: str
    figures: Mapping[str, Any]
    values: CustomerValues


def over_cuts(cuts: Sequence[MeasuredCut], settings: Settings) -> dict[str, Any]:
    """Return the mean of the cuts of one placement, in the shape of its part of the evaluation JSON.

    Each cut counts alike. Intervals take customers whole, with all their cuts (``recsys.evaluation.significance``).
    Models that are not there at every cut are left out, and ``left_out`` names them.
    """
    summary = summarise([one.values for one in cuts], RANKER, settings)
    everywhere = [name for name in cuts[0].figures["models"] if all(name in one.figures["models"] for one in cuts)]
    models = {name: summary.models.get(name, {}) | _of_range(cuts, name) for name in everywhere}
    singles = singles_of(models)
    named = dict.fromkeys(name for one in cuts for name in one.figures["models"])
    return {
        "cuts": [one.cut for one in cuts],
        "customers": len({str(customer) for one in cuts for customer in one.values.customers}),
        RANKER: RANKER,
        "best_single": max(singles, key=lambda name: models[name].get(HEADLINE, 0.0)) if singles else None,
        "roles": {name: role_of(name) for name in models},
        "models": models,
        "intervals": {name: own for name, own in summary.intervals.items() if name in models},
        "comparisons": [one for one in summary.comparisons if one["b"] in models],
        "left_out": [name for name in named if name not in models],
    }


def _of_range(cuts: Sequence[MeasuredCut], name: str) -> dict[str, float]:
    """Return the means of figures that have no value a customer, of those that are there at every cut."""
    tables = [one.figures["models"][name] for one in cuts]
    per_customer = {figure for one in cuts for figure in one.values.models.get(name, {})}
    return {
        figure: float(np.mean([table[figure] for table in tables]))
        for figure in tables[0]
        if figure not in per_customer and all(figure in table for table in tables)
    }


def records(figures: Mapping[str, Any], **labels: Any) -> list[dict[str, Any]]:
    """Return a flat record for each model and metric.

    Args:
        figures: a placement's part of the evaluation JSON, or the mean of several.
        labels: what all records say first, for example placement and cut.

    Returns:
        Each with the labels, customers, model, role, metric, value, low and high (the value's interval), difference
        (ranker minus this model, of the same customers), difference_low, difference_high and confidence; what is
        unknown or doesn't apply is None.
    """
    compared = {(one["b"], one["metric"]): one for one in figures["comparisons"] if one["a"] == figures[RANKER]}
    found = []
    for model, table in figures["models"].items():
        for metric, value in table.items():
            low, high = figures["intervals"].get(model, {}).get(metric, (None, None))
            other = compared.get((model, metric), {})
            found.append(
                {
                    **labels,
                    "customers": figures["customers"],
                    "model": model,
                    "role": figures["roles"][model],
                    "metric": metric,
                    "value": value,
                    "low": low,
                    "high": high,
                    "difference": other.get("difference"),
                    "difference_low": other.get("low"),
                    "difference_high": other.get("high"),
                    "confidence": other.get("confidence"),
                }
            )
    return found
