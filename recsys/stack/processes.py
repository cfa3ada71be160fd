"""Starting a part in a session of its own, and ending all that has come of it.

A part makes children, and Airflow gives each running task a process group of its own, so a signal to the
part's group would leave tasks behind. What a process can't lose by accident is its session: every
part leads one, and ending a part is ending all processes of its session.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

GRACE_SECONDS = 20.0
_ORPHAN_SECONDS = 3.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Part:
    """One program of the stack: a name for people and the command that runs it."""

    name: str
    command: tuple[str, ...]

    def log(self, folder: Path) -> Path:
        """Return the file that holds what the part prints."""
        return folder / f"{self.name.replace(' ', '-').lower()}.log"


def start_part(part: Part, logs: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a part as the leader of a session of its own, its output in a fresh log."""
    logs.mkdir(parents=True, exist_ok=True)
    with part.log(logs).open("wb") as log:
        return subprocess.Popen(
            part.command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def session_members(sessions: Iterable[int]) -> dict[int, int]:
    """Return the living processes of some sessions, each with its session; the dead don't count.

    A session is known by its leader's id.
    """
    wanted = set(sessions)
    members = {}
    for pid in psutil.pids():
        try:
            session = os.getsid(pid)
            if session in wanted and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                members[pid] = session
        except (ProcessLookupError, PermissionError, psutil.Error):
            continue  # ended meanwhile, or another user's
    return members


def end_sessions(sessions: Iterable[int], grace: float = GRACE_SECONDS) -> None:
    """End all processes of some sessions: asked first, forced after the grace (seconds).

    What its leader has left behind is forced sooner: nobody is there any more to end it in order.
    """
    wanted = tuple(sessions)
    _signal_all(session_members(wanted), signal.SIGTERM)
    began = time.monotonic()
    while members := session_members(wanted):
        waited = time.monotonic() - began
        if waited > grace:
            _signal_all(members, signal.SIGKILL)
        elif waited > _ORPHAN_SECONDS:
            _signal_all((pid for pid, session in members.items() if session not in members), signal.SIGKILL)
        time.sleep(_POLL_SECONDS)


def _signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue  # ended by itself, as wanted


def tail(path: Path, lines: int = 15) -> str:
    """Return the last lines of a log, empty where there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 64 * 1024))
        text = file.read().decode("utf-8", errors="replace")
    return "\n".join(text.splitlines()[-lines:])
