"""Starts, watches and ends Airflow and MLflow on this machine."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from types import TracebackType
from typing import Final

import httpx
from rich.console import Console

from recsys.errors import SettingsError, StackError
from recsys.settings import Settings
from recsys.stack.airflow_api import AirflowApi
from recsys.stack.checks import check_address, check_disk, check_loopback, check_port, is_loopback
from recsys.stack.environment import Layout, stack_environment
from recsys.stack.faults import part_ended
from recsys.stack.keys import USER, load_keys, write_private
from recsys.stack.processes import Part, end_sessions, session_members, start_part, tail
from recsys.stack.signals import StopSignals
from recsys.stack.state import StackClaim

HEALTHY_SECONDS: Final = 240.0
_POLL_SECONDS: Final = 0.5


class Stack:
    """The local Airflow and MLflow of one home folder; a context manager that ends what it started.

    If another process runs the stack of this home folder already, this one attaches to it: it uses the
    addresses of that stack and leaves it running. Inside the block a stopping signal (Ctrl-C, SIGTERM,
    SIGHUP) raises :class:`KeyboardInterrupt`.
    """

    def __init__(self, settings: Settings, console: Console | None = None) -> None:
        self.settings = settings
        self.layout = Layout.of(settings)
        self.console = console or Console()
        self.attached = False
        self.launched_at = datetime.now(UTC)
        self._signals = StopSignals()
        self._parts: dict[Part, subprocess.Popen[bytes]] = {}
        self._reaper: subprocess.Popen[str] | None = None
        self._claim: StackClaim | None = None
        self._api: AirflowApi | None = None

    def __enter__(self) -> "Stack":
        """Start the programs, or attach; see :meth:`launch` for what can go wrong."""
        self._signals.install()
        try:
            self.launch()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what this stack started."""
        self.stop()

    @property
    def api(self) -> AirflowApi:
        """Return a client that is logged in as the stack's user."""
        if self._api is None:
            self._api = AirflowApi(self.layout.airflow_url, USER, load_keys(self.layout.stack).password)
        return self._api

    @property
    def password(self) -> str:
        """Return the password of the one user of Airflow's UI."""
        return load_keys(self.layout.stack).password

    def start(self) -> None:
        """Start the programs and wait until they are healthy.

        Raises:
            StackError: as :meth:`launch` and :meth:`wait_until_healthy`.
        """
        self.launch()
        self.wait_until_healthy()

    def launch(self) -> None:
        """Start the programs without waiting for them to answer; do nothing when that was done already.

        Raises:
            StackError: if a port is taken, the disk is full, or Airflow's database can't be prepared.
        """
        if self._parts or self.attached:
            return
        check_address(self.settings.host, os.environ)
        self._claim = StackClaim(self.layout.stack)
        if not self._claim.take():
            self._attach(self._claim)
            return
        if self.settings.airflow_port == self.settings.mlflow_port:
            raise SettingsError(
                f"Airflow and MLflow can't both have port {self.settings.airflow_port}; "
                "set RECSYS_AIRFLOW_PORT or RECSYS_MLFLOW_PORT."
            )
        check_disk(self.layout.home)
        check_port(self.settings.airflow_port, "Airflow", "RECSYS_AIRFLOW_PORT")
        check_port(self.settings.mlflow_port, "MLflow", "RECSYS_MLFLOW_PORT")
        self._start_all(self._claim)

    def _attach(self, claim: StackClaim) -> None:
        note = claim.read()
        if note is None:
            raise StackError(
                f"Another process is just starting the stack of {self.layout.home}; try again in a moment."
            )
        self.attached = True
        self._claim = None
        self.layout = replace(self.layout, airflow_url=note.airflow_url, mlflow_url=note.mlflow_url)
        self.console.print(f"The stack runs already (process {note.owner.pid}); using it.")

    def _start_all(self, claim: StackClaim) -> None:
        keys = load_keys(self.layout.stack)
        environment = stack_environment(self.settings, self.layout, keys)
        write_private(self.layout.passwords, f'{{"{USER}": "{keys.password}"}}')
        self.layout.airflow.mkdir(parents=True, exist_ok=True)
        (self.layout.mlflow / "artifacts").mkdir(parents=True, exist_ok=True)
        self._start_reaper(environment)
        claim.write(self._require_reaper().pid, self.layout.airflow_url, self.layout.mlflow_url)
        self._start(_mlflow_part(self.settings, self.layout), environment)
        self._migrate_airflow(environment)
        for part in _AIRFLOW_PARTS:
            self._start(part, environment)

    def _start_reaper(self, environment: dict[str, str]) -> None:
        with self._signals.held():
            self._reaper = subprocess.Popen(
                [sys.executable, "-m", "recsys.stack.reaper"],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                text=True,
            )

    def _require_reaper(self) -> "subprocess.Popen[str]":
        if self._reaper is None:
            raise StackError("The stack is not running.")
        return self._reaper

    def _start(self, part: Part, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        reaper = self._require_reaper()
        with self._signals.held():
            process = start_part(part, self.layout.logs, environment)
            self._parts[part] = process
            if reaper.stdin is not None:
                reaper.stdin.write(f"{process.pid}\n")
                reaper.stdin.flush()
        return process

    def _migrate_airflow(self, environment: dict[str, str]) -> None:
        # It takes 15 s and changes nothing when this version of Airflow has done it before.
        stamp = self.layout.airflow / "migrated"
        wanted = version("apache-airflow-core")
        if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
            return
        process = self._start(_MIGRATION, environment)
        self._wait(lambda: process.poll() is not None, "Preparing Airflow's database", HEALTHY_SECONDS)
        if process.returncode != 0:
            raise part_ended(_MIGRATION.name, process.returncode, tail(_MIGRATION.log(self.layout.logs)))
        del self._parts[_MIGRATION]
        write_private(stamp, wanted)

    def wait_until_healthy(self, timeout: float = HEALTHY_SECONDS) -> None:
        """Wait until both answer and say that all their parts are well, showing what is awaited.

        Raises:
            StackError: if a part ends, if not all are well within ``timeout`` seconds, or if one of them
                listens where other machines can reach it.
        """
        self._wait(lambda: not self._unhealthy(), "Starting Airflow and MLflow", timeout, self._awaited)
        served = () if is_loopback(self.settings.host) else (self.settings.airflow_port, self.settings.mlflow_port)
        check_loopback(session_members(process.pid for process in self._parts.values()), served=served)

    def _awaited(self) -> str:
        return f"waiting for {', '.join(self._unhealthy())}"

    def _unhealthy(self) -> list[str]:
        names = [name for name, state in self.api.health().items() if state != "healthy"]
        try:
            answer = httpx.get(f"{self.layout.mlflow_url}/health", timeout=5, trust_env=False)
        except httpx.HTTPError:
            return [*names, "mlflow"]
        return names if answer.is_success else [*names, "mlflow"]

    def _wait(
        self,
        is_done: Callable[[], bool],
        what: str,
        timeout: float,
        detail: Callable[[], str] = lambda: "",
    ) -> None:
        began = time.monotonic()
        with self.console.status(what) as line:
            while not is_done():
                self.check()
                elapsed = time.monotonic() - began
                if elapsed > timeout:
                    logs = f"Logs: {self.layout.logs}"
                    raise StackError(f"{what}: not done after {timeout:.0f} s, {detail()}. {logs}")
                line.update(f"{what}, {elapsed:.0f} s  [dim]{detail()}[/]")
                time.sleep(_POLL_SECONDS)
        self.console.print(f"{what}: done in {time.monotonic() - began:.0f} s.")

    def check(self) -> None:
        """Check that everything still runs.

        Raises:
            StackError: naming the part that ended, how, and the last lines of its log.
        """
        for part, process in self._parts.items():
            code = process.poll()
            if code is not None and part is not _MIGRATION:
                raise part_ended(part.name, code, tail(part.log(self.layout.logs)))
        if self.attached:
            note = StackClaim(self.layout.stack).read()
            if note is None or not note.owner.is_alive:
                raise StackError("The stack that this program was using has been stopped.")

    def watch(self) -> None:
        """Stay until a part ends or a stopping signal comes.

        Raises:
            StackError: as :meth:`check`.
        """
        while True:
            self.check()
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End everything that this stack started and give its claim back; nothing when attached."""
        with self._signals.ignored():
            if self._api is not None:
                self._api.close()
                self._api = None
            if self._parts:
                with self.console.status("Stopping Airflow and MLflow"):
                    end_sessions(process.pid for process in self._parts.values())
            for process in self._parts.values():
                process.wait()
            self._parts = {}
            if self._reaper is not None:
                self._reaper.communicate()
                self._reaper = None
            if self._claim is not None:
                self._claim.release()
                self._claim = None
        self._signals.restore()


_MIGRATION: Final = Part("airflow db migrate", ("airflow", "db", "migrate"))
# Two of them would open log servers on all addresses; task logs are read from local files instead.
_AIRFLOW_PARTS: Final = (
    Part("api-server", ("airflow", "api-server")),
    Part("scheduler", ("airflow", "scheduler", "--skip-serve-logs")),
    Part("dag-processor", ("airflow", "dag-processor")),
    Part("triggerer", ("airflow", "triggerer", "--skip-serve-logs")),
)


def _mlflow_part(settings: Settings, layout: Layout) -> Part:
    options = {
        "--host": settings.host,
        "--port": str(settings.mlflow_port),
        "--workers": "1",
        "--backend-store-uri": f"sqlite:///{layout.mlflow / 'mlflow.db'}",
        "--artifacts-destination": (layout.mlflow / "artifacts").as_uri(),
    }
    if not is_loopback(settings.host):
        options["--app-name"] = "basic-auth"
    arguments = [word for pair in options.items() for word in pair]
    return Part("mlflow", ("mlflow", "server", *arguments, "--serve-artifacts"))
