"""MLflow: whether it answers, its version and its clock."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import requests

from recsys import registry
from recsys.doctor.finding import NOTE, OK, WRONG, Finding, Ground, clock_finding
from recsys.doctor.versions import tested_range

SECONDS: Final = 10.0
SQLITE: Final = "sqlite:///"


def check_mlflow(ground: Ground) -> list[Finding]:
    """Reach MLflow, and compare a server's version and clock."""
    uri = ground.settings.mlflow_uri
    shown = registry.redact(uri)
    if is_missing(uri):
        return [Finding("mlflow", NOTE, f"{shown} is not there yet; recsys run makes it")]
    with registry.connected(ground.settings):
        reached = Finding("mlflow", OK, f"{shown} answers")
    if not uri.startswith("http"):
        return [reached]
    version, moment = _ask(uri)
    findings = [reached]
    if version:
        findings.append(_version(version))
    if moment is not None:
        findings.append(clock_finding("mlflow's clock", moment, ground.clock()))
    return findings


def is_missing(uri: str) -> bool:
    """Say whether MLflow is a file that isn't there yet: asking it would make it."""
    return uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).is_file()


def _version(found: str) -> Finding:
    tested = tested_range("mlflow")
    if tested.contains(found, prereleases=True):
        return Finding("mlflow's version", OK, found)
    advice = f"Bring the server to a version within {tested}, or install a recsys that was tested with {found}."
    return Finding("mlflow's version", WRONG, f"{found}; tested with {tested}", advice)


def _ask(uri: str) -> tuple[str, datetime | None]:
    """Return the version of a server, empty if it doesn't tell, and what its clock says (naive UTC)."""
    try:
        answer = requests.get(f"{uri.rstrip('/')}/version", timeout=SECONDS)
    except requests.RequestException:
        return "", None  # It answered a moment ago, and would be told as away if it hadn't.
    # One that wants a log-in for this says at least what time it is.
    return answer.text.strip() if answer.ok else "", _moment(answer.headers.get("Date"))


def _moment(date: str | None) -> datetime | None:
    return parsedate_to_datetime(date).astimezone(UTC).replace(tzinfo=None) if date else None
