"""The gate: what a trained model must show before it may go live.

Rules, for each placement, on NDCG@10 with paired bootstrap intervals of the same customers:

- *measured*: somebody was measured.
- *not below the best single generator*: of ``ranker - best single`` the mean is above ``-margin`` and the
  interval's ``high >= 0``: it isn't shown to be worse. A small shop's interval is wide, and says no more.
- *beats each baseline*: the interval of ``ranker - baseline`` lies above zero. A baseline that is also the
  best single generator is judged by the rule above alone.
- *not below the champion*, where the evaluation compares with it: ``high >= 0``, and ``low > -margin``: it
  can't be worse by the margin or more.

A figure that is missing or not a number fails its rule: silence never promotes. What fails is never
promoted by itself; what passes is, if the policy for a first or a later champion says ``auto``. Where a
champion serves that the evaluation did not compare with, a person decides whatever the policy says.
"""

import math
from collections.abc import Mapping
from typing import Any

from recsys.evaluation.roles import CHAMPION, HEADLINE
from recsys.settings import GateSettings

PASSED = "passed"
FAILED = "failed"
AUTO = "auto"
ASK = "ask"
MEAN, LOW = "difference", "low"  # what of a comparison is held against the margin


def judge(
    evaluation: Mapping[str, Any], gate: GateSettings, *, has_champion: bool | Mapping[str, bool]
) -> dict[str, dict[str, Any]]:
    """Judge every placement of an evaluation.

    Args:
        evaluation: the evaluation JSON.
        gate: the policy and the margin.
        has_champion: whether a model already serves; one answer, or one a placement (absent: no).

    Returns:
        By placement: ``gate`` (passed, failed), ``decision`` (auto: may go live now; ask: a person
        decides), ``why`` (a sentence) and ``rules`` (rule, passed, value, threshold), JSON-able.
    """
    verdicts = {}
    for placement, figures in evaluation["placements"].items():
        has_one = has_champion if isinstance(has_champion, bool) else has_champion.get(placement, False)
        rules = _rules(figures, gate.margin)
        is_compared = find_comparison(figures, figures["ranker"], CHAMPION) is not None
        policy = gate.later_champions if has_one else gate.first_champion
        failed = [rule for rule in rules if not rule["passed"]]
        verdicts[placement] = {
            "gate": FAILED if failed else PASSED,
            "decision": ASK if failed or (has_one and not is_compared) else policy,
            "why": _failure(failed) if failed else _success(policy, has_one, is_compared, _obstacle(figures)),
            "rules": rules,
        }
    return verdicts


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


def _rules(figures: Mapping[str, Any], margin: float) -> list[dict[str, Any]]:
    ranker, best = figures["ranker"], figures["best_single"]
    customers = int(figures.get("customers", 0))
    rules = [_rule("somebody was measured", customers, "at least 1 customer", customers >= 1)]
    rules.append(_not_below(figures, str(best), f"not below the best single generator ({best})", margin, bound=MEAN))
    rules += [_beats(figures, name) for name in figures["baselines"] if name not in (ranker, best)]
    if CHAMPION in figures["models"] or find_comparison(figures, ranker, CHAMPION):
        rules.append(_not_below(figures, CHAMPION, "not below the champion", margin, bound=LOW))
    return rules


def _not_below(figures: Mapping[str, Any], other: str, name: str, margin: float, *, bound: str) -> dict[str, Any]:
    """Judge ``ranker - other``: ``bound`` (its mean, or the interval's low) above -margin, and high >= 0."""
    threshold = f"{'mean' if bound == MEAN else bound} > -{margin:g} and high >= 0"
    found = find_comparison(figures, figures["ranker"], other)
    if found is None or not _finite(found):
        return _rule(name, None, threshold, False)
    return _rule(name, _interval(found), threshold, found[bound] > -margin and found["high"] >= 0)


def _beats(figures: Mapping[str, Any], other: str) -> dict[str, Any]:
    name, threshold = f"beats the baseline {other}", "low > 0"
    found = find_comparison(figures, figures["ranker"], other)
    if found is None or not _finite(found):
        return _rule(name, None, threshold, False)
    return _rule(name, _interval(found), threshold, found["low"] > 0)


def _finite(found: Mapping[str, Any]) -> bool:
    bounds = (found["difference"], found["low"], found["high"])
    return all(bound is not None and math.isfinite(bound) for bound in bounds)


def _interval(found: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(found[name]) for name in ("difference", "low", "high")}


def _rule(rule: str, value: Any, threshold: str, passed: bool) -> dict[str, Any]:
    return {"rule": rule, "passed": bool(passed), "value": value, "threshold": threshold}


def _failure(failed: list[dict[str, Any]]) -> str:
    return "The model does not pass: " + "; ".join(f"{rule['rule']}: {_found(rule)}" for rule in failed) + "."


def _found(rule: Mapping[str, Any]) -> str:
    value = rule["value"]
    if value is None:
        return "not measured"
    if isinstance(value, Mapping):
        interval = f"{value['difference']:+.4f} ({value['low']:+.4f} to {value['high']:+.4f})"
        return f"{interval}, needs {rule['threshold']}"
    return f"{value}, needs {rule['threshold']}"


def _obstacle(figures: Mapping[str, Any]) -> str:
    """Return why the evaluation did not compare with the champion, as far as it says."""
    why = (figures.get(CHAMPION) or {}).get("why")
    return f" ({why})" if why else ""


def _success(policy: str, has_champion: bool, is_compared: bool, obstacle: str) -> str:
    if has_champion and not is_compared:
        return f"All rules hold, but the champion was not compared with{obstacle}, so a person decides."
    kind = "a later champion" if has_champion else "the first champion"
    if policy == AUTO:
        return f"All rules hold, and the policy lets {kind} go live by itself."
    return f"All rules hold; the policy asks a person before {kind} goes live."
