"""One MLflow run for each search of the ranker's settings, with a child run for each trial."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from recsys.registry import flatten, provenance
from recsys.registry.connection import connected, experiment_id
from recsys.registry.training import FINGERPRINT, PARENT, ending, milliseconds
from recsys.settings import Settings

TRIAL = "recsys.trial"
SOURCE = "recsys tune"
SNIPPET = "recsys.toml"  # artifact of the parent run: the best settings


@dataclass(frozen=True, kw_only=True)
class LoggedTrial:
    """One trial: its number, the settings that were tried, its figures and the seconds it took."""

    number: int
    params: Mapping[str, int | float | str]
    metrics: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class LoggedTuning:
    """Where a search is logged."""

    run_id: str
    experiment_id: str


@contextmanager
def tuning_run(settings: Settings, *, study: str, name: str, params: Mapping[str, str]) -> Iterator[LoggedTuning]:
    """Give the run of a study: begun if it isn't there, going on if it is, and ended with the block.

    Raises:
        RegistryError: if MLflow can't be reached or refuses.
    """
    with connected(settings) as client:
        parent = _open(client, settings, study, name, params)
    status = "KILLED"
    try:
        yield parent
        status = "FINISHED"
    finally:
        with connected(settings) as client:
            client.set_terminated(parent.run_id, status=status)


def _open(client: Any, settings: Settings, study: str, name: str, params: Mapping[str, str]) -> LoggedTuning:
    experiment = experiment_id(client, settings)
    found = client.search_runs([experiment], f"tags.`{FINGERPRINT}` = '{study}'")
    if found:
        client.update_run(found[0].info.run_id, status="RUNNING")
        return LoggedTuning(found[0].info.run_id, experiment)
    code = provenance.code_state()
    tags = {
        FINGERPRINT: study,
        "git_commit": code.commit,
        "mlflow.source.name": SOURCE,
        "mlflow.source.type": "JOB",
        **provenance.interpreter(),
    }
    run = client.create_run(experiment, milliseconds(datetime.now(UTC)), tags, run_name=name)
    for key, value in params.items():
        client.log_param(run.info.run_id, key, value)
    return LoggedTuning(run.info.run_id, experiment)


def log_trials(settings: Settings, parent: LoggedTuning, trials: list[LoggedTrial]) -> None:
    """Log trials as finished child runs, those that aren't yet; one that was logged half-way is logged anew.

    Raises:
        RegistryError: if MLflow can't be reached or refuses.
    """
    with connected(settings) as client:
        logged = set()
        for run in _children(client, parent):
            if run.info.status == "FINISHED":
                logged.add(run.data.tags[TRIAL])
            else:
                client.delete_run(run.info.run_id)
        for trial in trials:
            if str(trial.number) not in logged:
                _log_trial(client, parent, trial)


def log_found(settings: Settings, parent: LoggedTuning, *, metrics: Mapping[str, float], snippet: str) -> None:
    """Log what a search came to: figures of the best settings, and these as ``recsys.toml``.

    Raises:
        RegistryError: if MLflow can't be reached or refuses.
    """
    with connected(settings) as client:
        for name, value in metrics.items():
            client.log_metric(parent.run_id, name, value)
        client.log_text(parent.run_id, snippet, SNIPPET)


def _children(client: Any, parent: LoggedTuning) -> list[Any]:
    runs: list[Any] = []
    token = None
    while True:
        page = client.search_runs([parent.experiment_id], f"tags.`{PARENT}` = '{parent.run_id}'", page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def _log_trial(client: Any, parent: LoggedTuning, trial: LoggedTrial) -> None:
    from mlflow.entities import Metric, Param

    now = datetime.now(UTC)
    tags = {PARENT: parent.run_id, TRIAL: str(trial.number), "mlflow.source.name": SOURCE}
    started = milliseconds(now - timedelta(seconds=trial.seconds))
    name = f"trial {trial.number}" if trial.number else "trial 0: the settings in force"
    run = client.create_run(parent.experiment_id, started, tags, run_name=name)
    with ending(client, run.info.run_id):
        numbers = {**trial.metrics, "seconds": trial.seconds}
        metrics = [Metric(flatten.metric_name(key), value, milliseconds(now), 0) for key, value in numbers.items()]
        params = [Param(key, str(value)) for key, value in trial.params.items()]
        client.log_batch(run.info.run_id, metrics=metrics, params=params)
