"""Breaks what a process does at its Nth write: a statement, a commit, rows in bulk, a file, a rename, a removal.

Reads are not counted. Files are watched through Python's own audit events, so nothing has to be replaced in the code.
For processes of a test's own only: an audit hook can't be taken away again.
"""

import errno
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import duckdb
import psycopg
import pyarrow.parquet as pq
from sqlalchemy import Connection, Engine, event

from recsys.warehouse import Warehouse

KILL: Final = "kill"
FULL: Final = "full"
CUT: Final = "cut"
HOW: Final = (KILL, FULL)
_REMARKS: Final = re.compile(r"\s*(--[^\n]*\n|/\*.*?\*/)", re.DOTALL)
_READS: Final = re.compile(r"\s*(select|with|show|set|explain)\b", re.IGNORECASE)
# Functions that write, called by a select.
_CALLS: Final = re.compile(r"\brecsys\.(new|attach|remove|drop)_\w*list\w*\(")
_REMOVALS: Final = ("os.remove", "os.rmdir")
_CHANGES: Final = ("os.rename", "os.mkdir", "shutil.rmtree")
_TO_WRITE: Final = os.O_WRONLY | os.O_RDWR
_CUT_ALL: Final = (
    "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
    "where datname = current_database() and pid <> pg_backend_pid()"
)


class Breaker:
    """Counts writes, and breaks the one it was told.

    Args:
        home: files below it are counted.
        at: which write, from 1; 0: none, they are counted only.
        how: ``kill`` this process, let the disk be ``full``, or ``cut`` the connections to the server. A cut is made
            at writes to the warehouse only.
        cutting: the URL of the database whose connections are cut.
        is_files: count files too, not only what is written to the warehouse.
    """

    def __init__(self, home: Path, at: int, how: str = KILL, cutting: str = "", *, is_files: bool = True) -> None:
        self.count = 0
        self.what = ""
        self._home, self._at, self._how, self._cutting = str(home), at, how, cutting
        self._is_files = is_files and how != CUT
        self._is_breaking = self._is_emptying = False

    def watch(self) -> None:
        """Begin to count, for the rest of this process."""
        event.listen(Engine, "before_cursor_execute", self._statement)
        event.listen(Engine, "commit", self._commit)
        _before(Warehouse, "append", lambda *given, **_: self._in_warehouse(f"rows of {given[2]}", given[0].dialect))
        if self._is_files:
            _before(pq.ParquetWriter, "write_table", lambda *_, **__: self._step("Parquet", _full_file))
            sys.addaudithook(self._file)

    def _statement(self, connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        plain = _REMARKS.sub("", statement)
        if _READS.match(plain) and not _CALLS.search(plain):
            return
        connection.info["is_written"] = True
        self._in_warehouse(" ".join(plain.split())[:60], connection.dialect.name)

    def _commit(self, connection: Connection) -> None:
        if connection.info.pop("is_written", False):
            self._in_warehouse("commit", connection.dialect.name)

    def _in_warehouse(self, what: str, dialect: str) -> None:
        self._step(what, _FULL[dialect])

    def _file(self, name: str, given: tuple[Any, ...]) -> None:
        if name == "open":
            path, _mode, flags = given
            is_ours = isinstance(path, str) and bool(flags & _TO_WRITE) and self._is_below(path)
        elif name in _REMOVALS:
            is_ours = self._is_removal(given[0], is_inside=given[1] != -1)
        elif name in _CHANGES:
            is_ours = self._is_below(given[0]) and not (name == "os.mkdir" and Path(given[0]).exists())
            self._is_emptying = name == "shutil.rmtree"
        else:
            return
        if is_ours:
            # On a full disk a removal succeeds.
            full = _nothing if name in (*_REMOVALS, "shutil.rmtree") else _full_file
            self._step(f"{name} {given[0]}", full)

    def _is_removal(self, path: object, *, is_inside: bool) -> bool:
        """Tell whether to count it: of a folder's files the first one, whose names come without the folder."""
        if not is_inside:
            return self._is_below(path)
        is_first, self._is_emptying = self._is_emptying, False
        return is_first

    def _is_below(self, path: object) -> bool:
        text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        return text.startswith(self._home) and not text.endswith(".lock") and ".holder.json" not in text

    def _step(self, what: str, full: Callable[[], None]) -> None:
        if self._is_breaking:
            return
        self.count += 1
        if self.count != self._at:
            return
        self.what, self._is_breaking = what, True
        if self._how == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            if self._how == FULL:
                full()
                return
            with psycopg.connect(self._cutting, autocommit=True) as connection:
                connection.execute(_CUT_ALL)
        finally:
            self._is_breaking = False


def _nothing() -> None:
    pass


def _full_file() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _full_file_of_duckdb() -> None:
    raise duckdb.IOException("Could not write file: No space left on device")


def _full_server() -> None:
    raise psycopg.errors.DiskFull('could not extend file "base/1/2": No space left on device')


# MLflow's own file is not the warehouse's: a process may be killed while it is written, but it doesn't fill up.
_FULL: Final = {"duckdb": _full_file_of_duckdb, "postgresql": _full_server, "sqlite": _nothing}


def _before(owner: type, name: str, step: Callable[..., None]) -> None:
    real = getattr(owner, name)

    def stepped(*given: Any, **named: Any) -> Any:
        step(*given, **named)
        return real(*given, **named)

    setattr(owner, name, stepped)
