"""A snapshot: what the warehouse held as of a moment, as Parquet, immutable, named by its content.

A folder ``snapshots/<id>`` with

- ``users.parquet``   user_idx (dense, ordered by bucket and id), user_id, bucket, is_personalised,
  segment, attributes
- ``items.parquet``   item_idx (dense, ordered by id), item_id, title, category, brand, recommendable,
  exists_from, attributes
- ``item_versions.parquet``  item_idx, valid_from, valid_to, title, category, brand, recommendable: what products
  were at earlier moments, ordered by product and time
- ``promotions.parquet``  item_idx, market, starts_at, ends_at, known_at
- ``item_rules.parquet``  what the shop wrote down about products, their ids as item_idx and other_item_idx; see
  :mod:`recsys.knowledge`
- ``events/NN.parquet``  the events of one range of buckets, ordered by customer, time and id
- ``events/guests.parquet``
- ``manifest.json``   as_of, source, row counts, schema, the files' hashes, what was rejected by rule, and a profile of
  the events, which the next snapshot is compared with

What the contracts found stands in ``contracts/<id>.json``; what they stopped last, in ``contracts/stopped.json``.

Every later stage reads this, never the warehouse.
"""

import json
import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import duckdb
import pyarrow.parquet as pq

from recsys import columns as c
from recsys import contracts
from recsys.artifacts import (
    DRAFT,
    Artifact,
    ArtifactStore,
    check_file,
    content_hash,
    fingerprint,
    open_artifact,
    replace_json,
)
from recsys.assets import read_sql
from recsys.compute import engine, write_batches, write_parquet
from recsys.disguise import disguise, reveal_rows
from recsys.do_not_process import leave_out
from recsys.errors import ContractError, NotFoundError, SettingsError
from recsys.moments import parse_moment
from recsys.settings import Settings
from recsys.warehouse import Warehouse, open_warehouse

LOG = logging.getLogger(__name__)
KIND = "snapshots"
REPORTS = "contracts"
STOPPED = "stopped"
PARTS = 16
TABLES = (c.USERS, c.ITEMS, c.ITEM_VERSIONS, c.PROMOTIONS, c.ITEM_RULES)
EXTRACTED = (*TABLES, c.EVENTS)
MANIFEST = "manifest.json"
SUCCESSORS = "successors.json"  # from the ids of snapshots that were rewritten for an erasure to the new ones


@dataclass(frozen=True)
class Snapshot:
    """A finished snapshot on this machine."""

    folder: Path

    @classmethod
    def open(cls, uri: str) -> "Snapshot":
        """Open the snapshot that a URI names.

        One that was rewritten for an erasure is opened as what came after it.

        Raises:
            NotFoundError: if it isn't there.
            AlteredError: if its manifest was altered. The other files are checked when they are asked for, so that
                a shard reads no more than its own.
        """
        return cls(open_artifact(_current(uri), only=MANIFEST))

    @property
    def uri(self) -> str:
        """The URI that stages pass on."""
        return self.folder.as_uri()

    @property
    def snapshot_id(self) -> str:
        """The name: the moment and the hash of the content."""
        return self.folder.name

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest as written."""
        manifest: dict[str, Any] = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
        return manifest

    @property
    def is_pseudonymised(self) -> bool:
        """Whether customers stand here by their pseudonyms."""
        return bool(self.manifest.get("is_pseudonymised", False))

    @property
    def as_of(self) -> datetime:
        """The moment T: everything in here occurred and was known before it."""
        return datetime.fromisoformat(self.manifest["as_of"])

    @property
    def first_event(self) -> datetime:
        """When the first event occurred."""
        return datetime.fromisoformat(self.manifest["first_event"])

    def _checked(self, name: str) -> Path:
        """Return the path of a file whose content is that of the manifest.

        What leave-one-out lays out for a moment has a manifest without hashes.
        """
        path, files = self.folder / name, self.manifest.get("files")
        return path if files is None else check_file(path, files.get(name, ""))

    @property
    def users(self) -> Path:
        """The customers' file."""
        return self._checked("users.parquet")

    @property
    def items(self) -> Path:
        """The products' file."""
        return self._checked("items.parquet")

    @property
    def item_versions(self) -> Path:
        """The file of what the products were at earlier moments."""
        return self._checked("item_versions.parquet")

    @property
    def promotions(self) -> Path:
        """The file of promotions."""
        return self._checked("promotions.parquet")

    @property
    def item_rules(self) -> Path:
        """The file of rules about products."""
        return self._checked("item_rules.parquet")

    @property
    def user_count(self) -> int:
        """Number of customers."""
        return int(self.manifest["rows"][c.USERS])

    @property
    def item_count(self) -> int:
        """Number of products."""
        return int(self.manifest["rows"][c.ITEMS])

    def event_files(self, bucket_from: int = 0, bucket_to: int = c.BUCKETS) -> list[str]:
        """Return the files that hold the customers' events of a range of buckets (no guests)."""
        width = c.BUCKETS // PARTS
        return [
            str(self._checked(f"events/{part:02d}.parquet"))
            for part in range(PARTS)
            if part * width < bucket_to and (part + 1) * width > bucket_from
        ]

    def attach(self, connection: duckdb.DuckDBPyConnection, bucket_from: int = 0, bucket_to: int = c.BUCKETS) -> None:
        """Give a DuckDB connection the views ``users``, ``items``, ``item_versions``, ``promotions``, ``item_rules``,
        ``events`` and ``guest_events``.

        The events are those of customers in the buckets.
        """
        connection.from_parquet(str(self.users)).create_view(c.USERS)
        connection.from_parquet(str(self.items)).create_view(c.ITEMS)
        connection.from_parquet(str(self.item_versions)).create_view(c.ITEM_VERSIONS)
        connection.from_parquet(str(self.promotions)).create_view(c.PROMOTIONS)
        connection.from_parquet(str(self.item_rules)).create_view(c.ITEM_RULES)
        connection.from_parquet(self.event_files(bucket_from, bucket_to)).create_view(c.EVENTS)
        connection.from_parquet(str(self._checked("events/guests.parquet"))).create_view(c.GUEST_EVENTS)


def _current(uri: str) -> str:
    """Return the URI of what a snapshot is now."""
    root, _, name = uri.rstrip("/").rpartition("/")
    index = Path(unquote(urlparse(root).path)) / SUCCESSORS
    successors = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else {}
    while name in successors:
        name = successors[name]
    return f"{root}/{name}"


def resolve_as_of(warehouse: Warehouse, settings: Settings, as_of: str, now: datetime) -> datetime:
    """Return the moment that ``as_of`` means for what the warehouse holds.

    ``latest`` is just after the newest event that no contract rejects.

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
        newest: datetime = found["newest_at"]
        return newest.replace(microsecond=0) + timedelta(seconds=1)
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


def take_snapshot(settings: Settings, *, as_of: str, now: datetime) -> Artifact:
    """Extract what the warehouse held as of a moment and keep it under the hash of its content.

    The facts tell what this call rejected; rejected rows are no part of the content, so the manifest of a
    reused snapshot may tell of others. The whole report of the contracts is kept below ``contracts/``.

    Raises:
        SettingsError: if ``as_of`` can't be used.
        ContractError: if the warehouse is empty or lacks a column, or a contract stops what it holds.
    """
    store = ArtifactStore(settings.resolved_home)
    latest_allowed = now + timedelta(hours=settings.max_future_hours)
    with store.draft(KIND) as draft:
        raw = draft / "raw"
        raw.mkdir()
        with open_warehouse(settings, purpose="extract a snapshot") as warehouse:
            contracts.check_columns(warehouse)
            moment = resolve_as_of(warehouse, settings, as_of, now)
            _extract(warehouse, raw, moment, latest_allowed)
            personal = (raw / f"{c.USERS}.parquet", raw / f"{c.EVENTS}.parquet")
            leave_out(settings, warehouse, *personal)
        names = disguise(settings, *personal) if settings.privacy.pseudonymise else {}
        with engine(settings) as connection, store.draft(KIND) as folder:
            report = _check(connection, raw, settings, moment, latest_allowed, now)
            _build(connection, folder)
            manifest = _manifest(folder, settings, moment, report.rejected)
            manifest["is_pseudonymised"] = settings.privacy.pseudonymise
            manifest["first_event"] = _first_event(connection, moment)
            manifest["profile"] = contracts.describe(connection, moment, settings.contracts.recent_days)
            name = f"{moment:%Y%m%dT%H%M%S}-{manifest['content_hash'][:12]}"
            (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            rows = reveal_rows(contracts.rejected_rows(connection, name, now), names)
            kept = _keep_report(settings, report, name)
            facts = {
                "as_of": manifest["as_of"],
                "rows": manifest["rows"],
                "rejected": report.rejected,
                "report": kept.as_uri(),
                "broken": [[failure.rule.severity, failure.rule.id, failure.count] for failure in report.failures],
            }
            artifact = store.adopt(folder, KIND, name, facts)
    # The same content may have been taken before the bad rows came, so a reused snapshot has some to tell as well.
    if rows.num_rows:
        with open_warehouse(settings, purpose="write quarantine") as warehouse:
            contracts.quarantine(warehouse, rows, name)
    return replace(artifact, facts=facts)


def last_good(settings: Settings, moment: datetime) -> contracts.Base | None:
    """Return the newest snapshot up to a moment, which passed its contracts, as others are compared with it."""
    found: list[tuple[datetime, int, Path, dict[str, Any]]] = []
    for path in (settings.resolved_home / KIND).glob(f"*/{MANIFEST}"):
        if path.parent.name.startswith(DRAFT):
            continue
        manifest = json.loads(path.read_text(encoding="utf-8"))
        as_of = datetime.fromisoformat(manifest["as_of"])
        if "profile" in manifest and manifest["namespace"] == settings.namespace and as_of <= moment:
            found.append((as_of, path.stat().st_mtime_ns, path, manifest))
    if not found:
        return None
    as_of, _, path, manifest = max(found, key=lambda one: one[:2])
    report = settings.resolved_home / REPORTS / f"{path.parent.name}.json"
    age = contracts.age_in(json.loads(report.read_text(encoding="utf-8"))) if report.is_file() else None
    return contracts.Base(path.parent.name, as_of, manifest["profile"], age)


def newest_report(settings: Settings) -> str:
    """Return what the newest check of the contracts found, as JSON.

    Raises:
        NotFoundError: if no check was ever made.
    """
    reports = list((settings.resolved_home / REPORTS).glob("*.json"))
    if not reports:
        raise NotFoundError("No snapshot was checked yet: recsys run takes one.")
    return max(reports, key=lambda path: path.stat().st_mtime_ns).read_text(encoding="utf-8")


def _check(
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
    for table in EXTRACTED:
        connection.from_parquet(str(raw / f"{table}.parquet")).create_view(f"extracted_{table}")
    base = last_good(settings, moment)
    report = contracts.check_tables(
        connection, settings, as_of=moment, latest_allowed=latest_allowed, now=now, base=base
    )
    if report.is_stopped:
        _keep_report(settings, report, STOPPED)
    contracts.stop_if_broken(report)
    LOG.log(logging.WARNING if report.failures else logging.INFO, "%s", report.text)
    return report


def _keep_report(settings: Settings, report: contracts.Report, name: str) -> Path:
    """Write a report beside the snapshot; when its content was first taken stays, for it tells what age is usual."""
    path = settings.resolved_home / REPORTS / f"{name}.json"
    first = json.loads(path.read_text(encoding="utf-8"))["first_taken_at"] if path.is_file() else None
    return replace_json(path, report.as_json() | ({"first_taken_at": first} if first and name != STOPPED else {}))


def _extract(warehouse: Warehouse, raw: Path, moment: datetime, latest_allowed: datetime) -> None:
    for table in EXTRACTED:
        parameters = {"as_of": moment}
        if table == c.EVENTS:
            parameters["latest_allowed"] = latest_allowed
        sql = read_sql("snapshot", f"extract_{table}.sql")
        with warehouse.read_arrow(sql, parameters) as reader:
            write_batches(reader, raw / f"{table}.parquet")


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
