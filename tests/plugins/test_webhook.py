"""The route that MLflow's webhook calls: it starts the reconciling DAG, once a delivery, and nothing else."""

import importlib.util
import time
from types import ModuleType
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from recsys.assets import assets_root
from tests.support.webhooks import SECRET, delivery

PLUGIN = assets_root() / "plugins" / "recsys_webhook.py"
DAG = "recsys_reconcile"


@pytest.fixture(scope="module")
def plugin() -> ModuleType:
    """The file as Airflow loads it: by its path."""
    spec = importlib.util.spec_from_file_location("recsys_webhook", PLUGIN)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def client(plugin: ModuleType, database: None, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("RECSYS_REVIEW__WEBHOOK_SECRET", SECRET)
    forget_runs()
    monkeypatch.setattr(plugin, "SEEN", plugin.Seen())
    return TestClient(plugin.app)


def runs() -> list[Any]:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return list(session.scalars(select(DagRun).where(DagRun.dag_id == DAG)))


def forget_runs(*, finish: bool = False) -> None:
    """Delete the runs, or let them be finished ones."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete, update

    change = update(DagRun).values(state="success") if finish else delete(DagRun)
    with create_session() as session:
        session.execute(change.where(DagRun.dag_id == DAG))


def post(client: TestClient, message: tuple[dict[str, str], bytes]) -> Any:
    headers, body = message
    return client.post("/mlflow", headers=headers, content=body)


def test_there_is_this_one_route(plugin: ModuleType) -> None:
    assert [(r.path, r.methods) for r in plugin.app.routes if isinstance(r, APIRoute)] == [("/mlflow", {"POST"})]
    assert len(plugin.app.routes) == 1
    assert plugin.WebhookPlugin.fastapi_apps[0]["url_prefix"] == "/recommendations-webhook"


def test_a_genuine_delivery_starts_one_run_in_the_name_of_the_sender(client: TestClient) -> None:
    answer = post(client, delivery("11111111-aaaa", now=time.time()))
    assert (answer.status_code, answer.json()["started"]) == (202, "mlflow__11111111-aaaa")
    [run] = runs()
    assert (run.run_id, str(run.state), run.triggering_user_name) == (
        "mlflow__11111111-aaaa",
        "queued",
        "mlflow-webhook",
    )
    assert run.conf in (None, {})


def test_the_same_delivery_starts_nothing_a_second_time(
    client: TestClient, plugin: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = delivery("11111111-aaaa", now=time.time())
    post(client, message)
    forget_runs(finish=True)
    assert post(client, message).json() == {"started": None, "why": "It came before."}
    # Another worker of the API server, or one that was started again.
    monkeypatch.setattr(plugin, "SEEN", plugin.Seen())
    assert post(client, message).json() == {"started": None, "why": "It came before."}
    assert len(runs()) == 1
    assert post(client, delivery("22222222-aaaa", now=time.time())).json()["started"] == "mlflow__22222222-aaaa"


def test_a_burst_is_one_look(client: TestClient) -> None:
    for number in range(5):
        assert post(client, delivery(f"{number}1111111-aaaa", now=time.time())).status_code == 202
    assert len(runs()) == 1


def test_what_is_forged_late_or_of_the_future_starts_nothing(client: TestClient) -> None:
    now = time.time()
    for message in (
        delivery("11111111-aaaa", now=now, secret="somebody else's secret"),
        delivery("11111111-aaaa", now=now - 400),
        delivery("11111111-aaaa", now=now + 400),
        ({}, b"{}"),
        ({}, b""),
    ):
        answer = post(client, message)
        assert answer.status_code == 401
    assert runs() == []


def test_what_concerns_others_is_taken_and_starts_nothing(client: TestClient) -> None:
    answer = post(client, delivery("11111111-aaaa", now=time.time(), name="example_model"))
    assert (answer.status_code, answer.json()["started"]) == (202, None)
    assert runs() == []


def test_what_is_too_long_is_not_read(client: TestClient) -> None:
    assert client.post("/mlflow", content=b"x" * 70_000).status_code == 413
    assert runs() == []


def test_without_a_secret_nothing_is_taken(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECSYS_REVIEW__WEBHOOK_SECRET")
    assert post(client, delivery("11111111-aaaa", now=time.time())).status_code == 503
    assert runs() == []


def test_a_delivery_that_could_not_be_acted_on_may_come_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = delivery("11111111-aaaa", now=time.time())
    with monkeypatch.context() as patch:
        patch.setenv("RECSYS_NAMESPACE", "unknown")
        refused = TestClient(client.app, raise_server_exceptions=False)
        foreign = delivery("11111111-aaaa", now=time.time(), name="unknown_for_you")
        assert post(refused, foreign).status_code == 500  # Airflow has no such DAG: MLflow tries again
    assert post(client, message).json()["started"] == "mlflow__11111111-aaaa"


def test_only_so_many_deliveries_are_remembered(plugin: ModuleType) -> None:
    seen = plugin.Seen(most=2)
    assert [seen.is_new(name) for name in ("a", "b", "a", "c", "a")] == [True, True, False, True, True]
