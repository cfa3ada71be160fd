"""The live lists as files, for readers who can't open the embedded warehouse.

``RECSYS_HOME/live/`` holds a folder for each live publication and each base of one, one for what is looked up beside
the lists (what is live, what must not be shown, the shop's titles and segments), a SQL file with a view over them, and
``manifest.json``. Folders are never changed once they have their name; the two
files are replaced by a rename. What the newest manifest and the one before name is kept, so that
a reader who began before a replacement can finish.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any, Final

import pyarrow.parquet as pq
from filelock import FileLock

from recsys.artifacts import room_on_disk
from recsys.assets import read_sql
from recsys.compute import write_batches
from recsys.erasures import Watch
from recsys.errors import ErasedMeanwhileError
from recsys.homes import Home
from recsys.publication.board import write_board
from recsys.settings import Settings
from recsys.warehouse import ReadArrow, Warehouse

MANIFEST: Final = "manifest.json"
VIEW: Final = "live_recommendations.sql"
VIEWS = ("live_view.sql", "live_shop.sql")
LISTS: Final = "lists.parquet"
DRAFT: Final = ".draft-"
BASE: Final = "base_publication_id"
VERSION: Final = 5
"""Of the manifest's form."""
# What changes between publications: what is live, who and what must not be shown, titles and segments.
STATE_FILES: Final = {
    "pointers.parquet": "live_pointers.sql",
    "hidden_users.parquet": "hidden_users.sql",
    "suppressed_items.parquet": "suppressed_items.sql",
    "items.parquet": "live_items.sql",
    "customers.parquet": "live_customers.sql",
}


def export_live(warehouse: Warehouse, settings: Settings, audited: Mapping[str, Path] | None = None) -> Path:
    """Write the live lists to ``RECSYS_HOME/live/``, and the board; lists that are there are not written again.

    :func:`publish` and :func:`rollback` call it. Call it also after a change of suppressions or consent:
    those files are written anew each time, while a rule's start and end are looked at when the view is read.

    Args:
        warehouse: an open, migrated warehouse.
        settings: where home is.
        audited: files with all stored rows of publications, by id, as an audit has read them just now: they are moved
            to their place instead of being read again. What was erased since is read anew.

    Returns:
        The folder.

    Raises:
        DiskFullError: if there is no room for the files. Readers of them still see what was live before.
    """
    folder = settings.resolved_home / "live"
    with room_on_disk(folder):
        try:
            _export(warehouse, Home.of(settings), audited or {})
        except ErasedMeanwhileError:
            # What is live has to get there: once more, without the customer.
            _export(warehouse, Home.of(settings), {})
        write_board(warehouse, settings)
    return folder


def _export(warehouse: Warehouse, home: Home, audited: Mapping[str, Path]) -> None:
    folder = home.path / "live"
    folder.mkdir(parents=True, exist_ok=True)
    # The lock is taken before the pointers are read: else a slow export could replace a newer one.
    with FileLock(folder / ".lock"):
        watch = Watch.anew(home)
        pointers = warehouse.query(read_sql("publication", "live_pointers.sql"))
        row_counts = {pointer["publication_id"]: pointer["own_row_count"] for pointer in pointers}
        publications = sorted({*row_counts, *(base for pointer in pointers if (base := pointer[BASE]))})
        for publication_id in publications:
            rows = audited.get(publication_id)
            is_whole = rows is not None and pq.read_metadata(rows).num_rows == row_counts[publication_id]
            _export_lists(warehouse, folder, publication_id, watch, rows if is_whole else None)
        state = _export_state(warehouse, folder, watch)
        before = read_manifest(folder)
        manifest = _manifest(pointers, publications, state, before)
        _replace(folder / VIEW, "\n".join(over_live_files(folder, manifest, name) for name in VIEWS))
        _replace(folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True))
        _tidy(folder, {*manifest["folders"], *manifest["folders_before"]})


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a live folder; empty if there is none."""
    path = folder / MANIFEST
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _export_lists(warehouse: Warehouse, folder: Path, publication_id: str, watch: Watch, rows: Path | None) -> None:
    if (folder / publication_id / LISTS).is_file():
        return
    _remove(folder / publication_id)  # what a removal that was killed left of it
    draft = _draft(folder)
    if rows is None:
        _write_lists(warehouse.read_arrow, draft / LISTS, publication_id)
    else:
        rows.rename(draft / LISTS)
    with watch.keeping():
        draft.rename(folder / publication_id)


def _write_lists(read: ReadArrow, path: Path, publication_id: str) -> None:
    # Ordered, so that a reader of one customer's list skips what is of others.
    query = read_sql("publication", "publication_rows.sql") + "order by bucket, subject_id, rank"
    with read(query, {"publication_id": publication_id}) as reader:
        write_batches(reader, path)


def _export_state(warehouse: Warehouse, folder: Path, watch: Watch) -> str:
    """Write what changes to a folder that is named by its content; return the name."""
    draft = _draft(folder)
    digest = hashlib.sha256()
    with warehouse.reading() as read:
        for name, query in STATE_FILES.items():
            with read(read_sql("publication", query)) as reader:
                write_batches(reader, draft / name)
            digest.update((draft / name).read_bytes())
        # The view reads a list of files, which may not be empty: this one has no rows.
        _write_lists(read, draft / LISTS, "")
    target = folder / f"state-{digest.hexdigest()[:16]}"
    if target.is_dir() and all((target / name).is_file() for name in (*STATE_FILES, LISTS)):
        shutil.rmtree(draft)
    else:
        _remove(target)
        with watch.keeping():
            draft.rename(target)
    return target.name


def _manifest(
    pointers: list[dict[str, Any]], publications: list[str], state: str, before: dict[str, Any]
) -> dict[str, Any]:
    moments = ("as_of", "live_at")
    live = [{**pointer, **{name: pointer[name].isoformat() for name in moments}} for pointer in pointers]
    folders = [*publications, state]
    # An export that is repeated must not forget what the one before it named.
    is_same = before.get("folders") == folders
    former = before.get("folders_before" if is_same else "folders", [])
    return {"version": VERSION, "live": live, "state": state, "folders": folders, "folders_before": former}


def over_live_files(folder: Path, manifest: dict[str, Any], query: str) -> str:
    """Return a file of ``sql/publication`` with the names of the live files that a manifest tells."""
    # A list of files may not be empty: that of the state has no rows.
    newer = sorted(entry["publication_id"] for entry in manifest["live"] if entry[BASE])
    return Template(read_sql("publication", query)).substitute(
        lists=", ".join(_literal(folder / name / LISTS) for name in manifest["folders"]),
        newer_lists=", ".join(_literal(folder / name / LISTS) for name in (*newer, manifest["state"])),
        **{Path(name).stem: _literal(folder / manifest["state"] / name) for name in STATE_FILES},
    )


def _literal(path: Path) -> str:
    """Return a path as SQL text: a view has no parameters."""
    return "'" + str(path).replace("'", "''") + "'"


def _draft(folder: Path) -> Path:
    draft = folder / f"{DRAFT}{uuid.uuid4().hex[:12]}"
    draft.mkdir()
    return draft


def _remove(path: Path) -> None:
    """Remove a folder, out of the way first: one that lost only some of its files would pass for a whole one."""
    if path.is_dir():
        shutil.rmtree(path.rename(path.with_name(f"{DRAFT}{uuid.uuid4().hex[:12]}")))


def _replace(path: Path, content: str) -> None:
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}")
    fresh.write_text(content, encoding="utf-8")
    fresh.replace(path)


def _tidy(folder: Path, named: set[str]) -> None:
    """Remove folders that no manifest names, and what killed exports left."""
    for path in folder.iterdir():
        if path.is_dir() and path.name not in named:
            _remove(path)
        elif path.is_file() and path.name.startswith((f".{VIEW}.", f".{MANIFEST}.")):
            path.unlink()
