"""What the doctor says of a real Airflow, in which one thing after another is broken."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from recsys.assets import assets_root
from recsys.doctor import NOTE, OK, WRONG, Finding, examine
from recsys.doctor.airflow import DAGS, examine_airflow
from recsys.errors import StackError
from recsys.moments import clock
from recsys.settings import load_settings
from recsys.stack.airflow_api import AirflowApi
from tests.support.mlflow_server import free_port
from tests.support.warehouse import make_settings

ADMIN = "ada"
POOL = "recsys_warehouse"
COMPUTE = "recsys_compute"
BUNDLE = "dags-folder"


@pytest.fixture
def api(server: FastAPI) -> Iterator[AirflowApi]:
    """A client of Airflow's own server, in this process, on its real database, in which all is well."""
    with TestClient(server) as client:
        made = AirflowApi("http://testserver", ADMIN, ADMIN, transport=client._transport)
        made.set_pool(POOL, 1, "Tasks that hold the warehouse.")
        made.set_pool(COMPUTE, 2, "Tasks that compute.")
        yield made
        made.close()


def look(api: AirflowApi, **settings: Any) -> dict[str, Finding]:
    return {one.subject: one for one in examine_airflow(api, load_settings(**settings))}


def send(api: AirflowApi, method: str, path: str, **options: Any) -> None:
    api._send(method, path, **options)


def test_nothing_is_wrong_with_an_airflow_that_works(api: AirflowApi) -> None:
    found = look(api)
    parts = {name for name in found if name.startswith("airflow ")}
    assert {one.status for name, one in found.items() if name not in parts} == {OK}, found
    assert "answers, version 3." in found["airflow"].found
    assert found[f"pool {POOL}"].found == "1 slots"
    assert found[f"pool {COMPUTE}"].found == "2 slots"
    assert found["import errors"].found == "none"
    assert found["dags"].found.startswith("all 11 are known")


def test_a_scheduler_that_does_not_run(api: AirflowApi) -> None:
    # The test's own Airflow is an API server alone.
    found = look(api)["airflow scheduler"]
    assert (found.status, found.found) == (WRONG, "unhealthy")
    assert "Start Airflow's scheduler" in found.advice


def test_the_dags_are_those_of_the_folder() -> None:
    files = {path.stem.removeprefix("recsys_") for path in (assets_root() / "dags").glob("recsys_*.py")}
    assert set(DAGS) <= files


def test_a_pool_that_is_missing_or_shut(api: AirflowApi) -> None:
    send(api, "DELETE", f"/pools/{POOL}")
    found = look(api)[f"pool {POOL}"]
    assert found.status == WRONG
    assert "is not there" in found.found
    assert f"airflow pools set {POOL} 1" in found.advice
    api.set_pool(POOL, 0, "Shut.")
    found = look(api)[f"pool {POOL}"]
    assert (found.status, "has 0 slots" in found.found) == (WRONG, True)


def test_a_dag_file_that_cannot_be_imported(api: AirflowApi, tmp_path: Path) -> None:
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db

    def read() -> None:
        bag = BundleDagBag(dag_folder=str(tmp_path), bundle_path=tmp_path, bundle_name=BUNDLE, load_op_links=False)
        sync_bag_to_db(bag, BUNDLE, None)

    broken = tmp_path / "broken.py"
    broken.write_text("from airflow.sdk import dag\nimport no_such_library\n")
    read()
    try:
        found = look(api)["import errors"]
        assert found.status == WRONG
        assert "broken.py: ModuleNotFoundError: No module named 'no_such_library'" in found.found
        assert "docs/existing-airflow.md" in found.advice
    finally:
        broken.write_text("from airflow.sdk import dag\n")
        read()
    assert look(api)["import errors"].status == OK


def test_dags_that_airflow_does_not_know(api: AirflowApi) -> None:
    api.set_pool("othershop_warehouse", 1, "Another shop's.")
    found = look(api, namespace="othershop")["dags"]
    assert found.status == WRONG
    assert "othershop_train" in found.found
    assert "RECSYS_NAMESPACE" in found.advice


def test_a_paused_dag_is_noted(api: AirflowApi) -> None:
    mask = {"update_mask": "is_paused"}
    send(api, "PATCH", "/dags/recsys_publish", json={"is_paused": True}, params=mask)
    try:
        found = look(api)["dags"]
    finally:
        api.unpause("recsys_publish")
    assert found.status == NOTE
    assert "recsys_publish paused: airflow dags unpause" in found.found


def test_a_log_in_that_is_refused(server: FastAPI) -> None:
    with TestClient(server) as client:
        api = AirflowApi("http://testserver", ADMIN, "wrong", transport=client._transport)
        with pytest.raises(StackError, match="refused the log-in"):
            look(api)
        api.close()


def test_an_airflow_that_is_away(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    settings = make_settings(tmp_path, airflow={"url": url, "user": ADMIN, "password": "secret of ada"})
    found = {one.subject: one for one in examine(settings, clock)}["airflow"]
    assert found.status == WRONG
    assert f"{url} doesn't answer" in found.found
    assert "RECSYS_AIRFLOW__URL" in found.advice
    assert "secret of ada" not in repr(settings) + found.found
