"""One MLflow run for each training: what went in, what came out, and with which code."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from recsys import columns as c
from recsys.artifacts import fingerprint
from recsys.assets import assets_root
from recsys.errors import RegistryError
from recsys.registry import flatten, provenance
from recsys.registry.connection import connected, experiment_id
from recsys.registry.turns import own_turn
from recsys.settings import Settings

FINGERPRINT = "recsys.fingerprint"
PARENT = "mlflow.parentRunId"
PLOTS = "plots"
LOCK = "requirements.lock"  # beside the code in a checkout
MAX_DIGEST = 36
BATCH = 900
COLUMN_TYPES = {"bool": "boolean", "str": "string", "text": "string"}


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """What is known about a training when it ends.

    ``rows`` and ``schema`` describe the snapshot's tables (``{"events": 10}``,
    ``{"events": {"user_id": "string"}}``); ``evaluation`` is the evaluation JSON; ``files`` maps a
    folder of the run's artifacts (``""``: the top) to local files, such as the report; ``draw`` gives the PNG of
    its folder ``plots`` by name, and is called only for a training that wasn't logged before; ``note`` is Markdown that
    MLflow shows on the run's page.
    """

    run_name: str
    snapshot_id: str
    snapshot_uri: str
    as_of: str
    evaluation: Mapping[str, Any]
    rows: Mapping[str, int] = field(default_factory=dict)
    schema: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    files: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    draw: Callable[[], Mapping[str, bytes]] = dict
    duration_seconds: float | None = None
    note: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LoggedTraining:
    """Where a training was logged; ``reused`` if the same training had been logged before."""

    run_id: str
    experiment_id: str
    code_commit: str
    reused: bool

    def artifact_link(self, path: str) -> str:
        """Return a link to an artifact that works on the pages of MLflow, whatever its address."""
        return f"#/experiments/{self.experiment_id}/runs/{self.run_id}/artifacts/{path}"


def log_training(settings: Settings, record: TrainingRecord) -> LoggedTraining:
    """Log a training as one finished run of the namespace's experiment, with a child run a placement.

    A child has its placement's figures under the same names in every training, to be compared over time. The same
    training (snapshot, recipe and figures) is logged once: a second call returns the first run. A run that an earlier
    call could not finish is moved to MLflow's bin, with its children, and made anew.

    Raises:
        RegistryError: if MLflow can't be reached or refuses, or a file to log is missing.
    """
    _check_files(record)
    code = provenance.code_state()
    key = fingerprint(record.snapshot_id, flatten.recipe(settings), code.commit, record.evaluation)
    with own_turn(settings), connected(settings) as client:
        experiment = experiment_id(client, settings)
        finished = _finished_run(client, experiment, key)
        if finished is not None:
            return LoggedTraining(finished, experiment, code.commit, True)
        tags = _tags(record, code) | {FINGERPRINT: key}
        started = datetime.now(UTC) - timedelta(seconds=record.duration_seconds or 0.0)
        run = client.create_run(experiment, milliseconds(started), tags, run_name=record.run_name)
        with ending(client, run.info.run_id):
            _log(client, run.info.run_id, settings, record)
            for placement, figures in record.evaluation["placements"].items():
                _log_placement(client, run, placement, figures, record)
        return LoggedTraining(run.info.run_id, experiment, code.commit, False)


def milliseconds(at: datetime) -> int:
    """Return a moment as MLflow counts it."""
    return int(at.timestamp() * 1000)


def _check_files(record: TrainingRecord) -> None:
    missing = [str(file) for files in record.files.values() for file in files if not file.is_file()]
    if missing:
        raise RegistryError(f"To be logged with the training, but missing: {', '.join(missing)}; make them first.")


def _finished_run(client: Any, experiment: str, key: str) -> str | None:
    """Return the finished run of a training, and bin those of earlier attempts that ended half-way."""
    finished = None
    for run in client.search_runs([experiment], f"tags.`{FINGERPRINT}` = '{key}'"):
        if run.info.status == "FINISHED":
            finished = str(run.info.run_id)
        else:
            for child in client.search_runs([experiment], f"tags.`{PARENT}` = '{run.info.run_id}'"):
                client.delete_run(child.info.run_id)
            client.delete_run(run.info.run_id)
    return finished


@contextmanager
def ending(client: Any, run_id: str) -> Iterator[None]:
    """Mark a run as finished or, if anything went wrong, as failed."""
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
    finally:
        client.set_terminated(run_id, status=status)


def _tags(record: TrainingRecord, code: provenance.CodeState) -> dict[str, str]:
    return {
        "snapshot_id": record.snapshot_id,
        "as_of": record.as_of,
        "git_commit": code.commit,
        "git_dirty": str(code.is_dirty).lower(),
        "mlflow.source.name": "recsys",
        "mlflow.source.type": "JOB",
        "mlflow.source.git.commit": code.commit,
        "mlflow.note.content": record.note,
        **provenance.interpreter(),
        **record.tags,
    }


def _log(client: Any, run_id: str, settings: Settings, record: TrainingRecord) -> None:
    _log_numbers(client, run_id, settings, record)
    client.log_inputs(run_id, datasets=_datasets(settings, record))
    client.log_dict(run_id, dict(record.evaluation), "evaluation/metrics.json")
    for placement, figures in record.evaluation["placements"].items():
        if figures.get("importance"):
            client.log_text(run_id, _importance_csv(figures["importance"]), f"importance/{placement}.csv")
    client.log_text(run_id, "\n".join(provenance.installed_packages()) + "\n", "environment/installed.txt")
    client.log_text(run_id, "\n".join(provenance.requirements()) + "\n", "environment/requirements.txt")
    client.log_dict(run_id, provenance.interpreter(), "environment/interpreter.json")
    lock = assets_root() / LOCK
    if lock.is_file():
        client.log_artifact(run_id, str(lock), "environment")
    for folder, files in record.files.items():
        for file in files:
            client.log_artifact(run_id, str(file), folder or None)
    with TemporaryDirectory(prefix="recsys-plots-") as drawn:
        for name, data in record.draw().items():
            plot = Path(drawn, f"{name}.png")
            plot.write_bytes(data)
            client.log_artifact(run_id, str(plot), PLOTS)


def _log_placement(
    client: Any, parent: Any, placement: str, figures: Mapping[str, Any], record: TrainingRecord
) -> None:
    from mlflow.entities import Metric, Param

    tags = {
        PARENT: parent.info.run_id,
        c.PLACEMENT: placement,
        "snapshot_id": record.snapshot_id,
        "as_of": record.as_of,
        "mlflow.source.name": "recsys",
        "mlflow.source.type": "JOB",
    }
    experiment, begun = parent.info.experiment_id, parent.info.start_time
    run = client.create_run(experiment, begun, tags, run_name=f"{placement} as of {record.as_of[:10]}").info
    alone = {"placements": {placement: figures}}
    at = milliseconds(datetime.now(UTC))
    with ending(client, run.run_id):
        metrics = [Metric(_of(placement, name), value, at, 0) for name, value in flatten.metrics(alone).items()]
        for name, curve in flatten.learning_curves(alone).items():
            metrics += [Metric(_of(placement, name), value, at, step) for step, value in curve]
        params = [Param("best_single", str(figures["best_single"])), Param("training", record.run_name)]
        client.log_batch(run.run_id, params=params)
        for start in range(0, len(metrics), BATCH):
            client.log_batch(run.run_id, metrics=metrics[start : start + BATCH])


def _of(placement: str, name: str) -> str:
    return name.removeprefix(f"{placement}.")


def _log_numbers(client: Any, run_id: str, settings: Settings, record: TrainingRecord) -> None:
    from mlflow.entities import Metric, Param

    at = milliseconds(datetime.now(UTC))
    numbers = flatten.metrics(record.evaluation)
    if record.duration_seconds is not None:
        numbers["duration_seconds"] = record.duration_seconds
    metrics = [Metric(name, value, at, 0) for name, value in numbers.items()]
    for name, curve in flatten.learning_curves(record.evaluation).items():
        metrics += [Metric(name, value, at, step) for step, value in curve]
    params = [Param(name, value) for name, value in flatten.parameters(settings).items()]
    for start in range(0, len(params), 100):
        client.log_batch(run_id, params=params[start : start + 100])
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + BATCH])


def _datasets(settings: Settings, record: TrainingRecord) -> list[Any]:
    """Describe the snapshot twice: what was learned from, and the hold-out that was measured on."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    columns = [
        {"name": f"{table}.{name}", "type": COLUMN_TYPES.get(kind, kind), "required": True}
        for table, kinds in record.schema.items()
        for name, kind in kinds.items()
    ]
    profile = {"num_rows": sum(record.rows.values()), **{f"rows_{k}": v for k, v in record.rows.items()}}
    holdout = record.evaluation.get("holdout", {})
    described = {
        "training": (f"{settings.namespace}-history", profile),
        "eval": (
            f"{settings.namespace}-holdout",
            profile | {"from": holdout.get("from"), "to": holdout.get("to")},
        ),
    }
    return [
        DatasetInput(
            Dataset(
                name=name,
                digest=record.snapshot_id[-MAX_DIGEST:],
                source_type="local" if record.snapshot_uri.startswith("file:") else "fs",
                source=json.dumps({"uri": record.snapshot_uri, "snapshot_id": record.snapshot_id}),
                schema=json.dumps({"mlflow_colspec": columns}),
                profile=json.dumps(facts),
            ),
            tags=[InputTag("mlflow.data.context", context)],
        )
        for context, (name, facts) in described.items()
    ]


def _importance_csv(rows: list[dict[str, Any]]) -> str:
    target = StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(["feature", "gain"])
    writer.writerows([row["feature"], row["gain"]] for row in rows)
    return target.getvalue()
