"""The do-not-process list: who was erased, as keyed hashes, so that it names nobody.

It stands in the warehouse and in a file below home, and whoever opens one brings it in line with the other: a
warehouse that was restored from a back-up of before the erasure does not forget, and neither does a new home.
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from filelock import FileLock
from sqlalchemy import text

from recsys import columns as c
from recsys.artifacts import replace_json
from recsys.assets import read_sql
from recsys.pseudonyms import FOLDER, Pseudonyms
from recsys.settings import Settings
from recsys.warehouse import Warehouse

LOG = logging.getLogger(__name__)
FILE: Final = "do_not_process.json"
_TABLE: Final = (
    "select 1 as found from information_schema.tables where table_schema = 'recsys' and table_name = 'do_not_process'"
)


@dataclass(frozen=True)
class DoNotProcess:
    """The list, and the key that it is made with."""

    marks: frozenset[str]
    pseudonyms: Pseudonyms | None

    @classmethod
    def kept(cls, settings: Settings) -> "DoNotProcess":
        """Return the list that home has."""
        return _of(settings, _read(_path(settings)))

    @classmethod
    def synced(cls, settings: Settings, warehouse: Warehouse) -> "DoNotProcess":
        """Return what home or the warehouse list, after each got what only the other had."""
        entries = _read(_path(settings))
        if not warehouse.query(_TABLE):
            return _of(settings, entries)  # a warehouse of before the list; the next migration makes it
        rows = warehouse.query(read_sql("privacy", "do_not_process.sql"))
        stored = {row["mark"]: row for row in rows}
        missing = [entries[mark] for mark in sorted(entries.keys() - stored.keys())]
        if missing:
            with warehouse.transaction() as connection:
                connection.execute(text(read_sql("privacy", "add_do_not_process.sql")), missing)
        if stored.keys() - entries.keys():
            entries = _add(settings, stored.values())
        return _of(settings, entries)

    def among(self, user_ids: Iterable[object]) -> list[str]:
        """Return which of these customers, named by id or pseudonym, are on the list."""
        if self.pseudonyms is None or not self.marks:
            return []
        mark = self.pseudonyms.mark
        return [str(user_id) for user_id in user_ids if user_id is not None and mark(str(user_id)) in self.marks]


def list_mark(settings: Settings, warehouse: Warehouse, mark: str, erasure_id: str, now: datetime) -> None:
    """Put a customer on the list, in home and in the warehouse."""
    _add(settings, [{"mark": mark, "erasure_id": erasure_id, "listed_at": now.isoformat()}])
    DoNotProcess.synced(settings, warehouse)


def leave_out(settings: Settings, warehouse: Warehouse, *files: Path) -> int:
    """Take out of extracted files whoever must not be processed.

    Args:
        settings: where the list is.
        warehouse: has the list, too.
        files: Parquet files with user_id, which are rewritten if somebody has to go.

    Returns:
        The number of rows that were left out.
    """
    listed = DoNotProcess.synced(settings, warehouse)
    if not listed.marks:
        return 0
    with duckdb.connect() as bench:
        found = listed.among(row[0] for path in files for row in _distinct(bench, path))
        if not found:
            return 0
        gone = sum(_without(bench, path, found) for path in files)
    LOG.warning(
        "The warehouse still holds %d customers who were erased and are not to be processed: their %d rows were left "
        "out. recsys retain removes them.",
        len(set(found)),
        gone,
    )
    return gone


def listed_in(settings: Settings, subjects: Iterable[object]) -> list[str]:
    """Return which of these customers are on home's list."""
    return DoNotProcess.kept(settings).among(subjects)


def _distinct(bench: duckdb.DuckDBPyConnection, path: Path) -> list[tuple[Any, ...]]:
    return bench.execute(f"select distinct {c.USER_ID} from read_parquet($path)", {"path": str(path)}).fetchall()


def _without(bench: duckdb.DuckDBPyConnection, path: Path, gone: list[str]) -> int:
    bench.register("gone", pa.table({c.USER_ID: pa.array(sorted(set(gone)), pa.string())}))
    relation = bench.from_parquet(str(path))
    kept = relation.filter(f"{c.USER_ID} is null or {c.USER_ID} not in (select {c.USER_ID} from gone)")
    before, fresh = len(relation), path.with_suffix(".kept")
    kept.write_parquet(str(fresh), compression="zstd")
    fresh.replace(path)
    return before - len(bench.from_parquet(str(path)))


def _of(settings: Settings, entries: dict[str, Any]) -> DoNotProcess:
    # Without anybody on it no key is needed, so none is made.
    return DoNotProcess(frozenset(entries), Pseudonyms.of(settings) if entries else None)


def _add(settings: Settings, rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    path = _path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        entries = _read(path)
        for row in rows:
            named = {"mark": row["mark"], "erasure_id": row["erasure_id"], "listed_at": _written(row["listed_at"])}
            entries.setdefault(row["mark"], named)
        replace_json(path, {"do_not_process": list(entries.values())})
    return entries


def _written(moment: datetime | str) -> str:
    return moment if isinstance(moment, str) else moment.isoformat()


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    return {row["mark"]: row for row in json.loads(path.read_text(encoding="utf-8"))["do_not_process"]}


def _path(settings: Settings) -> Path:
    return settings.resolved_home / FOLDER / FILE
