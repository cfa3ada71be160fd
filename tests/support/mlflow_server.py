"""A real MLflow server for tests, on a free loopback port, laid out as ``recsys up`` lays it out."""

import base64
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.support import children
from tests.support.mlflow_store import DATABASE, ready_database


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Served:
    """A running server."""

    address: str
    process: BaseProcess

    def kill(self) -> None:
        """End it at once, as a failing machine does."""
        self.process.kill()
        self.process.join(timeout=30)


@contextmanager
def mlflow_server(home: Path) -> Iterator[str]:
    """Serve ``home/mlflow`` and yield the address; the server and its children end with the block."""
    with served_mlflow(home) as server:
        yield server.address


@contextmanager
def served_mlflow(home: Path) -> Iterator[Served]:
    """Serve ``home/mlflow`` and yield the server, which a test may kill; it ends with the block at the latest."""
    folder = home / "mlflow"
    ready_database(folder / DATABASE)
    port, log = free_port(), folder / "server.log"
    server = children.start(_serve, folder, port, log=log, environment=_environment())
    try:
        wait_for_mlflow(lambda: server.exitcode, port, log)
        yield Served(f"http://127.0.0.1:{port}", server)
    finally:
        server.terminate()
        server.join(timeout=30)
        assert server.exitcode is not None


def _serve(folder: Path, port: int) -> None:
    """In a child: be what ``mlflow server`` starts, with one worker and the artifacts beside the database.

    Without the command, which would import all of this once more.
    """
    os.chdir(folder)
    artifacts = str(folder / "artifacts")
    # What the command tells its workers.
    told = {"FILE_STORE": f"sqlite:///{folder / DATABASE}", "SERVE_ARTIFACTS": "true"}
    told |= {"ARTIFACT_ROOT": "mlflow-artifacts:/", "ARTIFACT_DESTINATION": artifacts}
    os.environ.update({f"_MLFLOW_SERVER_{name}": value for name, value in told.items()})
    import uvicorn

    uvicorn.run("mlflow.server.fastapi_app:app", host="127.0.0.1", port=port, log_level="warning")


def _environment() -> dict[str, str]:
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    quiet |= {"MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https", "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true"}
    # It would look for a minute at the webhooks that were there before.
    quiet["MLFLOW_WEBHOOK_CACHE_TTL"] = "0"
    # A home is served again by other servers of a test: a key that stays lets them read its webhooks.
    quiet["MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"] = base64.urlsafe_b64encode(bytes(32)).decode()
    return {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")} | quiet


def wait_for_mlflow(ended: Callable[[], int | None], port: int, log: Path) -> None:
    """Poll the server's health until it answers, or has ended with a code."""
    while True:
        if (code := ended()) is not None:
            raise RuntimeError(f"mlflow server ended with {code}:\n{log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
