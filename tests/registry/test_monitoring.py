"""Monitoring in MLflow, by a server and by a file: one run a look, and what a version's training had said."""

from datetime import datetime

import pytest

from recsys.errors import NotFoundError
from recsys.registry import MonitoringRecord, connected, evaluation_of, log_monitoring, trained_as_of
from recsys.registry.monitoring import KEY
from recsys.settings import Settings
from tests.registry.conftest import Shared

LOOK = MonitoringRecord(
    key="2025-01-02 r1",
    run_name="2025-01-02 06:00 r1",
    measured_at=datetime(2025, 1, 2, 6),
    metrics={"for_you.coverage_share": 0.5, "event_volume.é": 1.0},
    document=[{"name": "coverage_share", "value": 0.5}],
    tags={"status": "breach"},
    note="One breach.",
)


def test_a_look_is_one_run_of_an_experiment_of_its_own(settings: Settings) -> None:
    [run_id] = log_monitoring(settings, [LOOK])
    assert log_monitoring(settings, [LOOK]) == []
    with connected(settings) as client:
        run = client.get_run(run_id)
        experiment = client.get_experiment(run.info.experiment_id)
        assert [one.path for one in client.list_artifacts(run_id)] == ["measurements.json"]
    assert experiment.name == f"{settings.namespace}_monitoring"
    assert run.data.metrics == {"for_you.coverage_share": 0.5, "event_volume._": 1.0}
    assert (run.info.status, run.data.tags["status"]) == ("FINISHED", "breach")
    assert run.info.start_time == 1735797600000


def test_a_look_that_was_logged_half_way_is_logged_anew(settings: Settings) -> None:
    [first] = log_monitoring(settings, [LOOK])
    with connected(settings) as client:
        client.update_run(first, status="RUNNING")
    [second] = log_monitoring(settings, [LOOK])
    with connected(settings) as client:
        experiment = client.get_run(second).info.experiment_id
        found = client.search_runs([experiment], f"tags.`{KEY}` = '{LOOK.key}'")
        assert [run.info.run_id for run in found] == [second]


def test_what_a_training_had_said_about_a_version(shared: Shared) -> None:
    model, version = shared.version.model, shared.version.version
    assert evaluation_of(shared.settings, model, version) == shared.training.evaluation
    assert trained_as_of(shared.settings, model, version) == datetime(2017, 12, 5)
    for ask in (evaluation_of, trained_as_of):
        with pytest.raises(NotFoundError):
            ask(shared.settings, model, "99")
