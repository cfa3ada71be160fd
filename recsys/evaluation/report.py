"""The report of an evaluation: one self-contained HTML page, made for the person who decides."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from recsys.evaluation import words
from recsys.evaluation.views import Example, of_placement, section

TEMPLATES = Path(__file__).with_name("templates")
REPORT = "report.html"


def render_report(
    evaluation: Mapping[str, Any],
    *,
    verdicts: Mapping[str, Mapping[str, Any]] | None = None,
    examples: Sequence[Example] = (),
    meanings: Mapping[str, str] | None = None,
) -> str:
    """Return the report as HTML that needs no other file and no network.

    First comes what changes against the model that serves, by how much and for whom; then customers' lists before and
    after; then every model, every figure, and how the new model decides.

    Args:
        evaluation: the evaluation JSON.
        verdicts: what the gate said, by placement (``recsys.evaluation.gate.judge``).
        examples: customers whose lists are shown (``recsys.evaluation.examples.collect_examples``).
        meanings: of the features, by name.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    holdout = evaluation["holdout"]
    sections = [
        section(name, figures, (verdicts or {}).get(name), of_placement(examples, name), meanings or {})
        for name, figures in evaluation["placements"].items()
    ]
    return environment.get_template(REPORT).render(
        snapshot_id=evaluation["snapshot_id"],
        as_of=words.day(evaluation["as_of"]),
        holdout_from=words.day(holdout["from"]),
        holdout_to=words.day(holdout["to"]),
        window_days=(datetime.fromisoformat(holdout["to"]) - datetime.fromisoformat(holdout["from"])).days,
        sections=sections,
        glossary=list(words.FIGURES.values()),
    )


def write_report(
    evaluation: Mapping[str, Any],
    path: Path,
    *,
    verdicts: Mapping[str, Mapping[str, Any]] | None = None,
    examples: Sequence[Example] = (),
    meanings: Mapping[str, str] | None = None,
) -> Path:
    """Write the report under a temporary name, rename it and return its path; see `render_report`."""
    draft = path.with_name(f".{path.name}.draft")
    path.parent.mkdir(parents=True, exist_ok=True)
    html = render_report(evaluation, verdicts=verdicts, examples=examples, meanings=meanings)
    draft.write_text(html, encoding="utf-8")
    return draft.replace(path)
