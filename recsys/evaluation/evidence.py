"""The evidence for a model in Markdown, for its page in MLflow."""

from collections.abc import Mapping, Sequence
from typing import Any

from recsys.evaluation import words
from recsys.evaluation.roles import CHAMPION, HEADLINE, ROLES, role_of
from recsys.evaluation.rules import find_comparison, told
from recsys.evaluation.shaping_report import shaping_cost


def rival_of(figures: Mapping[str, Any]) -> str | None:
    """Return the model that the new one is held against: what serves now if it was compared, else the best single."""
    return CHAMPION if CHAMPION in figures["models"] else figures["best_single"]


def by_role(figures: Mapping[str, Any]) -> list[str]:
    """Return the models in the order of their roles, the best of each first."""
    scores = figures["models"]
    return sorted(scores, key=lambda name: (ROLES.index(role_of(name)), -scores[name].get(HEADLINE, 0.0), name))


def remark(figures: Mapping[str, Any], name: str) -> str:
    """Return what is particular about a model among those of its role, empty if nothing is."""
    if name == figures["best_single"]:
        return "best single generator"
    if name == (figures.get("fusion") or {}).get("in_use"):
        return "fusion in use"
    if name == CHAMPION:
        about = figures.get(CHAMPION) or {}
        return f"version {about['version']}" if "version" in about else ""
    return "baseline" if name in figures["baselines"] else ""


def evidence(
    evaluation: Mapping[str, Any],
    placement: str,
    *,
    verdict: Mapping[str, Any] | None = None,
    report_link: str | None = None,
) -> str:
    """Return the evidence for one placement's model.

    The challenger beside what serves now and every other model with paired intervals, overall and by slice, and a link
    to the report.
    """
    figures = evaluation["placements"][placement]
    holdout = evaluation["holdout"]
    lines = [
        f"**{words.placement(placement)}**: {words.PLACEMENTS.get(placement, placement)}.",
        "",
        f"Measured on {words.count(figures['customers'])} customers and what they bought from "
        f"{words.day(holdout['from'])} to {words.day(holdout['to'])}, by a model that had seen nothing of it. "
        f"Snapshot `{evaluation['snapshot_id']}`.",
        "",
    ]
    if verdict:
        lines += [f"Gate: **{verdict['gate']}**. {verdict['why']}", "", *rule_table(verdict["rules"]), ""]
    lines += [*not_compared(figures), *model_table(figures), ""]
    if figures.get("shaping"):
        lines += [shaping_cost(figures), ""]
    lines += slice_table(figures)
    if report_link:
        lines += ["", f"[The whole report]({report_link})"]
    return "\n".join(lines)


def rule_table(rules: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the gate's rules with what was found and needed, as a table in Markdown."""
    return [
        "| rule of the gate | holds | found | needed |",
        "|---|---|---|---|",
        *(
            f"| {one['rule']} | {'yes' if one['passed'] else '**no**'} | {told(one)} | {one['threshold']} |"
            for one in rules
        ),
    ]


def not_compared(figures: Mapping[str, Any]) -> list[str]:
    """Return lines that say that what serves now was not compared with, and why; none if it was, or nothing serves."""
    about = figures.get(CHAMPION) or {}
    if about.get("is_compared", True):
        return []
    return [f"Not compared with version {about['version']}, which serves now: {about['why']}.", ""]


def model_table(figures: Mapping[str, Any]) -> list[str]:
    """Return every model with its headline and the paired difference, as a table in Markdown."""
    rows = []
    for name in by_role(figures):
        is_new, scores = name == figures["ranker"], figures["models"][name]
        found = None if is_new else find_comparison(figures, figures["ranker"], name)
        mark = remark(figures, name)
        title = f"**{words.model(name)}**" if is_new else words.model(name) + (f" ({mark})" if mark else "")
        difference, outcome = (words.interval(found), words.outcome(found)) if found else ("", "")
        hit_rate = words.score(scores.get("hit_rate@10"))
        rows.append(f"| {title} | {words.score(scores.get(HEADLINE))} | {hit_rate} | {difference} | {outcome} |")
    return [
        "| model | NDCG@10 | hit rate | new model minus it (paired interval) | |",
        "|---|---|---|---|---|",
        *rows,
    ]


def slice_table(figures: Mapping[str, Any]) -> list[str]:
    """Return the slices with the paired difference to the rival, as a table in Markdown; nothing without slices."""
    ranker, rival = figures["ranker"], rival_of(figures)
    if not figures.get("slices") or rival is None:
        return []
    rows = []
    for name, one in figures["slices"].items():
        values = " | ".join(words.score(one["models"].get(model)) for model in (ranker, rival))
        found = find_comparison(one, ranker, rival)
        told = words.interval(found) if found else words.FEW
        rows.append(f"| {name} | {words.count(one['customers'])} | {values} | {told} |")
    return [
        "By slice, NDCG@10:",
        "",
        f"| slice | customers | {words.model(ranker)} | {words.model(rival)} | difference (paired interval) |",
        "|---|---|---|---|---|",
        *rows,
    ]
