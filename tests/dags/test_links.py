"""Buttons of Airflow's task pages: where they lead, given what a task returned, and that tasks have them."""

from typing import Any

import pytest

from recsys.assets import assets_root

MLFLOW, AIRFLOW = "http://127.0.0.1:5000", "https://airflow.shop/base"
RUN = "#/experiments/1/runs/r1"
VERSION = {"model": "recsys_for_you", "version": "3", "report": f"{RUN}/artifacts/report.html"}


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that the DAG files share, where MLflow and Airflow have these addresses."""
    monkeypatch.syspath_prepend(str(assets_root() / "dags"))
    monkeypatch.setenv("RECSYS_TRACKING_URI", MLFLOW)
    monkeypatch.setenv("RECSYS_WAREHOUSE_URL", "duckdb:///nowhere.duckdb")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", f"{AIRFLOW}/")
    import recsys_links

    return recsys_links


def test_they_lead_to_the_run_the_reports_and_the_review_page(links: Any) -> None:
    for key in ("versions", "verdicts"):
        returned = {key: [VERSION, {**VERSION, "version": "4"}]}
        assert links.RunLink().address(returned) == f"{MLFLOW}/{RUN}"
        assert links.ArtifactLink().address(returned) == f"{MLFLOW}/{RUN}/artifacts/report.html"
        review = f"{AIRFLOW}/recommendations/version?model=recsys_for_you&version=3"
        assert links.ReviewLink().address(returned) == review
    report = links.ReportLink().address({"evaluation": "file:///home/evaluations/e1"})
    assert report == f"{AIRFLOW}/recommendations/report?evaluation=e1"


def test_where_there_is_nothing_a_button_is_off(links: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: list[dict[str, Any]] = [{}, {"versions": []}]
    for returned in nothing:
        assert links.RunLink().address(returned) == links.ArtifactLink().address(returned) == ""
        assert links.ReportLink().address(returned) == ""
        assert links.ReviewLink().address(returned) == f"{AIRFLOW}/recommendations/"
    monkeypatch.setenv("RECSYS_TRACKING_URI", "sqlite:////tmp/mlflow.db")
    assert links.RunLink().address({"versions": [VERSION]}) == ""


def test_tasks_of_the_training_have_them() -> None:
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.serialization.serialized_objects import DagSerialization

    folder = assets_root() / "dags"
    bag = BundleDagBag(dag_folder=str(folder), bundle_path=folder, load_op_links=False)
    kept = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(bag.dags["recsys_train"]))
    shown = {task.task_id: sorted(link.name for link in task.operator_extra_links) for task in kept.tasks}
    assert {name: names for name, names in shown.items() if names and name != "approvals"} == {
        "evaluation": ["Report"],
        "registration": ["MLflow run", "Report in MLflow"],
        "gate": ["MLflow run", "Report in MLflow", "Review page"],
    }
