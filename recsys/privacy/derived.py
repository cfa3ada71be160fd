"""What is made of snapshots: deleted where a stage makes it anew, rewritten where people still look at it."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recsys import columns as c
from recsys.artifacts import DONE, DRAFT, ArtifactStore
from recsys.compute import sweep_spills
from recsys.privacy.subject import Subject
from recsys.settings import Settings

DERIVED: Final = (
    "features",
    "histories",
    "candidates",
    "ranking_sets",
    "rankers",
    "states",
    "lists",
    "finished",
    "plans",
)
"""Kinds of artifacts with rows of customers, which the next run makes anew from the successor of the snapshot."""
LISTS: Final = ("live", "monitoring")
"""Folders of files with lists of customers, which are rewritten."""
EVALUATIONS: Final = "evaluations"
_COLUMNS: Final = (c.USER_ID, c.SUBJECT_ID)
_BEGUN: Final = (f"{DRAFT}*", ".*.kept")
"""Files in them that were not finished."""
_EXAMPLE: Final = r"<!-- customer {name} -->.*?<!-- end of customer -->\n?"


def remove_derived(settings: Settings) -> dict[str, int]:
    """Delete the artifacts that hold rows of customers and can be made anew, and what killed stages left of them.

    Returns:
        The number of artifacts deleted by kind.
    """
    store = ArtifactStore.of(settings)
    removed: dict[str, int] = {}
    for kind in DERIVED:
        names = store.names(kind)
        for name in names:
            store.discard(kind, name)
        store.sweep(kind)
        removed |= {kind: len(names)} if names else {}
    return removed


def evaluations_with(settings: Settings, subject: Subject) -> list[str]:
    """Return the names of the evaluations whose reports show a customer."""
    folders = [folder for folder in ArtifactStore.of(settings).folders(EVALUATIONS) if (folder / DONE).is_file()]
    return [folder.name for folder in folders if any(one["user"] in subject.names for one in _examples(folder))]


def rewrite_evaluations(settings: Settings, subject: Subject) -> dict[str, int]:
    """Take a customer out of the evaluations: their figures, and the example with their history and lists.

    The figures over all customers stay as they were measured. A rewritten evaluation is sealed anew.

    Returns:
        The number of rows and examples removed by evaluation; those without any are left out.
    """
    store, removed = ArtifactStore.of(settings), {}
    for folder in store.folders(EVALUATIONS):
        if (folder / DONE).is_file() and _mentions(folder, subject):
            counts = {"rows": 0}

            def change(draft: Path, counts: dict[str, int] = counts) -> None:
                counts["rows"] = _clean_evaluation(draft, subject)

            store.rewrite(EVALUATIONS, folder.name, change)
            removed[f"{EVALUATIONS}/{folder.name}"] = counts["rows"]
    return removed


def rewrite_lists(settings: Settings, subject: Subject) -> dict[str, int]:
    """Take a customer out of the live files, also of those that readers of the manifest before still open, and out of
    the samples that monitoring keeps.

    A file is replaced by a rename: who has the old one open reads it to its end.

    Returns:
        The number of rows removed by file; files without any are left out.
    """
    home = settings.resolved_home
    for path in [path for folder in LISTS for what in _BEGUN for path in (home / folder).rglob(what)]:
        if path.is_file():
            path.unlink(missing_ok=True)
    files = [path for folder in LISTS for path in sorted((home / folder).rglob("*.parquet"))]
    counts = {path: _filter(path, subject) for path in files}
    return {str(path.relative_to(home)): count for path, count in counts.items() if count}


def sweep_temporary(settings: Settings) -> int:
    """Delete what ended processes began or spilled to disk; return the number of folders that they spilled to.

    In an object store what was uploaded before the newest erasure and is not finished goes as well, and so do the
    versions of what was deleted or replaced.
    """
    store = ArtifactStore.of(settings)
    for kind in sorted(path.name for path in store.root.iterdir() if path.is_dir() and path.name not in LISTS):
        store.sweep(kind)
    began = store.store.newest_erasure() if store.store is not None else None
    if began is not None:
        tidy_store(settings, began)
    return sweep_spills(settings)


def tidy_store(settings: Settings, until: datetime) -> None:
    """Delete from the object store, if there is one, what can't be read any more.

    Args:
        settings: name it.
        until: unfinished files that were uploaded later stay; with a zone.
    """
    store = ArtifactStore.of(settings).store
    if store is not None:
        store.tidy(until)
        store.forget(until)


def strip_report(page: str, subject: Subject) -> str:
    """Return a report without the examples of a customer."""
    for name in subject.names:
        page = re.sub(_EXAMPLE.format(name=re.escape(name)), "", page, flags=re.DOTALL)
    return page


def _mentions(folder: Path, subject: Subject) -> bool:
    if any(_count(path, subject) for path in folder.rglob("*.parquet")):
        return True
    return any(one["user"] in subject.names for one in _examples(folder))


def _examples(folder: Path) -> list[dict[str, Any]]:
    path = folder / "examples.json"
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else []


def _clean_evaluation(folder: Path, subject: Subject) -> int:
    removed = sum(_filter(path, subject) for path in folder.rglob("*.parquet"))
    examples = _examples(folder)
    kept = [one for one in examples if one["user"] not in subject.names]
    if len(kept) < len(examples):
        (folder / "examples.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")
    for path in folder.glob("*.html"):
        path.write_text(strip_report(path.read_text(encoding="utf-8"), subject), encoding="utf-8")
    return removed + len(examples) - len(kept)


def _count(path: Path, subject: Subject) -> int:
    names = [name for name in pq.read_schema(path).names if name in _COLUMNS]
    condition = " or ".join(f"{name} in (select unnest($names))" for name in names)
    if not names:
        return 0
    with duckdb.connect() as bench:
        query = f"select count(*) from read_parquet($path) where {condition}"
        return int(bench.execute(query, {"path": str(path), "names": list(subject.names)}).fetchall()[0][0])


def _filter(path: Path, subject: Subject) -> int:
    """Replace a Parquet file by one without a customer's rows; return how many there were."""
    if not _count(path, subject):
        return 0
    fresh, removed = path.with_name(f".{path.name}.kept"), 0
    with pq.ParquetFile(path) as source, pq.ParquetWriter(fresh, source.schema_arrow, compression="zstd") as target:
        for batch in source.iter_batches():
            own = pa.array([False] * batch.num_rows)
            for name in (name for name in batch.schema.names if name in _COLUMNS):
                found = pc.is_in(batch[name], value_set=pa.array(subject.names, batch[name].type))
                own = pc.or_(own, found)
            kept = batch.filter(pc.invert(own))
            removed += batch.num_rows - kept.num_rows
            target.write_batch(kept)
    fresh.replace(path)
    return removed
