"""One MLflow run for each monitoring, in an experiment of its own, and what an evaluation had said before."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from recsys.errors import NotFoundError
from recsys.registry import flatten, provenance
from recsys.registry.connection import connected, experiment_id
from recsys.registry.training import BATCH, ending, milliseconds
from recsys.registry.turns import own_turn
from recsys.settings import Settings

SOURCE = "recsys monitor"
KEY = "recsys.monitoring"
DOCUMENT = "measurements.json"
EVALUATION = "evaluation/metrics.json"  # as log_training names it


@dataclass(frozen=True, kw_only=True)
class MonitoringRecord:
    """What one monitoring measured: figures by name, everything as JSON, and what a person reads on the run's page."""

    key: str
    run_name: str
    measured_at: datetime
    metrics: Mapping[str, float]
    document: list[dict[str, Any]]
    tags: Mapping[str, str]
    note: str


def log_monitoring(settings: Settings, records: list[MonitoringRecord]) -> list[str]:
    """Log what isn't logged yet, one finished run each; one that was logged half-way is made anew.

    Returns:
        The run ids of what was logged now.

    Raises:
        RegistryError: if MLflow can't be reached or refuses.
    """
    logged = []
    with own_turn(settings), connected(settings) as client:
        experiment = experiment_id(client, settings, f"{settings.namespace}_monitoring")
        for record in records:
            if _is_logged(client, experiment, record.key):
                continue
            started = milliseconds(record.measured_at.replace(tzinfo=UTC))
            tags = {
                **record.tags,
                KEY: record.key,
                "mlflow.note.content": record.note,
                "mlflow.source.name": SOURCE,
                "mlflow.source.type": "JOB",
                "git_commit": provenance.code_state().commit,
            }
            run = client.create_run(experiment, started, tags, run_name=record.run_name)
            with ending(client, run.info.run_id):
                _log(client, run.info.run_id, record, started)
            logged.append(str(run.info.run_id))
    return logged


def evaluation_of(settings: Settings, model: str, version: str) -> dict[str, Any] | None:
    """Return the evaluation that a version was registered with; None if its run holds none.

    Raises:
        NotFoundError: if the registry has no such version.
        RegistryError: if MLflow can't be reached.
    """
    import mlflow

    with connected(settings) as client:
        run_id = client.get_model_version(model, version).run_id
        if not run_id or EVALUATION not in {one.path for one in client.list_artifacts(run_id, "evaluation")}:
            return None
        found: dict[str, Any] = mlflow.artifacts.load_dict(f"runs:/{run_id}/{EVALUATION}")
        return found


def trained_as_of(settings: Settings, model: str, version: str) -> datetime:
    """Return the moment of the snapshot that a version learned from.

    Raises:
        NotFoundError: if the registry has no such version, or it was not registered by this platform.
        RegistryError: if MLflow can't be reached.
    """
    with connected(settings) as client:
        as_of = client.get_model_version(model, version).tags.get("as_of")
    if as_of is None:
        raise NotFoundError(f"Version {version} of {model} was not registered by this platform: no as_of tag.")
    return datetime.fromisoformat(as_of)


def _is_logged(client: Any, experiment: str, key: str) -> bool:
    is_logged = False
    for run in client.search_runs([experiment], f"tags.`{KEY}` = '{key}'"):
        if run.info.status == "FINISHED":
            is_logged = True
        else:
            client.delete_run(run.info.run_id)
    return is_logged


def _log(client: Any, run_id: str, record: MonitoringRecord, at: int) -> None:
    from mlflow.entities import Metric

    metrics = [Metric(flatten.metric_name(name), value, at, 0) for name, value in record.metrics.items()]
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + BATCH])
    client.log_dict(run_id, {"measurements": record.document}, DOCUMENT)
