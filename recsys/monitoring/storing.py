"""Measurements in the warehouse, and the newest of them in a file for whoever must not open it.

``RECSYS_HOME/monitoring/latest.json`` is replaced as a whole; a page or a scraper reads that, since an embedded
warehouse is closed to readers while a stage holds it.
"""

import json
import os
import uuid
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from sqlalchemy import Connection

from recsys.artifacts import read_document, share_document
from recsys.assets import read_sql
from recsys.homes import Home
from recsys.monitoring.records import RANKED, Measurement, Stamped
from recsys.settings import Settings
from recsys.warehouse import Warehouse

TABLE: Final = "recsys.measurements"
FOLDER: Final = "monitoring"
LATEST: Final = "latest.json"
EPOCH: Final = datetime(1970, 1, 1)
_TIME = pa.timestamp("us")
_SCHEMA = pa.schema(
    [
        ("measurement_id", pa.string()),
        ("measured_at", _TIME),
        *((name, pa.string()) for name in ("run_id", "name", "placement", "part")),
        ("value", pa.float64()),
        ("threshold", pa.float64()),
        *((name, pa.string()) for name in ("status", "message", "details")),
    ]
)


def record(
    warehouse: Warehouse, measurements: list[Measurement], *, run_id: str, measured_at: datetime
) -> list[Stamped]:
    """Append a batch, in one transaction; what the same run measured at the same moment stays as it is.

    Returns:
        What the warehouse holds of that run and moment now.
    """
    stamped = _in_order(Stamped(measured_at, run_id, one) for one in measurements)
    with warehouse.transaction() as connection:
        kept = batch_of(warehouse, run_id=run_id, measured_at=measured_at, connection=connection)
        if kept:
            return kept
        rows = pa.Table.from_pylist([one.as_row() for one in stamped], _SCHEMA)
        warehouse.append(connection, TABLE, rows)
    return stamped


def batch_of(
    warehouse: Warehouse, *, run_id: str, measured_at: datetime, connection: Connection | None = None
) -> list[Stamped]:
    """Return what one run measured at one moment; nothing if it didn't."""
    names = {"since": measured_at, "name": None}
    rows = warehouse.query(read_sql("monitoring", "measured.sql"), names, connection=connection)
    own = (row for row in rows if (row["measured_at"], row["run_id"]) == (measured_at, run_id))
    return _in_order(Stamped.of_row(row) for row in own)


def _in_order(batch: Iterable[Stamped]) -> list[Stamped]:
    """Sort a batch the same way everywhere: the engines order text by rules of their own."""
    named = ((one.measurement.name, one.measurement.placement or "", one.measurement.part or "", one) for one in batch)
    return [one for *_, one in sorted(named, key=lambda row: row[:3])]


def measured(warehouse: Warehouse, *, since: datetime = EPOCH, name: str | None = None) -> list[Stamped]:
    """Return what was measured since a moment, of one name or of all, oldest first."""
    rows = warehouse.query(read_sql("monitoring", "measured.sql"), {"since": since, "name": name})
    return [Stamped.of_row(row) for row in rows]


def newest_batch(warehouse: Warehouse) -> list[Stamped]:
    """Return what the newest monitoring measured; nothing if there was none."""
    found = warehouse.query(read_sql("monitoring", "newest.sql"))
    if not found:
        return []
    return batch_of(warehouse, **found[0])


def write_latest(settings: Settings, records: list[Stamped], *, run_id: str, measured_at: datetime) -> Path:
    """Replace the file with the newest measurements; what a newer look wrote meanwhile stays."""
    folder = settings.resolved_home / FOLDER
    there = latest_figures(settings)["measured_at"]
    if there is not None and datetime.fromisoformat(there) > measured_at:
        return folder / LATEST
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "measured_at": measured_at.isoformat(),
        "run_id": run_id,
        "measurements": [one.as_json() for one in records],
    }
    fresh = folder / f".{LATEST}.{uuid.uuid4().hex[:12]}"
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    return share_document(Home.of(settings), fresh.replace(folder / LATEST))


def latest_figures(settings: Settings) -> dict[str, Any]:
    """Return the newest measurements and which of them are breaches or warnings, without opening the warehouse.

    Returns:
        A JSON-able dict: ``measured_at`` (ISO, naive UTC; None if nothing was measured yet), ``run_id``, ``status``
        (the worst), ``measurements``, and of these ``breaches`` and ``warnings``. Each measurement has measured_at,
        run_id, name, placement, part, value, limit, status, message and details.
    """
    nothing: dict[str, Any] = {"measured_at": None, "run_id": None, "measurements": []}
    document = read_document(Home.of(settings), settings.resolved_home / FOLDER / LATEST) or nothing
    found = document["measurements"]
    return {
        **document,
        "status": max((one["status"] for one in found), key=RANKED.index, default=None),
        "breaches": [one for one in found if one["status"] == "breach"],
        "warnings": [one for one in found if one["status"] == "warn"],
    }
