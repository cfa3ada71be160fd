"""The route that Prometheus scrapes. What Airflow's own server makes of a plugin is tested with the stack."""

import importlib.util
from collections.abc import Iterator
from types import ModuleType

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from recsys.assets import assets_root
from recsys.monitoring import Measurement, Stamped, write_latest
from recsys.settings import Settings
from recsys.warehouse import open_warehouse
from tests.support.publications import NOW
from tests.support.warehouse import make_settings

PLUGIN = assets_root() / "plugins" / "recsys_metrics.py"


@pytest.fixture(scope="module")
def plugin() -> ModuleType:
    """The file as Airflow loads it: by its path."""
    spec = importlib.util.spec_from_file_location("recsys_metrics", PLUGIN)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Settings:
    made = make_settings(tmp_path_factory.mktemp("metrics"))
    monkeypatch.setenv("RECSYS_HOME", str(made.home))
    return made


@pytest.fixture
def client(plugin: ModuleType) -> Iterator[TestClient]:
    """A scraper whom Airflow knows: the log-in alone is left out."""
    plugin.app.dependency_overrides[plugin.logged_in] = lambda: None
    yield TestClient(plugin.app)
    plugin.app.dependency_overrides.clear()


def test_every_route_asks_for_a_log_in(plugin: ModuleType, settings: Settings) -> None:
    routes = [route for route in plugin.app.routes if isinstance(route, APIRoute)]
    assert [route.path for route in routes] == ["/metrics"]
    assert len(plugin.app.routes) == len(routes)  # none that FastAPI adds, which nothing guards
    answer = TestClient(plugin.app).get("/metrics")
    assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})


def test_it_tells_the_newest_figures_while_a_task_holds_the_warehouse(client: TestClient, settings: Settings) -> None:
    age = Measurement(name="data_age_hours", value=3.5, limit=24.0, message="Fresh.")
    write_latest(settings, [Stamped(NOW, "r1", age)], run_id="r1", measured_at=NOW)
    with open_warehouse(settings, purpose="a task"):
        answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    lines = answer.text.splitlines()
    assert "recsys_data_age_hours 3.5" in lines
    assert 'recsys_measurement_status{name="data_age_hours"} 0.0' in lines
    assert "recsys_measured_timestamp_seconds 1735797600.0" in lines


def test_before_anything_was_measured_it_is_empty_and_makes_nothing(client: TestClient, settings: Settings) -> None:
    answer = client.get("/metrics")
    assert (answer.status_code, answer.text) == (200, "")
    assert not settings.home.exists()


def test_settings_that_cannot_be_used_are_named(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_SHARDS", "none")
    answer = client.get("/metrics")
    assert answer.status_code == 500
    assert "shards = 'none'" in answer.text
