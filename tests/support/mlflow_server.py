"""A real MLflow server for tests, on a free loopback port, laid out as ``recsys up`` starts it."""

import base64
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Served:
    """A running server."""

    address: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End it and its children at once, as a failing machine does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=30)


@contextmanager
def mlflow_server(home: Path) -> Iterator[str]:
    """Serve ``home/mlflow`` and yield the address; the server and its children end with the block."""
    with served_mlflow(home) as server:
        yield server.address


@contextmanager
def served_mlflow(home: Path) -> Iterator[Served]:
    """Serve ``home/mlflow`` and yield the server, which a test may kill; it ends with the block at the latest."""
    folder = home / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    with (folder / "server.log").open("w", encoding="utf-8") as log:
        server = subprocess.Popen(
            _command(folder, port),
            cwd=folder,
            env=_environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait(server, port, folder / "server.log")
            yield Served(f"http://127.0.0.1:{port}", server)
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=30)


def _command(folder: Path, port: int) -> list[str]:
    store = f"sqlite:///{folder / 'mlflow.db'}"
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--backend-store-uri", store]
    artifacts = ["--serve-artifacts", "--artifacts-destination", str(folder / "artifacts")]
    return [sys.executable, "-m", "mlflow", "server", *options, *artifacts]


def _environment() -> dict[str, str]:
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    quiet |= {"MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https", "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true"}
    # It would look for a minute at the webhooks that were there before.
    quiet["MLFLOW_WEBHOOK_CACHE_TTL"] = "0"
    # A home is served again by other servers of a test: a key that stays lets them read its webhooks.
    quiet["MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"] = base64.urlsafe_b64encode(bytes(32)).decode()
    return {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")} | quiet


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Poll the server's health until it answers; its start takes 10 to 20 s on two cores."""
    while True:
        if server.poll() is not None:
            raise RuntimeError(f"mlflow server ended with {server.returncode}:\n{log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            # A select on a closed port returns at once, so wait for the process a moment instead.
            try:
                server.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                continue
