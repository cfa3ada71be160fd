"""The lock file of the embedded warehouse.

While one process has a DuckDB file open for writing nobody else can open it, and DuckDB's own refusal
comes at once and names only a process id. So every opening first takes this lock, waits its turn, and
says who holds it when the wait is over. The kernel drops the lock of a killed process, so nothing is stale.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from recsys.errors import WarehouseBusyError, WarehouseError

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Holder:
    """Who holds the embedded warehouse: process id, what for, since when (UTC, ISO 8601)."""

    pid: int
    purpose: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.purpose}, since {self.since} UTC)"


def lock_path(database: Path) -> Path:
    """Return the lock file of a DuckDB file: beside it, so that all who open the file agree on it."""
    return database.with_suffix(".lock")


def current_holder(database: Path) -> Holder | None:
    """Return who wrote itself down as the holder of a DuckDB file, or None if nobody did.

    The note of a killed process stays until the next opening: it tells who held the file last.
    """
    try:
        return Holder(**json.loads(_note_path(database).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


@contextmanager
def hold_lock(database: Path, *, purpose: str, timeout: float) -> Iterator[None]:
    """Hold the lock of a DuckDB file.

    Raises:
        WarehouseBusyError: if it isn't free within ``timeout`` seconds; the message names the holder.
        WarehouseError: if the folder can't be written.
    """
    lock = FileLock(lock_path(database), timeout=timeout, poll_interval=POLL_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        holder = current_holder(database) or "a process that left no name"
        raise WarehouseBusyError(
            f"The warehouse {database} is held by {holder}; {purpose!r} waited {timeout:g} s for it. "
            "DuckDB lets one process at a time open the file: let that one finish, or end it, and try again."
        ) from error
    except OSError as error:
        raise WarehouseError(f"The lock file {lock_path(database)} can't be written: {error}.") from error
    try:
        _write_note(database, purpose)
        yield
    finally:
        _note_path(database).unlink(missing_ok=True)
        lock.release()


def _write_note(database: Path, purpose: str) -> None:
    """Write who holds the lock, by rename: a waiting process may read the note at any moment."""
    since = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    note = _note_path(database)
    fresh = note.with_name(f"{note.name}.{os.getpid()}")
    try:
        fresh.write_text(json.dumps(asdict(Holder(os.getpid(), purpose, since))), encoding="utf-8")
        fresh.replace(note)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise WarehouseError(f"{note} can't be written: {error}.") from error


def _note_path(database: Path) -> Path:
    return database.with_suffix(".holder.json")
