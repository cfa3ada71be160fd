"""A training as a run in a real MLflow."""

import csv
import dataclasses
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import mlflow
from recsys.errors import RegistryError
from recsys.registry import LoggedTraining, TrainingRecord, connected, log_training
from recsys.registry.training import FINGERPRINT, PARENT
from recsys.settings import Settings, load_settings
from tests.registry.conftest import Shared
from tests.support.evaluations import evaluation, placement


def run_of(settings: Settings, run_id: str) -> Any:
    with connected(settings) as client:
        return client.get_run(run_id)


def text_of(settings: Settings, run_id: str, path: str, folder: Path) -> str:
    with connected(settings) as client:
        return Path(client.download_artifacts(run_id, path, str(folder))).read_text(encoding="utf-8")


def test_a_training_is_one_finished_run(shared: Shared) -> None:
    settings, logged = shared.settings, shared.logged
    run = run_of(settings, logged.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "weekly"
    assert run.info.end_time - run.info.start_time >= 12_500  # it took so many milliseconds
    with connected(settings) as client:
        assert client.get_experiment(logged.experiment_id).name == settings.namespace
        parents = [run for run in client.search_runs([logged.experiment_id]) if PARENT not in run.data.tags]
        assert [run.info.run_id for run in parents] == [logged.run_id]


def test_each_placement_is_a_child_with_its_figures_under_common_names(shared: Shared) -> None:
    settings, logged = shared.settings, shared.logged
    with connected(settings) as client:
        children = client.search_runs([logged.experiment_id], f"tags.`{PARENT}` = '{logged.run_id}'")
        curve = client.get_metric_history(children[0].info.run_id, "learning_curve.ndcg_10")
    by_name = {run.info.run_name: run for run in children}
    assert set(by_name) == {"for_you as of 2017-12-05", "discover as of 2017-12-05"}
    assert len(curve) == 3
    for name, ndcg in (("for_you", 0.42), ("discover", 0.05)):
        run = by_name[f"{name} as of 2017-12-05"]
        assert run.info.status == "FINISHED"
        assert run.data.tags["placement"] == name
        assert run.data.metrics["ranker.ndcg_10"] == pytest.approx(ndcg)


def test_it_holds_parameters_metrics_and_tags(shared: Shared) -> None:
    settings, logged = shared.settings, shared.logged
    run = run_of(settings, logged.run_id)
    assert run.data.params["candidates.als_factors"] == "64"
    assert run.data.params["placements.discover.repeats"] == "False"
    assert run.data.metrics["for_you.ranker.ndcg_10"] == pytest.approx(0.42)
    assert run.data.metrics["discover.item_cf.ndcg_10"] == pytest.approx(0.043)
    assert run.data.metrics["for_you.ranker_minus_repurchase.ndcg_10.low"] == pytest.approx(0.011)
    assert run.data.metrics["for_you.slice.light_customers.ranker"] == pytest.approx(0.252)
    assert run.data.metrics["duration_seconds"] == 12.5
    tags = run.data.tags
    assert (tags["snapshot_id"], tags["as_of"]) == ("20171205T000000-0123456789abcdef", "2017-12-05T00:00:00")
    assert tags["git_commit"] == logged.code_commit
    assert tags["git_dirty"] in ("true", "false")
    assert tags["mlflow.note.content"] == "Weekly training"


def test_the_learning_curve_has_its_steps(shared: Shared) -> None:
    settings, logged = shared.settings, shared.logged
    with connected(settings) as client:
        curve = client.get_metric_history(logged.run_id, "for_you.learning_curve.ndcg_10")
    assert sorted((point.step, round(point.value, 4)) for point in curve) == [
        (1, 0.336),
        (50, 0.399),
        (100, 0.42),
    ]


def test_the_snapshot_is_logged_as_what_was_learned_from_and_measured_on(shared: Shared) -> None:
    settings, logged = shared.settings, shared.logged
    inputs = run_of(settings, logged.run_id).inputs.dataset_inputs
    found = {one.tags[0].value: one.dataset for one in inputs}
    assert set(found) == {"training", "eval"}
    for dataset in found.values():
        assert dataset.digest == "20171205T000000-0123456789abcdef"
        assert json.loads(dataset.source)["uri"].endswith("/snapshots/20171205T000000-0123456789abcdef")
        columns = json.loads(dataset.schema)["mlflow_colspec"]
        assert [column["name"] for column in columns] == [
            "events.user_id",
            "events.quantity",
            "items.item_id",
        ]
    assert json.loads(found["training"].profile) == {"num_rows": 42, "rows_events": 40, "rows_items": 2}
    assert json.loads(found["eval"].profile)["from"] == "2017-12-05T00:00:00"


def test_report_figures_importance_and_environment_are_artifacts(shared: Shared, tmp_path: Path) -> None:
    settings, logged = shared.settings, shared.logged

    def text(path: str) -> str:
        return text_of(settings, logged.run_id, path, tmp_path)

    assert "<title>Report</title>" in text("report.html")
    assert json.loads(text("evaluation/metrics.json")) == evaluation()
    # A feature's name may hold a comma.
    assert list(csv.reader(StringIO(text("importance/for_you.csv")))) == [
        ["feature", "gain"],
        ["own purchases, 120-day half-life", "900.5"],
        ["popularity_28", "120.0"],
    ]
    assert f"mlflow=={mlflow.__version__}" in text("environment/installed.txt").splitlines()
    assert json.loads(text("environment/interpreter.json"))["python"].startswith("3.")


def test_the_same_training_is_logged_once(settings: Settings, logged: LoggedTraining, training: TrainingRecord) -> None:
    again = log_training(settings, training)
    assert (again.run_id, again.reused, logged.reused) == (logged.run_id, True, False)


def test_plots_are_drawn_once(settings: Settings, training: TrainingRecord, tmp_path: Path) -> None:
    drawn: list[str] = []

    def draw() -> dict[str, bytes]:
        drawn.append("again")
        return {"for_you_models": b"a plot"}

    first, second = (log_training(settings, dataclasses.replace(training, draw=draw)) for _ in range(2))
    assert (first.reused, second.reused) == (False, True)
    assert drawn == ["again"]
    assert text_of(settings, first.run_id, "plots/for_you_models.png", tmp_path) == "a plot"


def test_other_figures_are_another_run(settings: Settings, logged: LoggedTraining, training: TrainingRecord) -> None:
    other = dataclasses.replace(training, evaluation=evaluation(for_you=placement(ranker=0.5)))
    assert log_training(settings, other).run_id != logged.run_id


def test_a_run_that_ended_half_way_is_replaced(
    settings: Settings, logged: LoggedTraining, training: TrainingRecord
) -> None:
    with connected(settings) as client:
        client.update_run(logged.run_id, status="RUNNING")  # as a killed process leaves it
    again = log_training(settings, training)
    assert again.run_id != logged.run_id
    with connected(settings) as client:
        runs = client.search_runs([again.experiment_id])
    assert {run.data.tags.get(PARENT, run.info.run_id) for run in runs} == {again.run_id}
    assert len(runs) == 3, "the children of the first attempt went with it"


def test_a_failure_in_the_middle_is_a_failed_run(settings: Settings, training: TrainingRecord) -> None:
    figures = {**placement(), "importance": [{"feature": "without a gain"}]}
    unfit = dataclasses.replace(training, evaluation=evaluation(for_you=figures))
    with pytest.raises(KeyError, match="gain"):
        log_training(settings, unfit)
    with connected(settings) as client:
        experiment = client.get_experiment_by_name(settings.namespace)
        runs = client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["FAILED"]
    assert FINGERPRINT in runs[0].data.tags


def test_a_missing_file_is_named_before_anything_is_logged(
    settings: Settings, training: TrainingRecord, tmp_path: Path
) -> None:
    gone = tmp_path / "gone.png"
    with pytest.raises(RegistryError, match=r"gone\.png"):
        log_training(settings, dataclasses.replace(training, files={"plots": (gone,)}))
    with connected(settings) as client:
        assert client.get_experiment_by_name(settings.namespace) is None


def test_a_password_is_logged_nowhere(settings: Settings, training: TrainingRecord) -> None:
    secret = "postgresql+psycopg://shop:hunter2@db.example:5432/shop?sslpassword=hunter2"
    with_secret = load_settings(**settings.model_dump(exclude={"warehouse_url"}), warehouse_url=secret)
    run = run_of(settings, log_training(with_secret, training).run_id)
    assert run.data.params["warehouse_url"] == "postgresql+psycopg://db.example:5432/shop"
    assert "hunter2" not in json.dumps(run.to_dictionary())
