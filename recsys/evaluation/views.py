"""What the report shows of one placement, ready for its template: texts, and where marks stand."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from recsys.evaluation import words
from recsys.evaluation.evidence import by_role, remark, rival_of
from recsys.evaluation.forest import Axis
from recsys.evaluation.roles import CHAMPION, HEADLINE, K, role_of
from recsys.evaluation.rules import find_comparison
from recsys.evaluation.shaping_report import shaping_section

View = dict[str, Any]
Figures = Mapping[str, Any]
Example = Mapping[str, Any]
MOST_FEATURES = 15
GROUPS = {"customers": "Customers", "products": "Products: only these count as relevant", "segment": "Segments"}


def section(
    placement: str,
    figures: Figures,
    verdict: Mapping[str, Any] | None,
    examples: Sequence[Example],
    meanings: Mapping[str, str],
) -> View:
    """Return all that is shown of one placement.

    Args:
        placement: its name.
        figures: its part of the evaluation JSON.
        verdict: what the gate said, if it was asked.
        examples: customers whose lists are shown.
        meanings: of the features, by name.
    """
    rival = rival_of(figures)
    found = find_comparison(figures, figures["ranker"], rival) if rival else None
    return {
        "id": placement,
        "title": words.placement(placement),
        "about": words.PLACEMENTS.get(placement, "a place in the shop"),
        "customers": words.count(figures["customers"]),
        "is_measured": figures["customers"] > 0,
        "verdict": verdict,
        "rival": _rival(figures, rival),
        "outcome": words.outcome(found) if found else words.FEW,
        "sentence": _sentence(figures, rival, found),
        "cards": _cards(figures, rival, found),
        "groups": _slices(figures, rival),
        "shaping": shaping_section(figures),
        "models": _models(figures),
        "figures": _every_figure(figures, rival),
        "more": _more(figures),
        "importance": _importance(figures, meanings),
        "curve": _curve(figures.get("learning_curve") or {}),
        "examples": [_example(one) for one in examples],
        "without_rule": _without_rule(figures),
    }


def _rival(figures: Figures, rival: str | None) -> View | None:
    """Return what the new model is held against, and why that if it isn't what serves now."""
    if rival is None:
        return None
    about = figures.get(CHAMPION) or {}
    warning = note = ""
    if about and not about["is_compared"]:
        warning = f"Version {about['version']} serves now and was not compared with: {about['why']}."
    elif about:
        kinds = {
            "release": "as it serves",
            "twin": "by its evaluation twin, which learned from one window less than what serves",
        }
        note = f"Version {about['version']} serves now. It is measured {kinds[about['measured']]}, with its own recipe."
    elif rival != CHAMPION:
        note = "Nothing else serves here yet, so the new model is held against the best single generator."
    return {"name": words.model(rival), "is_champion": rival == CHAMPION, "warning": warning, "note": note}


def _sentence(figures: Figures, rival: str | None, found: Figures | None) -> str:
    if rival is None or found is None:
        return "There is nothing to hold the new model against."
    said = {
        words.BETTER: "The new model is better than",
        words.WORSE: "The new model is worse than",
        words.EVEN: "There is no clear difference between the new model and",
        words.FEW: "There are too few customers to tell the new model from",
    }[words.outcome(found)]
    other = "the model now live" if rival == CHAMPION else f"the best single generator ({words.model(rival)})"
    values = [words.score(figures["models"][name].get(HEADLINE)) for name in (figures["ranker"], rival)]
    return f"{said} {other}: NDCG@10 {values[0]} against {values[1]}."


def _cards(figures: Figures, rival: str | None, found: Figures | None) -> list[View]:
    """Return the few figures that a person reads first."""
    new = figures["models"][figures["ranker"]]
    old: Mapping[str, float] = figures["models"][rival] if rival else {}
    name = words.model(rival) if rival else ""
    cards = []
    if found:
        sure = f"{words.confidence(found)} interval {words.bounds(found)}"
        cards.append({"value": words.signed(found["difference"]), "label": "NDCG@10, new minus old", "note": sure})
    if HEADLINE in new:
        note = f"{words.score(old.get(HEADLINE))} with: {name}" if rival else ""
        cards.append({"value": words.score(new[HEADLINE]), "label": "NDCG@10 of the new model", "note": note})
    hit = f"hit_rate@{K}"
    if hit in new:
        note = f"{100 * old[hit]:.0f} of 100 with: {name}" if hit in old else ""
        label = "customers bought at least one of the ten"
        cards.append({"value": f"{100 * new[hit]:.0f} of 100", "label": label, "note": note})
    changes = (figures.get(CHAMPION) or {}).get("changes")
    if changes:
        cards.append(
            {
                "value": f"{changes['new_products']:.1f} of {K}",
                "label": "products of a list are new to it",
                "note": f"{100 * changes['same_lists']:.0f} of 100 customers keep the same ten",
            }
        )
    return cards


def _slices(figures: Figures, rival: str | None) -> list[View]:
    """Return the slices, grouped, with their differences on one axis: the forest plot."""
    if rival is None:
        return []
    ranker = figures["ranker"]
    slices = figures.get("slices", {})
    found = {name: find_comparison(one, ranker, rival) for name, one in slices.items()}
    axis = Axis.around(found.values())
    groups: dict[str, list[View]] = {}
    for name, one in slices.items():
        is_segment = name.startswith("segment: ")
        groups.setdefault("segment" if is_segment else one["kind"], []).append(
            {
                "name": name.removeprefix("segment: "),
                "customers": words.count(one["customers"]),
                "new": words.score(one["models"].get(ranker)),
                "old": words.score(one["models"].get(rival)),
                **_difference(found[name], axis),
            }
        )
    overall = find_comparison(figures, ranker, rival)
    everybody = {
        "name": "everybody",
        "customers": words.count(figures["customers"]),
        "new": words.score(figures["models"][ranker].get(HEADLINE)),
        "old": words.score(figures["models"][rival].get(HEADLINE)),
        **_difference(overall, axis),
    }
    if groups:
        groups["customers"] = [everybody, *groups.get("customers", [])]
    return [{"title": GROUPS[kind], "rows": groups[kind]} for kind in GROUPS if kind in groups]


def _difference(found: Figures | None, axis: Axis) -> View:
    if found is None:
        return {"difference": "", "interval": "", "outcome": words.FEW, "mark": None}
    return {
        "difference": words.signed(found["difference"]),
        "interval": words.bounds(found),
        "outcome": words.outcome(found),
        "mark": axis.mark(found),
    }


def _models(figures: Figures) -> list[View]:
    """Return the models grouped by role, each with the difference to the new one on one axis."""
    ranker = figures["ranker"]
    names = by_role(figures)
    found = {name: find_comparison(figures, ranker, name) for name in names if name != ranker}
    axis = Axis.around(found.values())
    groups: dict[str, list[View]] = {}
    for name in names:
        value, ends = figures["models"][name].get(HEADLINE), figures.get("intervals", {}).get(name, {}).get(HEADLINE)
        shown = _difference(found.get(name), axis) if name != ranker else {"difference": "", "mark": None}
        groups.setdefault(role_of(name), []).append(
            {
                "name": words.model(name),
                "remark": remark(figures, name),
                "is_new": name == ranker,
                "value": words.score(value),
                "ends": f"{words.score(ends[0])} to {words.score(ends[1])}" if ends else "",
                **shown,
            }
        )
    return [
        # A group of one that is called as its only model needs no heading.
        {"title": words.ROLES[role] if [words.ROLES[role]] != [row["name"] for row in rows] else "", "rows": rows}
        for role, rows in groups.items()
    ]


def _every_figure(figures: Figures, rival: str | None) -> list[View]:
    """Return every figure of the new model and of what it is held against, with the difference where it has one."""
    if rival is None:
        return []
    new, old = figures["models"][figures["ranker"]], figures["models"][rival]
    rows = []
    for base in words.FIGURES:
        for name in (one for one in new if one.partition("@")[0] == base):
            found = find_comparison(figures, figures["ranker"], rival, name)
            rows.append(
                {
                    "name": words.figure(name),
                    "new": words.score(new[name]),
                    "old": words.score(old.get(name)),
                    "difference": words.interval(found) if found else words.MISSING,
                    "outcome": words.outcome(found) if found else "",
                }
            )
    return rows


def _more(figures: Figures) -> View:
    """Return the figures of all models at the headline's list length, without differences."""
    names = [
        name
        for base in words.FIGURES
        for name in (f"{base}@{K}", base)
        if name != HEADLINE and any(name in own for own in figures["models"].values())
    ]
    rows = [
        {"name": words.model(model), "values": [words.score(figures["models"][model].get(name)) for name in names]}
        for model in by_role(figures)
    ]
    return {"columns": [words.figure(name) for name in names], "rows": rows}


def _importance(figures: Figures, meanings: Mapping[str, str]) -> list[View]:
    ranked = sorted(figures.get("importance", []), key=lambda row: (-row["gain"], row["feature"]))
    total = sum(row["gain"] for row in ranked) or 1.0
    most = max((row["gain"] for row in ranked), default=0.0) or 1.0
    return [
        {
            "name": row["feature"],
            "meaning": meanings.get(row["feature"], ""),
            "share": f"{100 * row['gain'] / total:.1f} %",
            "width": round(100 * row["gain"] / most, 1),
        }
        for row in ranked[:MOST_FEATURES]
    ]


def _curve(curve: Figures) -> View | None:
    """Return the learning curve as points of a 100 by 30 drawing."""
    trees, values = curve.get("iteration", []), curve.get(HEADLINE, [])
    if len(values) < 2:
        return None
    low, high = min(values), max(values)
    span = high - low or 1.0
    points = [
        (100 * tree / trees[-1], 28 - 26 * (value - low) / span) for tree, value in zip(trees, values, strict=True)
    ]
    return {
        "points": " ".join(f"{x:.2f},{y:.2f}" for x, y in points),
        "first": f"{words.score(values[0])} with {trees[0]} trees",
        "last": f"{words.score(values[-1])} with {trees[-1]}",
    }


def _example(one: Example) -> View:
    """Return a customer's lists, each product with what became of it."""
    before, after = ([_product(row, place) for place, row in enumerate(one[kind], 1)] for kind in ("before", "after"))
    hits = {kind: sum(row["is_bought"] for row in one[kind]) for kind in ("before", "after")}
    return {
        "user": one["user"],
        "segment": one.get("segment") or "",
        "history": one["history"],
        "before": [row | {"tag": "gone" if row["move"] == "new" else ""} for row in before],
        "after": [row | {"tag": row["move"] if before else ""} for row in after],
        "ranked": one.get("ranked", []),
        "hits_before": hits["before"],
        "hits_after": hits["after"],
    }


def _product(row: Mapping[str, Any], place: int) -> View:
    other = row["other_rank"]
    if other is None:
        move = "new"
    elif other == place:
        move = ""
    else:
        move = f"\u25b2 {other - place}" if other > place else f"\u25bc {place - other}"
    return {"title": row["title"], "is_bought": row["is_bought"], "move": move}


def _without_rule(figures: Figures) -> list[View]:
    rows = figures.get("without_rule_of_ten", {})
    return [
        {
            "name": words.model(name),
            "with": words.score(figures["models"].get(name, {}).get(HEADLINE)),
            "without": words.score(rows[name]),
        }
        for name in by_role(figures)
        if name in rows
    ]


def of_placement(examples: Iterable[Example], placement: str) -> list[Example]:
    """Return the examples of one placement."""
    return [one for one in examples if one["placement"] == placement]
