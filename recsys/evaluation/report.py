"""The report of an evaluation: one self-contained HTML page, and the evidence in Markdown."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from recsys.evaluation import words
from recsys.evaluation.gate import find_comparison
from recsys.evaluation.plots import plot_bytes
from recsys.evaluation.roles import HEADLINE

TEMPLATE = "report.html"
Example = Mapping[str, Any]


def render_report(
    evaluation: Mapping[str, Any],
    *,
    verdicts: Mapping[str, Mapping[str, Any]] | None = None,
    examples: Sequence[Example] = (),
) -> str:
    """Return the report as HTML that needs no other file and no network.

    Args:
        evaluation: the evaluation JSON.
        verdicts: what the gate said, by placement (``recsys.evaluation.gate.judge``).
        examples: customers whose lists are shown: ``user``, ``history``, ``before`` and ``after`` (product
            titles; ``before`` is empty for a first model), and ``placement`` if it is of one placement.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8"))
    plots = {name: base64.b64encode(data).decode() for name, data in plot_bytes(evaluation).items()}
    sections = [
        _section(name, figures, (verdicts or {}).get(name), plots, _of_placement(examples, name))
        for name, figures in evaluation["placements"].items()
    ]
    holdout = evaluation["holdout"]
    return template.render(
        snapshot_id=evaluation["snapshot_id"],
        as_of=words.day(evaluation["as_of"]),
        holdout_from=words.day(holdout["from"]),
        holdout_to=words.day(holdout["to"]),
        sections=sections,
        examples=_of_placement(examples, None),
        glossary=list(words.FIGURES.values()),
    )


def write_report(
    evaluation: Mapping[str, Any],
    path: Path,
    *,
    verdicts: Mapping[str, Mapping[str, Any]] | None = None,
    examples: Sequence[Example] = (),
) -> Path:
    """Write the report under a temporary name, rename it and return its path; see `render_report`."""
    draft = path.with_name(f".{path.name}.draft")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft.write_text(render_report(evaluation, verdicts=verdicts, examples=examples), encoding="utf-8")
    return draft.replace(path)


def evidence(
    evaluation: Mapping[str, Any],
    placement: str,
    *,
    verdict: Mapping[str, Any] | None = None,
    report_link: str | None = None,
) -> str:
    """Return the evidence for one placement's model in Markdown, for the model's page in MLflow.

    The challenger beside the baselines and the best single generator with paired intervals, overall
    and by slice, and a link to the report.
    """
    figures = evaluation["placements"][placement]
    ranker, holdout = figures["ranker"], evaluation["holdout"]
    lines = [
        f"**{words.placement(placement)}**: {words.PLACEMENTS.get(placement, placement)}.",
        "",
        f"Measured on {words.count(figures['customers'])} customers and what they bought from "
        f"{words.day(holdout['from'])} to {words.day(holdout['to'])}, by a model that had seen nothing of it. "
        f"Snapshot `{evaluation['snapshot_id']}`.",
        "",
    ]
    if verdict:
        lines += [f"Gate: **{verdict['gate']}**. {verdict['why']}", ""]
    lines += [
        "| model | NDCG@10 | hit rate | new model minus it (paired interval) | |",
        "|---|---|---|---|---|",
    ]
    lines += [_evidence_row(figures, name, marked=name == ranker) for name in _by_score(figures)]
    lines += ["", *_evidence_slices(figures)]
    if report_link:
        lines += ["", f"[The whole report]({report_link})"]
    return "\n".join(lines)


def _evidence_row(figures: Mapping[str, Any], name: str, *, marked: bool) -> str:
    scores = figures["models"][name]
    found = None if marked else find_comparison(figures, figures["ranker"], name)
    title = f"**{words.model(name)}**" if marked else words.model(name) + _role(figures, name)
    difference = words.interval(found) if found else ""
    outcome = words.outcome(found) if found else ""
    hit_rate = words.score(scores.get("hit_rate@10"))
    return f"| {title} | {words.score(scores.get(HEADLINE))} | {hit_rate} | {difference} | {outcome} |"


def _evidence_slices(figures: Mapping[str, Any]) -> list[str]:
    if not figures.get("slices"):
        return []
    ranker, best = figures["ranker"], figures["best_single"]
    rows = [
        f"| {row['name']} | {row['customers']} | {row['ranker']} | {row['best']} | {row['difference']} |"
        for row in (_slice_row(figures, name, one) for name, one in figures["slices"].items())
    ]
    head = f"| slice | customers | {words.model(ranker)} | {words.model(best)} | difference (paired interval) |"
    return ["By slice, NDCG@10:", "", head, "|---|---|---|---|---|", *rows]


def _section(
    placement: str,
    figures: Mapping[str, Any],
    verdict: Mapping[str, Any] | None,
    plots: Mapping[str, str],
    examples: list[Example],
) -> dict[str, Any]:
    ranker, best = figures["ranker"], figures["best_single"]
    found = find_comparison(figures, ranker, best)
    shown = {
        name.removeprefix(f"{placement}_"): data for name, data in plots.items() if name.startswith(f"{placement}_")
    }
    return {
        "id": placement,
        "title": words.placement(placement),
        "about": words.PLACEMENTS.get(placement, "a place in the shop"),
        "customers": words.count(figures["customers"]),
        "ranker": words.model(ranker),
        "best": words.model(best),
        "cards": _cards(figures, found),
        "verdict": verdict,
        "columns": [words.FIGURES[name][0] for name in _figures_of(figures)],
        "models": [_model_row(figures, name) for name in _by_score(figures)],
        "slices": [_slice_row(figures, name, one) for name, one in figures.get("slices", {}).items()],
        "without_rule": _without_rule(figures),
        "plots": shown,
        "examples": examples,
    }


def _cards(figures: Mapping[str, Any], found: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """Return the three figures that a person reads first."""
    best_name = figures["best_single"]
    scores, best = figures["models"][figures["ranker"]], figures["models"][best_name]
    cards = [
        {
            "value": words.score(scores.get(HEADLINE)),
            "label": "NDCG@10 of the new model",
            "note": f"{words.score(best.get(HEADLINE))} with the best single generator ({words.model(best_name)})",
        }
    ]
    if found:
        share = f"{100 * found.get('confidence', 0.95):g} % interval"
        note = f"{share} {words.bounds(found)}: {words.outcome(found)}"
        cards.append({"value": words.signed(found["difference"]), "label": "difference between the two", "note": note})
    if "hit_rate@10" in scores:
        value = f"{100 * scores['hit_rate@10']:.0f} of 100"
        note = f"{100 * best.get('hit_rate@10', 0):.0f} of 100 with the best single generator"
        cards.append({"value": value, "label": "customers bought at least one of the ten shown", "note": note})
    return cards


def _model_row(figures: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = None if name == figures["ranker"] else find_comparison(figures, figures["ranker"], name)
    return {
        "name": words.model(name),
        "id": name,
        "role": _role(figures, name).strip(" ()"),
        "is_ranker": name == figures["ranker"],
        "values": [words.score(figures["models"][name].get(metric)) for metric in _figures_of(figures)],
        "difference": words.signed(found["difference"]) if found else "",
        "interval": words.bounds(found) if found else "",
        "outcome": words.outcome(found) if found else "",
    }


def _slice_row(figures: Mapping[str, Any], name: str, one: Mapping[str, Any]) -> dict[str, str]:
    ranker, best = figures["ranker"], figures["best_single"]
    found = find_comparison(one, ranker, best)
    return {
        "name": name,
        "customers": words.count(one["customers"]),
        "ranker": words.score(one["models"].get(ranker)),
        "best": words.score(one["models"].get(best)),
        "difference": words.interval(found) if found else "too few to say" if one["is_small"] else words.MISSING,
    }


def _without_rule(figures: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = sorted(figures.get("without_rule_of_ten", {}).items(), key=lambda row: (-row[1], row[0]))
    return [
        {
            "name": words.model(name),
            "with": words.score(figures["models"].get(name, {}).get(HEADLINE)),
            "without": words.score(value),
        }
        for name, value in rows
    ]


def _figures_of(figures: Mapping[str, Any]) -> list[str]:
    """Return the known metrics that at least one model has, in the glossary's order."""
    return [name for name in words.FIGURES if any(name in scores for scores in figures["models"].values())]


def _by_score(figures: Mapping[str, Any]) -> list[str]:
    return sorted(figures["models"], key=lambda name: (-figures["models"][name].get(HEADLINE, 0.0), name))


def _role(figures: Mapping[str, Any], name: str) -> str:
    if name == figures["best_single"]:
        return " (best single generator)"
    if name == figures.get("fusion", {}).get("in_use"):
        return " (fusion in use)"
    return " (baseline)" if name in figures["baselines"] else ""


def _of_placement(examples: Iterable[Example], placement: str | None) -> list[Example]:
    return [one for one in examples if one.get("placement") == placement]
