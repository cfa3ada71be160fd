"""Every model side by side at one cut: the same customers, products and window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.evaluation.ground import Ground, Shown
from recsys.evaluation.metrics import Truth, hit_matrix, hits_of, ndcg
from recsys.evaluation.roles import BASELINES, HEADLINE, RANKER, K, role_of, singles_of
from recsys.evaluation.slices import Slice
from recsys.evaluation.values import CustomerValues, summarise
from recsys.lists import Lists
from recsys.settings import Settings


@dataclass(frozen=True)
class Compared:
    """The placement's part of the evaluation JSON, and the customers' values that it was made of."""

    figures: dict[str, Any]
    values: CustomerValues


def compare_models(
    models: Mapping[str, Lists],
    ground: Ground,
    slices: Sequence[Slice],
    settings: Settings,
    *,
    customers: NDArray[Any] | None = None,
    wider_truth: Truth | None = None,
) -> Compared:
    """Measure every model and compare the ranker with each.

    Args:
        models: lists by name, ``ranker`` among them; ranks beyond the largest k are not looked at.
        ground: what they are measured by.
        slices: groups of customers and of products that are measured on their own.
        settings: give the list lengths, the smallest slice, confidence, draws and seed.
        customers: ids by customer number; the numbers themselves if None.
        wider_truth: the truth with products that were bought too seldom to be recommended, if there are any.
    """
    ks = settings.evaluation.ks
    shown = {name: ground.shown(lists, max(*ks, K)) for name, lists in models.items()}
    expected = ground.expected(models.get(BASELINES[0]))
    users = ground.truth.users
    values = CustomerValues(
        users if customers is None else customers[users],
        {name: ground.measure(own, expected, ks) for name, own in shown.items()},
    )
    summary = summarise([values], RANKER, settings)
    table = {name: summary.models.get(name, {}) | ground.of_range(lists) for name, lists in models.items()}
    singles = singles_of(models)
    figures = {
        "customers": len(users),
        "ks": list(ks),
        RANKER: RANKER,
        "best_single": max(singles, key=lambda name: table[name].get(HEADLINE, 0.0)) if singles else None,
        "baselines": [name for name in BASELINES if name in models],
        "roles": {name: role_of(name) for name in models},
        "models": table,
        "intervals": summary.intervals,
        "comparisons": summary.comparisons,
        "slices": {one.name: _slice(one, ground.truth, shown, values, settings) for one in slices},
        "without_rule_of_ten": {} if wider_truth is None else _headlines(models, wider_truth),
    }
    return Compared(figures, values)


def _slice(
    one: Slice, truth: Truth, shown: Mapping[str, Shown], values: CustomerValues, settings: Settings
) -> dict[str, Any]:
    """Return a slice's size, the models' headline in it and their differences; none of these if it is too small."""
    if one.kind == "products":
        own = _restricted(truth, one, shown)
    else:
        own = values.restricted(np.isin(truth.users, one.members), [HEADLINE])
    size = len(own.customers)
    is_small = size < settings.evaluation.smallest_slice
    found: dict[str, Any] = {"kind": one.kind, "customers": size, "is_small": is_small, "models": {}, "comparisons": []}
    if not is_small:
        summary = summarise([own], RANKER, settings)
        found["models"] = {name: scores[HEADLINE] for name, scores in summary.models.items()}
        found["comparisons"] = summary.comparisons
    return found


def _restricted(truth: Truth, one: Slice, shown: Mapping[str, Shown]) -> CustomerValues:
    """Measure with only a slice's products counting as relevant, on the customers who bought one of them."""
    own = truth.restricted(one.members)
    rows = np.searchsorted(truth.users, own.users)
    return CustomerValues(
        own.users,
        {name: {HEADLINE: ndcg(hits_of(own, lists[rows, :K]), own.relevant)} for name, lists in shown.items()},
    )


def _headlines(models: Mapping[str, Lists], truth: Truth) -> dict[str, float]:
    if not len(truth.users):
        return {}
    return {
        name: float(ndcg(hit_matrix(truth, lists.user_idx, lists.item_idx, lists.rank, K), truth.relevant).mean())
        for name, lists in models.items()
    }
