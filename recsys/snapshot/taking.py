"""Takes a snapshot: extracts, lets the contracts judge, builds the files and names them by their content."""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from recsys import columns as c
from recsys import contracts, erasures
from recsys.artifacts import Artifact, ArtifactStore, content_hash, fingerprint
from recsys.assets import read_sql
from recsys.compute import engine, write_parquet
from recsys.disguise import reveal_rows
from recsys.errors import ContractError, SettingsError
from recsys.homes import Home
from recsys.moments import parse_moment
from recsys.settings import Settings
from recsys.snapshot.checking import check, keep_report
from recsys.snapshot.extracting import extract
from recsys.snapshot.opening import KIND, MANIFEST, PARTS, TABLES
from recsys.warehouse import Warehouse, open_warehouse

ROUNDS = 3
"""How often ``latest`` is moved back because the newest events were rejected."""


def resolve_as_of(warehouse: Warehouse, settings: Settings, as_of: str, now: datetime) -> datetime:
    """Return the moment that ``as_of`` means for what the warehouse holds.

    ``latest`` is just after the newest event that no contract rejects by itself; :func:`take_snapshot` looks at those
    that only many rows together show.

    Raises:
        SettingsError: if it can't be read, lies before the first event or in the future.
        ContractError: if there are no events at all.
    """
    asked = parse_moment(as_of)
    latest_allowed = now + timedelta(hours=settings.max_future_hours)
    found = warehouse.query(
        read_sql("snapshot", "latest_event.sql"),
        {
            "latest_allowed": latest_allowed,
            "max_user_events": settings.max_user_events,
            "max_user_events_a_day": settings.contracts.max_user_events_a_day,
            "rating_min": settings.rating_range[0],
            "rating_max": settings.rating_range[1],
        },
    )[0]
    if not found["all_rows"] or found["newest_at"] is None:
        raise ContractError(
            f"The warehouse has no usable events ({found['all_rows']} rows in shop.events). "
            "Load a shop first, for example with 'recsys load completejourney'."
        )
    if asked is None:
        return _just_after(found["newest_at"])
    if asked <= found["first_at"]:
        raise SettingsError(
            f"as_of {as_of} lies before the first event ({found['first_at']}): there is nothing to learn from. "
            f"Choose a moment up to {found['newest_at']}, or 'latest'."
        )
    if asked > latest_allowed:
        raise SettingsError(
            f"as_of {as_of} lies in the future (it is {now:%Y-%m-%d %H:%M} UTC; {settings.max_future_hours:g} hours "
            f"more are allowed). The newest event is of {found['newest_at']}: choose a moment just after it, "
            "or 'latest'."
        )
    return asked


def _just_after(newest: datetime) -> datetime:
    return newest.replace(microsecond=0) + timedelta(seconds=1)


def take_snapshot(settings: Settings, *, as_of: str, now: datetime) -> Artifact:
    """Extract what the warehouse held as of a moment and keep it under the hash of its content.

    ``latest`` is just after the newest event that no contract rejects; where the newest are rejected for what many rows
    show together, it is read again, as of that moment.

    The facts tell how this call read the events and what it rejected; rejected rows are no part of the content, so the
    manifest of a reused snapshot may tell of others. The whole report of the contracts is kept below ``contracts/``.

    Raises:
        SettingsError: if ``as_of`` can't be used.
        ContractError: if the warehouse is empty or lacks a column, or a contract stops what it holds.
        ErasedMeanwhileError: if a customer was erased while it was taken.
    """
    with erasures.reading(Home.of(settings)):
        made = _taken(settings, as_of, now, rounds=ROUNDS if parse_moment(as_of) is None else 0)
        while isinstance(made, _Earlier):
            made = _taken(settings, made.moment.isoformat(), now, rounds=made.rounds)
        return made


@dataclass(frozen=True)
class _Earlier:
    """What ``latest`` means without the rows that were rejected, and how often that may change still."""

    moment: datetime
    rounds: int


def _taken(settings: Settings, as_of: str, now: datetime, *, rounds: int) -> "Artifact | _Earlier":
    store = ArtifactStore.of(settings)
    latest_allowed = now + timedelta(hours=settings.max_future_hours)
    with store.draft(KIND) as draft:
        raw = draft / "raw"
        raw.mkdir()
        with open_warehouse(settings, purpose="extract a snapshot") as warehouse:
            contracts.check_columns(warehouse)
            moment = resolve_as_of(warehouse, settings, as_of, now)
            extraction = extract(settings, warehouse, raw, moment=moment, latest_allowed=latest_allowed)
        with engine(settings) as connection, store.draft(KIND) as folder:
            report = check(connection, raw, settings, moment, latest_allowed, now)
            latest = moment if report.newest is None else _just_after(report.newest)
            if rounds and latest < moment:
                return _Earlier(latest, rounds - 1)
            _build(connection, folder)
            manifest = _manifest(folder, settings, moment, report.rejected)
            manifest["is_pseudonymised"] = settings.privacy.pseudonymise
            manifest["first_event"] = _first_event(connection, moment)
            manifest["profile"] = contracts.describe(connection, moment, settings.contracts.recent_days)
            name = f"{moment:%Y%m%dT%H%M%S}-{manifest['content_hash'][:12]}"
            (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            rows = reveal_rows(contracts.rejected_rows(connection, name, now), extraction.names)
            kept = keep_report(settings, report, name)
            facts = {
                "as_of": manifest["as_of"],
                "rows": manifest["rows"],
                "extraction": extraction.mode,
                "rows_read": extraction.rows_read,
                "rejected": report.rejected,
                "report": kept.as_uri(),
                "broken": [[failure.rule.severity, failure.rule.id, failure.count] for failure in report.failures],
            }
            artifact = store.adopt(folder, KIND, name, facts)
    # The same content may have been taken before the bad rows came, so a reused snapshot has some to tell as well.
    if rows.num_rows:
        with (
            open_warehouse(settings, purpose="write quarantine") as warehouse,
            erasures.Watch.of(Home.of(settings)).keeping(),
        ):
            contracts.quarantine(warehouse, rows, name)
    return replace(artifact, facts=facts)


def _build(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    for table in TABLES:
        path = folder / f"{table}.parquet"
        write_parquet(connection, read_sql("snapshot", f"{table}.sql"), path)
        connection.from_parquet(str(path)).create_view(f"snapshot_{table}")
    events = folder / "events"
    events.mkdir()
    sql, width = read_sql("snapshot", "events.sql"), c.BUCKETS // PARTS
    ranges = {f"{part:02d}": (part * width, (part + 1) * width) for part in range(PARTS)}
    for name, (bucket_from, bucket_to) in {**ranges, "guests": (-1, 0)}.items():
        bounds: dict[str, object] = {"bucket_from": bucket_from, "bucket_to": bucket_to}
        write_parquet(connection, sql, events / f"{name}.parquet", bounds)


def _first_event(connection: duckdb.DuckDBPyConnection, moment: datetime) -> str:
    (first,) = connection.execute("select min(occurred_at) from valid_events").fetchall()[0]
    return (first or moment).isoformat()


def _manifest(folder: Path, settings: Settings, moment: datetime, rejected: dict[str, int]) -> dict[str, Any]:
    described = {"as_of": moment.isoformat(), "namespace": settings.namespace, "rejected": rejected}
    return described | describe_files(folder, moment.isoformat())


def describe_files(folder: Path, as_of: str) -> dict[str, Any]:
    """Return what a manifest says of a snapshot's files: rows, schema, files and content_hash.

    Args:
        folder: with all files.
        as_of: the snapshot's moment, ISO.
    """
    files = sorted(path for path in folder.rglob("*.parquet"))
    hashes = {str(path.relative_to(folder)): content_hash(path) for path in files}

    def count(pattern: str) -> int:
        return sum(pq.read_metadata(path).num_rows for path in folder.glob(pattern))

    return {
        "rows": {
            **{table: count(f"{table}.parquet") for table in TABLES},
            c.EVENTS: count("events/*.parquet"),
            "guest_events": count("events/guests.parquet"),
        },
        "schema": {
            table: [f"{field.name}: {field.type}" for field in pq.read_schema(path)]
            for table, path in (
                *((table, folder / f"{table}.parquet") for table in TABLES),
                (c.EVENTS, files[0]),
            )
        },
        "files": hashes,
        "content_hash": fingerprint(as_of, hashes),
    }
