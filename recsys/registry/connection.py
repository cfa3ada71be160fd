"""The way into MLflow: one context manager that every function of this room goes through.

MLflow is imported inside functions, since importing it takes seconds that ``recsys recommend`` and
DAG parsing should not pay.

Two kinds of tracking URI work. With a server (``http``) the server decides where artifacts live.
With a SQLite file (``recsys run`` without servers) they go to ``artifacts/`` beside the file, which is
also where the server that ``recsys up`` starts over the same file keeps its own. So that each sees the
runs of the other, an experiment made without the server names that folder by a ``file://`` URI, which
the server can read too; and ``mlflow-artifacts:`` URIs, which the server hands out, are read from that
folder when there is no server to ask.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from recsys.errors import NotFoundError, RegistryError
from recsys.redaction import redact, redact_text
from recsys.settings import Settings

PROXIED = "mlflow-artifacts"
SQLITE = "sqlite:///"
ARTIFACTS = "artifacts"
LOGIN = "A log-in goes into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
PING = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
# Only what the environment leaves open is set: a shop that wants other values keeps them.
DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "GIT_PYTHON_REFRESH": "quiet",
}


def local_artifact_root(tracking_uri: str) -> Path | None:
    """Return the folder of the artifacts beside a SQLite tracking file; None for a server."""
    if not tracking_uri.startswith(SQLITE):
        return None
    return Path(tracking_uri.removeprefix(SQLITE).partition("?")[0]).resolve().parent / ARTIFACTS


@contextmanager
def connected(settings: Settings) -> Iterator[Any]:
    """Yield an ``MlflowClient`` on the settings' tracking URI, which is also the registry's.

    Raises:
        RegistryError: at once if MLflow does not answer, or later if it refuses something.
        NotFoundError: if something asked for by name is not there.
    """
    mlflow = _load_mlflow()
    uri = settings.mlflow_uri
    with _explained(uri):
        root = local_artifact_root(uri)
        if root is not None:
            root.mkdir(parents=True, exist_ok=True)
        with _selected(mlflow, uri), _proxied_artifacts_at(root):
            client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
            with environment(PING):
                client.search_experiments(max_results=1)
            yield client


def experiment_id(client: Any, settings: Settings, name: str | None = None) -> str:
    """Return the id of an experiment, the namespace's if no name is given, made if it isn't there.

    Raises:
        RegistryError: if somebody deleted the experiment in MLflow.
    """
    name = name or settings.namespace
    found = client.get_experiment_by_name(name) or _make_experiment(client, settings, name)
    if found.lifecycle_stage != "active":
        raise RegistryError(
            f"The experiment {name!r} is deleted in MLflow at {redact(settings.mlflow_uri)}; restore it with "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}` or set RECSYS_NAMESPACE."
        )
    return str(found.experiment_id)


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables, and put back what was there before."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _load_mlflow() -> Any:
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    import mlflow

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    return mlflow


def _make_experiment(client: Any, settings: Settings, name: str) -> Any:
    from mlflow.exceptions import MlflowException

    root = local_artifact_root(settings.mlflow_uri)
    location = (root / name).as_uri() if root else None
    try:
        client.create_experiment(name, artifact_location=location)
    except MlflowException as error:
        # Another task made it between our look and our write.
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.get_experiment_by_name(name)


@contextmanager
def _selected(mlflow: Any, uri: str) -> Iterator[None]:
    """Point MLflow's process-wide functions (``log_model``, ``load_model``) at a URI for a while."""
    names = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
    with environment({name: uri for name in names}):
        tracking, registry = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        try:
            yield
        finally:
            # What only repeats the environment was not set by the program, and stays unset.
            mlflow.set_tracking_uri(None if tracking == uri else tracking)
            mlflow.set_registry_uri(None if registry == uri else registry)


@contextmanager
def _proxied_artifacts_at(root: Path | None) -> Iterator[None]:
    """Read and write ``mlflow-artifacts:`` URIs in a local folder while there is no server to ask."""
    if root is None:
        yield
        return
    from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry as registry
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
    from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

    def local(artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> Any:
        place = (root / unquote(urlsplit(artifact_uri).path).lstrip("/")).resolve()
        if not place.is_relative_to(root):
            raise RegistryError(f"The artifact URI {artifact_uri} points outside of {root}.")
        return LocalArtifactRepository(place.as_uri())

    registry.register(PROXIED, local)
    try:
        yield
    finally:
        registry.register(PROXIED, MlflowArtifactsRepository)


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Turn what MLflow and its transports raise into errors that say what to do."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except MlflowException as error:
        raise _from_mlflow(uri, error) from error
    except (RequestException, SQLAlchemyError, OSError) as error:
        raise RegistryError(
            f"MLflow at {redact(uri)} can't be used: {_first_line(uri, error)}. {_advice(uri)}"
        ) from error


def _from_mlflow(uri: str, error: Any) -> RegistryError | NotFoundError:
    text = _first_line(uri, error)
    if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"):
        return NotFoundError(f"MLflow at {redact(uri)} has no such thing: {text}.")
    if "failed with exception" in text:
        return RegistryError(f"MLflow at {redact(uri)} can't be reached. {_advice(uri)} ({text})")
    login = f" {LOGIN}" if error.error_code in ("PERMISSION_DENIED", "UNAUTHENTICATED") else ""
    return RegistryError(f"MLflow at {redact(uri)} refused: {text}.{login}")


def _advice(uri: str) -> str:
    if local_artifact_root(uri) is not None:
        return "Check that the file can be written, or set RECSYS_TRACKING_URI to an MLflow server."
    return "Start it (`recsys up` on this machine), or set RECSYS_TRACKING_URI to the address of yours. " + LOGIN


def _first_line(uri: str, error: BaseException) -> str:
    """Return the first line of a message, without a password that stands in the URI."""
    lines = redact_text(str(error).strip().replace(uri.rstrip("/"), redact(uri).rstrip("/"))).splitlines()
    return (lines or [type(error).__name__])[0][:300].rstrip(".")
