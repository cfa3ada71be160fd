"""The gate: what a trained model must show before it may go live.

Rules, for each placement, on NDCG@10 with paired bootstrap intervals of the same customers in the same window:

- *measured*: somebody was measured.
- *not below the best single generator*: of ``ranker - best single`` the mean is above ``-margin`` and the
  interval's ``high >= 0``: it isn't shown to be worse. A small shop's interval is wide, and says no more.
- *beats each baseline*: the interval of ``ranker - baseline`` lies above zero. A baseline that is also the
  best single generator is judged by the rule above alone.
- *the release is like its twin*: what would go live ranks as what was measured did.

Beside a champion that the evaluation compares with:

- *not below the champion*: ``high >= 0``, and ``low > -margin``: it can't be worse by the margin or more. That is
  all that a refresh has to show, a training by the champion's own recipe on newer data.
- *gains on the champion*, for a changed recipe: ``low > 0`` and the mean is at least ``min_gain``.
- the guards of :mod:`recsys.evaluation.guards`: groups of customers and products, range, variety, change, speed.

A figure that is missing or not a number fails its rule: silence never promotes. What fails is never
promoted by itself; what passes is, if the policy for a first or a later champion says ``auto``. Where a
champion serves that the evaluation did not compare with, a person decides whatever the policy says.
"""

from collections.abc import Mapping
from typing import Any

from recsys.evaluation.guards import champion_guards, health_rules
from recsys.evaluation.roles import CHAMPION
from recsys.evaluation.rules import LOW, MEAN, Rule, find_comparison, is_measured, make_rule, of_interval, told
from recsys.settings import GateSettings

PASSED = "passed"
FAILED = "failed"
AUTO = "auto"
ASK = "ask"


def judge(
    evaluation: Mapping[str, Any], gate: GateSettings, *, has_champion: bool | Mapping[str, bool]
) -> dict[str, dict[str, Any]]:
    """Judge every placement of an evaluation.

    Args:
        evaluation: the evaluation JSON.
        gate: the policy and the margins.
        has_champion: whether a model already serves; one answer, or one a placement (absent: no).

    Returns:
        By placement: ``gate`` (passed, failed), ``decision`` (auto: may go live now; ask: a person
        decides), ``kind`` (first, refresh, changed or unknown), ``why`` (a sentence) and ``rules`` (rule, passed,
        value, threshold), JSON-able.
    """
    verdicts = {}
    for placement, figures in evaluation["placements"].items():
        has_one = has_champion if isinstance(has_champion, bool) else has_champion.get(placement, False)
        rules = _rules(figures, gate)
        is_compared = find_comparison(figures, figures["ranker"], CHAMPION) is not None
        policy = gate.later_champions if has_one else gate.first_champion
        failed = [rule for rule in rules if not rule["passed"]]
        verdicts[placement] = {
            "gate": FAILED if failed else PASSED,
            "decision": ASK if failed or (has_one and not is_compared) else policy,
            "kind": _kind(figures, has_one, is_compared),
            "why": _failure(failed) if failed else _success(policy, has_one, is_compared, _obstacle(figures)),
            "rules": rules,
        }
    return verdicts


def _kind(figures: Mapping[str, Any], has_champion: bool, is_compared: bool) -> str:
    if not is_compared:
        return "unknown" if has_champion else "first"
    return "refresh" if _is_refresh(figures) else "changed"


def _is_refresh(figures: Mapping[str, Any]) -> bool:
    return bool((figures.get(CHAMPION) or {}).get("is_refreshed", False))


def _rules(figures: Mapping[str, Any], gate: GateSettings) -> list[Rule]:
    ranker, best = figures["ranker"], figures["best_single"]
    customers = int(figures.get("customers", 0))
    rules = [make_rule("somebody was measured", customers, "at least 1 customer", customers >= 1)]
    rules.append(
        _not_below(figures, str(best), f"not below the best single generator ({best})", gate.margin, bound=MEAN)
    )
    rules += [_beats(figures, name) for name in figures["baselines"] if name not in (ranker, best)]
    rules += health_rules(figures, gate)
    if CHAMPION in figures["models"] or find_comparison(figures, ranker, CHAMPION):
        rules.append(_not_below(figures, CHAMPION, "not below the champion", gate.margin, bound=LOW))
        rules += [] if _is_refresh(figures) else [_gains(figures, gate.min_gain)]
        rules += champion_guards(figures, gate)
    return rules


def _not_below(figures: Mapping[str, Any], other: str, name: str, margin: float, *, bound: str) -> Rule:
    """Judge ``ranker - other``: ``bound`` (its mean, or the interval's low) above -margin, and high >= 0."""
    threshold = f"{'mean' if bound == MEAN else bound} > -{margin:g} and high >= 0"
    found = find_comparison(figures, figures["ranker"], other)
    holds = found is not None and is_measured(found) and found[bound] > -margin and found["high"] >= 0
    return of_interval(name, found, threshold, holds)


def _beats(figures: Mapping[str, Any], other: str) -> Rule:
    found = find_comparison(figures, figures["ranker"], other)
    holds = found is not None and is_measured(found) and found[LOW] > 0
    return of_interval(f"beats the baseline {other}", found, "low > 0", holds)


def _gains(figures: Mapping[str, Any], least: float) -> Rule:
    found = find_comparison(figures, figures["ranker"], CHAMPION)
    holds = found is not None and is_measured(found) and found[LOW] > 0 and found[MEAN] >= least
    return of_interval(
        "gains on the champion, since the recipe changed", found, f"low > 0 and mean >= {least:g}", holds
    )


def _failure(failed: list[Rule]) -> str:
    return "The model does not pass: " + "; ".join(f"{rule['rule']}: {_found(rule)}" for rule in failed) + "."


def _found(rule: Rule) -> str:
    return told(rule) if rule["value"] is None else f"{told(rule)}, needs {rule['threshold']}"


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
