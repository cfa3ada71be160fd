"""Kills the process of a running Airflow task, and lets Airflow try the task again."""

import os
import signal
import threading
from collections.abc import Mapping
from typing import Any

import psutil

from recsys.stack import Stack
from recsys.stack.airflow_api import Run
from recsys.stack.processes import session_members


class Killer:
    """Ends each wanted task of a run once by SIGKILL, while it holds a lock: in the midst of its work.

    ``tasks`` says for each which file's lock that is, by a part of its path: ``/.draft-`` of an artifact that is being
    made, ``.lock`` any, as that of the warehouse.

    A task of Airflow runs in a process of its own, whose title names the task instance; only processes of the given
    stack are looked at. Airflow tries what was killed again.
    """

    def __init__(self, stack: Stack, run: Run, tasks: Mapping[str, str]) -> None:
        self._stack, self._run, self._tasks = stack, run, dict(tasks)
        self.killed: list[str] = []

    def run(self) -> None:
        """Look until every wanted task was killed, or the run has ended."""
        pause = threading.Event()
        while self._tasks:
            if self._stack.api.run(self._run.dag_id, self._run.run_id).ended_at:
                return
            for task in self._instances():
                name = str(task["task_id"])
                if (
                    task["state"] == "running"
                    and name in self._tasks
                    and self._kill(str(task["id"]), self._tasks[name])
                ):
                    del self._tasks[name]
                    self.killed.append(name)
            pause.wait(0.05)

    def _instances(self) -> list[dict[str, Any]]:
        path = f"/dags/{self._run.dag_id}/dagRuns/{self._run.run_id}/taskInstances"
        rows: list[dict[str, Any]] = self._stack.api._send("GET", path, params={"limit": 100}).json()["task_instances"]
        return rows

    def _kill(self, instance: str, lock: str) -> bool:
        """Kill the process of a task instance when it takes a lock; say whether that was so before it ended."""
        process, pause = self._process(instance), threading.Event()
        while process is not None:
            try:
                held = [file.path for file in process.open_files() if file.path.startswith(self._home)]
                if any(lock in path and path.endswith(".lock") for path in held):
                    os.kill(process.pid, signal.SIGKILL)
                    return True
                if process.status() == psutil.STATUS_ZOMBIE:
                    return False
            except (psutil.NoSuchProcess, ProcessLookupError):
                return False
            pause.wait(0.005)
        return False

    @property
    def _home(self) -> str:
        return str(self._stack.settings.resolved_home)

    def _process(self, instance: str) -> psutil.Process | None:
        parts = [process.pid for process in psutil.Process().children()]
        for pid in session_members(parts):
            try:
                process = psutil.Process(pid)
                # The executor's own process names the task too, and lives on.
                if " ".join(process.cmdline()).strip() == f"airflow worker -- {instance}":
                    return process
            except psutil.NoSuchProcess:
                continue
        return None
