"""What the rules of the gate are made of: one rule with what was found, and what was needed."""

import math
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

from recsys.evaluation.roles import HEADLINE

Rule = dict[str, Any]
MEAN: Final = "difference"
LOW: Final = "low"


def make_rule(rule: str, value: Any, threshold: str, passed: bool) -> Rule:
    """Return a rule, JSON-able: what it is called, whether it holds, what was found, and what was needed."""
    return {"rule": rule, "passed": bool(passed), "value": value, "threshold": threshold}


def of_interval(name: str, found: Mapping[str, Any] | None, threshold: str, holds: bool) -> Rule:
    """Return a rule about a paired difference; one that was not measured, or has no interval, fails."""
    if found is None or not is_measured(found):
        return make_rule(name, None, threshold, False)
    value = {bound: float(found[bound]) for bound in (MEAN, LOW, "high")}
    return make_rule(name, value, threshold, holds)


def is_measured(found: Mapping[str, Any] | None) -> bool:
    """Tell whether a paired difference has a mean and an interval, all of them numbers."""
    bounds = [] if found is None else [found[bound] for bound in (MEAN, LOW, "high")]
    return bool(bounds) and all(is_number(bound) for bound in bounds)


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a figure was measured and is finite."""
    return isinstance(value, int | float) and math.isfinite(value)


def told(rule: Mapping[str, Any]) -> str:
    """Return what a rule found, for a person."""
    value = rule["value"]
    if value is None:
        return "not measured"
    if isinstance(value, Mapping):
        return f"{value[MEAN]:+.4f} ({value[LOW]:+.4f} to {value['high']:+.4f})"
    return str(value)


def find_comparison(figures: Mapping[str, Any], a: str, b: str, metric: str = HEADLINE) -> Mapping[str, Any] | None:
    """Return the paired comparison of two models of a placement, turned round if it is kept as b - a."""
    for one in figures.get("comparisons", []):
        if one["metric"] != metric:
            continue
        if (one["a"], one["b"]) == (a, b):
            return dict(one)
        if (one["a"], one["b"]) == (b, a):
            return {
                **one,
                "a": a,
                "b": b,
                "difference": -one["difference"],
                "low": None if one["high"] is None else -one["high"],
                "high": None if one["low"] is None else -one["low"],
            }
    return None
