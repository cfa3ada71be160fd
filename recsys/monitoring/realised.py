"""How good lists turned out to be, once the days that they were made for have passed.

A publication may be superseded and its lists removed long before its window ends. So a sample of customers' lists is
kept below ``RECSYS_HOME/monitoring/lists/`` while it is stored, and removed once it was measured.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from recsys import columns as c
from recsys import erasures
from recsys.assets import read_sql
from recsys.compute import write_batches
from recsys.evaluation.published import measure_lists
from recsys.evaluation.roles import HEADLINE
from recsys.homes import Home
from recsys.monitoring.drift import last_bucket
from recsys.monitoring.records import BREACH, OK, REALISED_NDCG, WARN, Measurement, Stamped, Status
from recsys.monitoring.storing import FOLDER
from recsys.publication import PublicationRecord
from recsys.settings import Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import Warehouse

LISTS = "lists"
STORED = ("live", "superseded", "withdrawn")
MOST = 5  # publications of one placement that one look measures
Expected = Mapping[str, Any]


def keep_samples(
    warehouse: Warehouse, settings: Settings, records: list[PublicationRecord], before: list[Stamped]
) -> None:
    """Keep the lists of sampled customers of each publication that was live, is still stored and not measured yet."""
    done = {one.measurement.part for one in before}
    for one in records:
        is_wanted = one.live_at is not None and one.status in STORED and one.publication_id not in done
        if not is_wanted or _sample_of(settings, one.publication_id) is not None:
            continue
        last = last_bucket(settings, one.user_count)
        folder = _folder(settings)
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".draft-{one.publication_id}"
        names = {"publication_id": one.publication_id, "last_bucket": last}
        watch = erasures.Watch.of(Home.of(settings))
        with warehouse.read_arrow(read_sql("monitoring", "list_sample.sql"), names) as reader:
            write_batches(reader, draft)
        with watch.keeping():
            draft.replace(folder / f"{one.publication_id}@{last}.parquet")


def due(
    settings: Settings, records: list[PublicationRecord], newest: datetime, before: list[Stamped]
) -> list[PublicationRecord]:
    """Return the publications whose window has passed and that were not measured yet, oldest first.

    Args:
        settings: give the horizon.
        records: publications of one placement.
        newest: up to when the shop is known.
        before: earlier measurements of realised figures.
    """
    horizon = timedelta(days=settings.ranker.horizon_days)
    done = {one.measurement.part for one in before}
    passed = [one for one in records if one.as_of + horizon <= newest and one.publication_id not in done]
    passed = [one for one in passed if _sample_of(settings, one.publication_id) is not None]
    return sorted(passed, key=lambda one: (one.as_of, one.publication_id))[:MOST]


def realised(
    settings: Settings, later: Snapshot, publication: PublicationRecord, expected: Expected | None
) -> Measurement:
    """Measure NDCG@10 of what a publication showed, beside what its version had on the hold-out of its training.

    Args:
        settings: give horizon, confidence and the limit.
        later: a snapshot that knows the whole window.
        publication: whose sample is kept.
        expected: ``ndcg`` and its interval (``low``, ``high``, None if unknown); None if the version's page can't
            be read.
    """
    path = _sample_of(settings, publication.publication_id)
    if path is None:
        raise ValueError(f"{publication.publication_id} has no sample")
    last = int(path.stem.rpartition("@")[2])
    found = measure_lists(
        settings, later, publication.placement, pq.read_table(path), publication.as_of, last_bucket=last
    )
    value, interval = found["metrics"].get(HEADLINE), found["intervals"].get(HEADLINE)
    status, message = _judged(settings, publication, found["customers"], value, interval, expected)
    return Measurement(
        name=REALISED_NDCG,
        placement=publication.placement,
        part=publication.publication_id,
        value=value,
        limit=None if expected is None else expected["ndcg"] * (1 - settings.monitoring.max_realised_drop),
        status=status,
        message=message,
        details={
            c.MODEL_VERSION: publication.model_version,
            c.AS_OF: publication.as_of.isoformat(),
            "window_to": found["window_to"],
            "customers": found["customers"],
            "interval": interval,
            "expected": dict(expected) if expected else None,
        },
    )


def _judged(
    settings: Settings,
    publication: PublicationRecord,
    customers: int,
    value: float | None,
    interval: list[float] | None,
    expected: Expected | None,
) -> tuple[Status, str]:
    told = f"{publication.publication_id} (as of {publication.as_of:%Y-%m-%d}, version {publication.model_version}): "
    if value is None:
        return OK, told + "no customer with a list bought anything that counts, so nothing can be said."
    told += f"NDCG@10 {value:.4f}{_bounds(interval)} of {customers:,} customers"
    if expected is None:
        return OK, told + "; what was expected can't be read from MLflow."
    told += f", expected {expected['ndcg']:.4f}{_bounds([expected['low'], expected['high']])} from the hold-out."
    least = expected["ndcg"] * (1 - settings.monitoring.max_realised_drop)
    # Other customers and other days: the two intervals stand side by side, they are no paired difference.
    if interval and interval[1] < least:
        return BREACH, (
            f"{told} Surely more than {settings.monitoring.max_realised_drop:.0%} below: see what drifted, "
            "retrain (recsys run), and compare with the version before; recsys rollback returns to it."
        )
    if interval and expected["low"] is not None and interval[1] < expected["low"]:
        return WARN, f"{told} Below what was expected: keep an eye on it."
    return OK, told


def forget(settings: Settings, before: list[Stamped]) -> list[str]:
    """Remove the samples of publications that were measured; return their ids."""
    gone = []
    for one in before:
        path = _sample_of(settings, str(one.measurement.part))
        if path is not None:
            path.unlink()
            gone.append(str(one.measurement.part))
    return gone


def _folder(settings: Settings) -> Path:
    return settings.resolved_home / FOLDER / LISTS


def _sample_of(settings: Settings, publication_id: str) -> Path | None:
    folder = _folder(settings)
    found = [path for path in folder.glob("*.parquet") if path.stem.rpartition("@")[0] == publication_id]
    return found[0] if found else None


def _bounds(interval: list[float] | None) -> str:
    return f" ({interval[0]:.4f} to {interval[1]:.4f})" if interval and interval[0] is not None else ""
