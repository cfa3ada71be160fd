"""Small shops with lists in them, for tests of what monitoring says about them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recsys.monitoring import Measurement, Stamped, record
from recsys.publication import PublicationRecord, publish
from recsys.settings import Settings
from recsys.snapshot import Snapshot, take_snapshot
from recsys.warehouse import Warehouse
from tests.support.publications import MODEL, NOW, list_of, write_publication
from tests.support.warehouse import user_id


def snapshot_of(settings: Settings, *, now: datetime = NOW, as_of: str = "latest") -> Snapshot:
    """Take a snapshot; no warehouse may be open in this process that waits for it."""
    return Snapshot.open(take_snapshot(settings, as_of=as_of, now=now).uri)


def put_live(
    warehouse: Warehouse,
    settings: Settings,
    name: str,
    lists: dict[str, list[str]],
    *,
    now: datetime = NOW,
    **changes: Any,
) -> PublicationRecord:
    """Bring lists of some customers live, and the same of the first for everybody."""
    everybody = next(iter(lists.values()))
    rows = list_of("*", everybody)
    for subject, items in lists.items():
        rows += list_of(subject, items)
    folder: Path = settings.resolved_home / "files"
    made = write_publication(folder, name, rows, expected=len(lists), files=1, **changes)
    return publish(warehouse, settings, made, now=now)


def figures(measurements: Iterable[Measurement]) -> dict[tuple[str, str | None], Measurement]:
    """Return measurements by name and part."""
    return {(one.name, one.part): one for one in measurements}


def trained(warehouse: Warehouse, as_of: datetime, *, version: str = "1", now: datetime = NOW) -> None:
    """Note, as a monitoring does, when a version was trained: MLflow need not be asked then."""
    details = {"model_name": MODEL, "model_version": version, "as_of": as_of.isoformat()}
    age = Measurement(name="model_age_days", placement="for_you", value=0.0, message="Trained.", details=details)
    record(warehouse, [age], run_id=f"noted {version}", measured_at=now - timedelta(hours=1))


def stamped(measurement: Measurement, at: datetime = NOW, run_id: str = "before") -> Stamped:
    """Return a measurement as an earlier look kept it."""
    return Stamped(at, run_id, measurement)


def users(*numbers: int) -> list[str]:
    """Return ids of the made shop's customers."""
    return [user_id(number) for number in numbers]
