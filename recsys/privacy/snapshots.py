"""Rewrites snapshots without a customer: the one exception to their immutability.

The successor is what the same extraction would have given without the customer: the others' numbers close up, so the
content hash, and so the name, is that of such an extraction. Its manifest names the predecessor's id and hash, and
``snapshots/successors.json`` leads from the old id to the new one.
"""

import json
from pathlib import Path
from typing import Any

import duckdb

from recsys import columns as c
from recsys.artifacts import ArtifactStore, open_artifact, read_document, uri_of, write_document
from recsys.compute import engine, write_parquet
from recsys.homes import Home
from recsys.privacy.subject import Subject
from recsys.settings import Settings
from recsys.snapshot import EXTRACTED_EVENTS, EXTRACTS, KIND, MANIFEST, SUCCESSORS, describe_files

USERS_FILE = "users.parquet"


def snapshots_with(settings: Settings, subject: Subject) -> list[Path]:
    """Return the folders of the snapshots that hold a customer."""
    return [folder for folder in _folders(settings) if _number_of(folder, subject) is not None]


def names_of(folder: Path) -> list[str]:
    """Return the ids that a snapshot has and had before it was rewritten for others."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return [folder.name, *(one["snapshot_id"] for one in manifest.get("predecessors", []))]


def rewrite_snapshots(settings: Settings, subject: Subject, erasure_id: str) -> list[dict[str, Any]]:
    """Replace every snapshot that holds a customer by its successor.

    Returns:
        Of each: old and new id and content hash, and the number of the customer's events.
    """
    return [_rewritten(settings, folder, subject, erasure_id) for folder in snapshots_with(settings, subject)]


def remove_extracts(settings: Settings, subject: Subject) -> dict[str, int]:
    """Delete the kept extraction of events if it holds a customer; the next one reads all events.

    Returns:
        How many there were, by kind; nothing if there was none.
    """
    store, removed = ArtifactStore.of(settings), 0
    for folder in store.folders(EXTRACTS):
        if (folder / EXTRACTED_EVENTS).is_file() and _has_events(folder / EXTRACTED_EVENTS, subject):
            store.discard(EXTRACTS, folder.name)
            removed += 1
    store.sweep(EXTRACTS)
    return {EXTRACTS: removed} if removed else {}


def _rewritten(settings: Settings, folder: Path, subject: Subject, erasure_id: str) -> dict[str, Any]:
    store, number = ArtifactStore.of(settings), _number_of(folder, subject)
    before = json.loads((open_artifact(uri_of(folder)) / MANIFEST).read_text(encoding="utf-8"))
    with engine(settings) as connection, store.draft(KIND) as draft:
        removed = _copy_without(connection, folder, draft, int(number or 0))
        old = {"snapshot_id": folder.name, "content_hash": before["content_hash"]}
        manifest = {
            **before,
            **describe_files(draft, before["as_of"]),
            "first_event": _first_event(connection, draft, before["as_of"]),
            "predecessors": [*before.get("predecessors", []), {**old, "erasure_id": erasure_id}],
        }
        name = f"{folder.name.rpartition('-')[0]}-{manifest['content_hash'][:12]}"
        (draft / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        facts = {"as_of": manifest["as_of"], "rows": manifest["rows"], "rejected": manifest["rejected"]}
        store.adopt(draft, KIND, name, facts)
    home, index = Home.of(settings), folder.parent / SUCCESSORS
    write_document(home, index, {**(read_document(home, index) or {}), folder.name: name})
    store.discard(KIND, folder.name)
    new = {"snapshot_id": name, "content_hash": manifest["content_hash"]}
    return {"old": old, "new": new, "events": removed}


def _copy_without(connection: duckdb.DuckDBPyConnection, folder: Path, draft: Path, number: int) -> int:
    """Write a snapshot's files anew without one customer; return how many events went."""
    (draft / "events").mkdir()
    connection.from_parquet(str(folder / USERS_FILE)).create_view("old_users", replace=True)
    moved = "cast(user_idx - case when user_idx > $number then 1 else 0 end as integer) as user_idx"
    asked: dict[str, object] = {"number": number}
    query = f"select * replace ({moved}) from old_users where user_idx <> $number order by user_idx"
    write_parquet(connection, query, draft / USERS_FILE, asked)
    before = after = 0
    for path in sorted(folder.rglob("*.parquet")):
        target = draft / path.relative_to(folder)
        if path.parent.name == "events":
            connection.from_parquet(str(path)).create_view("old_events", replace=True)
            kept = (
                f"select * replace ({moved}) from old_events where user_idx is distinct from $number "
                "order by user_idx, occurred_at, event_id"
            )
            before += connection.execute("select count(*) from old_events").fetchall()[0][0]
            after += write_parquet(connection, kept, target, asked)
        elif path.name != USERS_FILE:
            target.write_bytes(path.read_bytes())
    return before - after


def _first_event(connection: duckdb.DuckDBPyConnection, folder: Path, as_of: str) -> str:
    query = "select min(occurred_at) from read_parquet($files)"
    [(first,)] = connection.execute(query, {"files": str(folder / "events" / "*.parquet")}).fetchall()
    return str(first.isoformat()) if first else as_of


def _number_of(folder: Path, subject: Subject) -> int | None:
    with duckdb.connect() as bench:
        rows = bench.execute(
            f"select {c.USER_IDX} from read_parquet($path) where {c.USER_ID} in (select unnest($names))",
            {"path": str(folder / USERS_FILE), "names": list(subject.names)},
        ).fetchall()
    return int(rows[0][0]) if rows else None


def _has_events(path: Path, subject: Subject) -> bool:
    with duckdb.connect() as bench:
        [(count,)] = bench.execute(
            f"select count(*) from read_parquet($path) where {c.USER_ID} in (select unnest($names))",
            {"path": str(path), "names": list(subject.names)},
        ).fetchall()
    return bool(count)


def _folders(settings: Settings) -> list[Path]:
    return [folder for folder in ArtifactStore.of(settings).folders(KIND) if (folder / USERS_FILE).is_file()]
