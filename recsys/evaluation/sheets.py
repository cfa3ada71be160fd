"""Sheets: where a version's evidence is, for pages that must not wait for MLflow or the warehouse.

``RECSYS_HOME/board/versions/`` holds a file for each registered version that the gate has judged: its evaluation, run
and verdict. What was decided about it since is on the board.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from recsys.artifacts import read_document, read_documents, write_document
from recsys.errors import NotFoundError
from recsys.homes import Home
from recsys.settings import Settings

FOLDER: Final = ("board", "versions")


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What the gate knew of a version.

    Attributes:
        placement: the placement it was registered for.
        model: the registered model.
        version: its version.
        run_id: the run in MLflow.
        report: the report's address below MLflow's pages, from ``#`` on.
        evaluation: URI of the evaluation, with its figures, examples and report.
        as_of: what the version learned from ends here (naive UTC, ISO).
        verdict: what :func:`recsys.evaluation.gate.judge` said.
    """

    placement: str
    model: str
    version: str
    run_id: str
    report: str
    evaluation: str
    as_of: str
    verdict: dict[str, Any]


def write_sheet(settings: Settings, sheet: Sheet) -> None:
    """Write a version's sheet; one that is there is replaced."""
    write_document(Home.of(settings), _path(settings, sheet.model, sheet.version), asdict(sheet))


def has_sheet(settings: Settings, model: str, version: str) -> bool:
    """Tell whether a version has a sheet."""
    return read_document(Home.of(settings), _path(settings, model, version)) is not None


def list_sheets(settings: Settings) -> list[Sheet]:
    """Return the sheets of all versions, the newest version of a model first."""
    folder = settings.resolved_home.joinpath(*FOLDER)
    found = [Sheet(**document) for document in read_documents(Home.of(settings), folder)]
    return sorted(found, key=lambda sheet: (sheet.model, -int(sheet.version)))


def find_sheet(settings: Settings, model: str, version: str) -> Sheet:
    """Return a version's sheet.

    Raises:
        NotFoundError: if the gate has not judged such a version here.
    """
    for sheet in list_sheets(settings):
        if (sheet.model, sheet.version) == (model, version):
            return sheet
    raise NotFoundError(
        f"Nothing is known here of version {version!r} of {model!r}: the gate has not judged it on this machine. "
        "Its page in MLflow has the evidence."
    )


def _path(settings: Settings, model: str, version: str) -> Path:
    return settings.resolved_home.joinpath(*FOLDER) / f"{model}-{version}.json"
