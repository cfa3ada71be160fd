"""What was extracted, judged by the contracts and compared with the last good snapshot; the reports that are kept."""

import json
import logging
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb

from recsys import columns as c
from recsys import contracts
from recsys.artifacts import ArtifactStore, read_document, write_document
from recsys.errors import AlteredError, NotFoundError
from recsys.homes import Home
from recsys.settings import Settings
from recsys.snapshot.extracting import OWN_COLUMNS
from recsys.snapshot.opening import KIND, MANIFEST, TABLES

LOG = logging.getLogger(__name__)
REPORTS: Final = "contracts"
STOPPED: Final = "stopped"


def last_good(settings: Settings, moment: datetime) -> contracts.Base | None:
    """Return the newest snapshot up to a moment, which passed its contracts, as others are compared with it.

    One that was altered since is no measure: whoever uses it is told, and it is made anew.
    """
    store = ArtifactStore.of(settings)
    found: list[tuple[datetime, float, str, dict[str, Any]]] = []
    for name, made_at in store.made(KIND).items():
        try:
            manifest = json.loads(store.read(KIND, name, MANIFEST))
        except (AlteredError, NotFoundError) as error:
            LOG.warning("Not compared with %s: %s", name, error)
            continue
        as_of = datetime.fromisoformat(manifest["as_of"])
        if "profile" in manifest and manifest["namespace"] == settings.namespace and as_of <= moment:
            found.append((as_of, made_at, name, manifest))
    if not found:
        return None
    as_of, _, name, manifest = max(found, key=lambda one: one[:2])
    report = read_document(Home.of(settings), _report(settings, name))
    return contracts.Base(name, as_of, manifest["profile"], contracts.age_in(report) if report else None)


def newest_report(settings: Settings) -> str:
    """Return what the newest check of the contracts found, as JSON.

    Raises:
        NotFoundError: if no check was ever made.
    """
    reports = list((settings.resolved_home / REPORTS).glob("*.json"))
    if not reports:
        raise NotFoundError("No snapshot was checked yet: recsys run takes one.")
    return max(reports, key=lambda path: path.stat().st_mtime_ns).read_text(encoding="utf-8")


def check(
    connection: duckdb.DuckDBPyConnection,
    raw: Path,
    settings: Settings,
    moment: datetime,
    latest_allowed: datetime,
    now: datetime,
) -> contracts.Report:
    """Judge what was extracted; stop where a contract says so.

    Raises:
        ContractError: with the whole report, which is kept.
    """
    for table in (*TABLES, *contracts.JUDGED, c.EVENTS):
        extracted = connection.from_parquet(str(raw / f"{table}.parquet"))
        judged = [name for name in extracted.columns if name not in OWN_COLUMNS]
        extracted.project(", ".join(judged)).create_view(f"extracted_{table}")
    base = last_good(settings, moment)
    report = contracts.check_tables(
        connection,
        settings,
        as_of=moment,
        latest_allowed=latest_allowed,
        now=now,
        base=base,
        folder=raw / "checked",
    )
    if report.is_stopped:
        keep_report(settings, report, STOPPED)
    contracts.stop_if_broken(report)
    LOG.log(logging.WARNING if report.failures else logging.INFO, "%s", report.text)
    return report


def keep_report(settings: Settings, report: contracts.Report, name: str) -> Path:
    """Write a report beside the snapshot; when its content was first taken stays, for it tells what age is usual."""
    home, path = Home.of(settings), _report(settings, name)
    first = (read_document(home, path) or {}).get("first_taken_at")
    kept = {"first_taken_at": first} if first and name != STOPPED else {}
    return write_document(home, path, report.as_json() | kept)


def _report(settings: Settings, name: str) -> Path:
    return settings.resolved_home / REPORTS / f"{name}.json"
