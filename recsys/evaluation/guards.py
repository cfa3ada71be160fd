"""What a model must not give away for its headline: groups of customers and products, range, variety, soundness.

The rules beside the champion look at the same window and the same customers. A group that is too small to be judged
holds its rule and says so: an interval of a few customers shows nothing either way.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from recsys.evaluation.ground import COVERAGE, DIVERSITY_CATEGORY
from recsys.evaluation.roles import CHAMPION
from recsys.evaluation.rules import MEAN, Rule, find_comparison, is_measured, is_number, make_rule, of_interval
from recsys.settings import GateSettings

Figures = Mapping[str, Any]
KEPT: Final = {COVERAGE: "coverage of the range", DIVERSITY_CATEGORY: "variety of a list (categories)"}
FEW: Final = "too few customers to be judged"


def health_rules(figures: Figures, gate: GateSettings) -> list[Rule]:
    """Return the rules that the release holds against its own twin: it is what would go live.

    Args:
        figures: a placement's; those of releases of before have no ``release``.
        gate: the limits.
    """
    found = figures.get("release") or {}
    overlap, distance = found.get("overlap"), found.get("score_distance")
    least, most = gate.min_release_overlap, gate.max_score_distance
    return [
        make_rule(
            "the release's lists are like its twin's (share of the ten in both)",
            _rounded(overlap),
            f"at least {least:g}",
            is_number(overlap) and overlap >= least,
        ),
        make_rule(
            "the release's scores are like its twin's (distance of the distributions, in deviations)",
            _rounded(distance),
            f"at most {most:g}",
            is_number(distance) and distance <= most,
        ),
    ]


def champion_guards(figures: Figures, gate: GateSettings) -> list[Rule]:
    """Return the rules on groups, range, variety, change and speed beside the champion that was compared with."""
    return [*_slices(figures, gate), *_kept(figures, gate), _changes(figures, gate), _speed(figures, gate)]


def _slices(figures: Figures, gate: GateSettings) -> Iterator[Rule]:
    margin = gate.slice_margin
    for name, one in figures.get("slices", {}).items():
        if not name.startswith(gate.guarded_slices):
            continue
        title, threshold = f"not below the champion for {name}", f"mean > -{margin:g} or high >= 0"
        found = find_comparison(one, figures["ranker"], CHAMPION)
        if one["is_small"]:
            yield make_rule(title, f"{FEW} ({one['customers']})", threshold, True)
        else:
            holds = found is not None and is_measured(found) and (found[MEAN] > -margin or found["high"] >= 0)
            yield of_interval(title, found, threshold, holds)


def _kept(figures: Figures, gate: GateSettings) -> Iterator[Rule]:
    least = 1 - gate.max_guard_loss
    new, old = figures["models"].get(figures["ranker"], {}), figures["models"].get(CHAMPION, {})
    for metric, title in KEPT.items():
        if metric not in new and metric not in old:
            continue  # a shop without categories
        before, after = old.get(metric), new.get(metric)
        is_known = is_number(before) and is_number(after)
        share = after / before if is_known and before else None
        is_kept = is_known and after >= least * before
        yield make_rule(f"keeps the {title}", _rounded(share), f"at least {least:g} of the champion's", is_kept)


def _changes(figures: Figures, gate: GateSettings) -> Rule:
    found = (figures.get(CHAMPION) or {}).get("changes", {}).get("new_products")
    most = gate.max_new_products
    return make_rule(
        "customers recognise their lists (new products of the ten, mean)",
        _rounded(found),
        f"at most {most:g}",
        is_number(found) and found <= most,
    )


def _speed(figures: Figures, gate: GateSettings) -> Rule:
    seconds = (figures.get(CHAMPION) or {}).get("seconds", {})
    new, old = seconds.get(figures["ranker"]), seconds.get(CHAMPION)
    is_known = is_number(new) and is_number(old) and old > 0
    return make_rule(
        "scores 1,000 customers about as fast (95th percentile, against the champion's)",
        _rounded(new / old) if is_known else None,
        f"at most {gate.max_slowdown:g} times",
        is_known and new <= gate.max_slowdown * old,
    )


def _rounded(value: Any) -> float | None:
    return round(float(value), 3) if is_number(value) else None
