"""A version's evidence: the champion beside it, the rules of the gate, groups of customers, and ten of them."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from recsys import erasures, registry
from recsys.artifacts import local_path
from recsys.errors import AlteredError, NotFoundError
from recsys.evaluation import words
from recsys.evaluation.evidence import rival_of
from recsys.evaluation.forest import Axis
from recsys.evaluation.gate import PASSED
from recsys.evaluation.report import REPORT
from recsys.evaluation.rules import find_comparison, told
from recsys.evaluation.sheets import Sheet, find_sheet
from recsys.evaluation.views import of_placement, section
from recsys.homes import Home, uri_of
from recsys.publication import live_names, read_board
from recsys.review.versions import SERVES, TONES, decisions_about, placement_of, status_of
from recsys.settings import Settings

View = dict[str, Any]
METRICS, EXAMPLES, EVALUATIONS = "metrics.json", "examples.json", "evaluations"


def review(settings: Settings, model: str, version: str) -> View:
    """Return everything that a reviewer is shown of a version.

    Returns:
        ``sheet``, ``status`` with its ``tone``, ``is_champion``, ``is_passed``, ``rules``, ``decisions`` (about it),
        ``links``, and ``evidence`` (see :func:`recsys.evaluation.views.section`), None with ``missing`` saying why if
        the evaluation's files are gone.

    Raises:
        NotFoundError: if the gate has not judged such a version here.
    """
    sheet = find_sheet(settings, model, version)
    placement = placement_of(read_board(settings), sheet.placement)
    status = status_of(sheet, placement)
    with erasures.reading(Home.of(settings)):
        found, missing = _evidence(settings, sheet)
    return {
        "sheet": sheet,
        "status": status,
        "tone": TONES.get(status, ""),
        "is_champion": status == SERVES,
        "is_passed": sheet.verdict["gate"] == PASSED,
        "champion": placement["champion"],
        "rules": [{**rule, "found": told(rule)} for rule in sheet.verdict["rules"]],
        "decisions": decisions_about(placement, model, version),
        "links": _links(settings, sheet),
        "evidence": found,
        "missing": missing,
    }


def headline(sheet: Sheet) -> View | None:
    """Return the difference to what serves, for a line on the overview; None if the files are gone."""
    figures = _figures(sheet)
    if figures is None:
        return None
    shown = section(sheet.placement, figures, None, [], {})
    rival = rival_of(figures)
    found = find_comparison(figures, figures["ranker"], rival) if rival else None
    return {name: shown[name] for name in ("sentence", "outcome", "rival")} | {
        "card": shown["cards"][0] if found else None,
        "row": _row(found) if found else None,
        "changes": (figures.get("champion") or {}).get("changes"),
    }


def report_file(settings: Settings, evaluation: str) -> Path:
    """Return the report of an evaluation.

    Args:
        settings: where home is.
        evaluation: the name of its folder.

    Raises:
        NotFoundError: if it isn't there.
    """
    root = settings.resolved_home / EVALUATIONS
    path = root / evaluation / REPORT
    # A name with a slash or dots is no folder of ours.
    is_ours = path.parent.parent == root and path.resolve().parent.parent == root.resolve()
    if is_ours:
        with erasures.reading(Home.of(settings)), suppress(NotFoundError):
            local_path(uri_of(path.parent))  # brings it
    if not is_ours or not path.is_file():
        raise NotFoundError(f"There is no evaluation {evaluation!r} here; it may have been removed.")
    return path


def _row(found: Mapping[str, Any]) -> View:
    """Return a difference as its forest plot needs it."""
    return {
        "difference": words.signed(found["difference"]),
        "interval": words.bounds(found),
        "outcome": words.outcome(found),
        "mark": Axis.around([found]).mark(found),
    }


def _evidence(settings: Settings, sheet: Sheet) -> tuple[View | None, str]:
    figures = _figures(sheet)
    if figures is None:
        return None, (
            f"The files of the evaluation are gone ({sheet.evaluation}), so figures and examples can't be shown. "
            "The version's page in MLflow has the evidence and the report."
        )
    path = local_path(sheet.evaluation) / EXAMPLES
    examples = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    shown = section(sheet.placement, figures, sheet.verdict, of_placement(examples, sheet.placement), {})
    # The files name customers by pseudonyms alone; who they are is looked up for the person who looks.
    names = live_names(settings, {one["user"] for one in shown["examples"]})
    for one in shown["examples"]:
        one["name"] = names.get(one["user"], one["user"])
    return shown, ""


def _figures(sheet: Sheet) -> Mapping[str, Any] | None:
    try:
        text = (local_path(sheet.evaluation) / METRICS).read_text(encoding="utf-8")
    except (NotFoundError, AlteredError, FileNotFoundError):
        return None
    figures: Mapping[str, Any] = json.loads(text)["placements"][sheet.placement]
    return figures


def _links(settings: Settings, sheet: Sheet) -> list[View]:
    """Return the pages of MLflow about a version, and the report that stands here."""
    links = []
    base = registry.pages_address(settings)
    if base:
        page = f"{base}/#/models/{sheet.model}/versions/{sheet.version}"
        links = [
            {"text": "Version in MLflow", "href": page},
            {"text": "Report in MLflow", "href": f"{base}/{sheet.report}"},
        ]
    return links
