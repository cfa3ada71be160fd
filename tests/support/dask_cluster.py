"""A Dask cluster of processes on this machine, as a shop starts one: a scheduler and workers with a memory limit."""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from distributed import Client

from recsys.engine.cluster import connect, disconnect
from recsys.settings import Settings
from tests.support.environments import PROGRAMS, ROOT

MEMORY = "1GiB"


@dataclass
class DaskCluster:
    """Processes that can be reached at ``address``; each worker is a nanny with the process that it keeps alive."""

    folder: Path
    address: str
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def settings(self, settings: Settings) -> Settings:
        """Return settings that send work here."""
        return settings.model_copy(update={"engine": "dask", "dask_scheduler": self.address})

    def add_worker(self, *options: str, **variables: str) -> subprocess.Popen[str]:
        """Start a worker, and return its nanny."""
        given = [
            "worker",
            self.address,
            "--nthreads",
            "1",
            "--memory-limit",
            MEMORY,
            "--no-dashboard",
            *options,
            "--local-directory",
            str(self.folder),
        ]
        process = start(self.folder, *given, **variables)
        self.processes.append(process)
        return process

    def worker_processes(self) -> list[psutil.Process]:
        """Return the processes that compute, not the nannies that start them anew."""
        nannies = [psutil.Process(process.pid) for process in self.processes[1:] if process.poll() is None]
        return [part for nanny in nannies for part in nanny.children() if part.cmdline()[0].startswith("dask worker [")]

    def workers(self, settings: Settings) -> dict[str, Any]:
        """Return what the scheduler knows of its workers, by address."""
        return dict(connect(self.settings(settings)).scheduler_info(n_workers=-1)["workers"])


def start(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start one of Dask's programs on the loopback, with its log in a file."""
    with (folder / f"{arguments[0]}.log").open("a") as log:
        return subprocess.Popen(
            [PROGRAMS / "dask", arguments[0], *arguments[1:]],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "OMP_NUM_THREADS": "1",
                "OMP_WAIT_POLICY": "PASSIVE",
                **variables,
            },
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )


@contextmanager
def dask_cluster(folder: Path, workers: int = 2) -> Iterator[DaskCluster]:
    """Run a cluster for the time of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    told = folder / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(told)]
    scheduler = start(folder, "scheduler", *options)
    cluster = DaskCluster(folder, "", [scheduler])
    try:
        cluster.address = _told(told, scheduler)
        for _ in range(workers):
            cluster.add_worker("--host", "127.0.0.1")
        with Client(cluster.address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=300)
        yield cluster
    finally:
        disconnect()
        for process in reversed(cluster.processes):
            _end(process)


def _told(file: Path, scheduler: subprocess.Popen[str]) -> str:
    """Wait until a scheduler has written where it listens."""
    pause = threading.Event()
    while scheduler.poll() is None:
        found = re.search(r"tcp://[\d.]+:\d+", file.read_text()) if file.is_file() else None
        if found:
            return found.group()
        pause.wait(0.05)
    raise AssertionError((file.parent / "scheduler.log").read_text())


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(psutil.NoSuchProcess):
        for part in psutil.Process(process.pid).children(recursive=True):
            part.kill()
    process.kill()
    process.wait()


class WorkerKiller:
    """Kills the first worker of a cluster that is seen in the midst of something, while the block runs."""

    def __init__(self, cluster: DaskCluster, is_busy: Callable[[psutil.Process], bool]) -> None:
        self._workers, self._is_busy = cluster.worker_processes(), is_busy
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.killed: list[int] = []

    def __enter__(self) -> "WorkerKiller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.005):
            for worker in self._workers:
                if self._is_busy(worker):
                    os.kill(worker.pid, signal.SIGKILL)
                    self.killed.append(worker.pid)
                    return
