"""Who runs the local stack under a home folder: a lock that a killed program loses, and a note beside it."""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from recsys.errors import StackError
from recsys.stack.keys import write_private

_REAPER_SECONDS = 30.0


@dataclass(frozen=True)
class ProcessId:
    """A process that can be told from a later one with the same number."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> "ProcessId":
        """Return the identity of a living process."""
        return cls(pid, psutil.Process(pid).create_time())

    @property
    def is_alive(self) -> bool:
        """Say whether it is still there."""
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.created and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


@dataclass(frozen=True)
class StackNote:
    """What a running stack says of itself."""

    owner: ProcessId
    reaper: ProcessId
    airflow_url: str
    mlflow_url: str


class StackClaim:
    """The right to run the stack of one home folder, held by at most one process."""

    def __init__(self, folder: Path) -> None:
        self._note = folder / "stack.json"
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / "stack.lock", timeout=0)

    def take(self) -> bool:
        """Take the claim; False when another process has it.

        A note without its lock is of a program that was killed. What that program had started is being
        ended by its reaper, so this waits until the reaper is done.

        Raises:
            StackError: if the reaper takes too long.
        """
        try:
            self._lock.acquire()
        except Timeout:
            return False
        note = self.read()
        if note is not None:
            _wait_for_end(note.reaper)
            self._note.unlink(missing_ok=True)
        return True

    def write(self, reaper_pid: int, airflow_url: str, mlflow_url: str) -> None:
        """Say who runs the stack, and where it answers."""
        note = StackNote(ProcessId.of(os.getpid()), ProcessId.of(reaper_pid), airflow_url, mlflow_url)
        write_private(self._note, json.dumps(asdict(note), indent=1))

    def read(self) -> StackNote | None:
        """Return the note of the stack that runs, or of one that was killed; None where there is none."""
        try:
            kept = json.loads(self._note.read_text(encoding="utf-8"))
            owner, reaper = ProcessId(**kept.pop("owner")), ProcessId(**kept.pop("reaper"))
            return StackNote(owner=owner, reaper=reaper, **kept)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            # Only a note: what holds is the lock. An unreadable one is as good as none.
            return None

    def release(self) -> None:
        """Give the claim back."""
        self._note.unlink(missing_ok=True)
        self._lock.release()


def _wait_for_end(reaper: ProcessId) -> None:
    deadline = time.monotonic() + _REAPER_SECONDS
    while reaper.is_alive:
        if time.monotonic() > deadline:
            raise StackError(
                f"An earlier stack was killed, and process {reaper.pid} is still ending its programs. "
                f"Try again in a moment; if it stays, end process {reaper.pid}."
            )
        time.sleep(0.2)
