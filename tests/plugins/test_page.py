"""The page inside Airflow's UI. What Airflow's own server makes of it is tested with the stack."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from recsys.assets import assets_root
from recsys.publication import publish
from recsys.settings import Settings
from recsys.warehouse import open_warehouse
from tests.support.publications import AS_OF, ITEMS, NOW, approve, made_lists, write_publication
from tests.support.warehouse import make_settings, user_id, write_small_shop

PLUGIN = assets_root() / "plugins" / "recsys_review.py"
HOSTILE = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def plugin() -> ModuleType:
    """The file as Airflow loads it: by its path."""
    spec = importlib.util.spec_from_file_location("recsys_review", PLUGIN)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An empty home, which the page's own settings name."""
    made = make_settings(tmp_path_factory.mktemp("page"))
    monkeypatch.setenv("RECSYS_HOME", str(made.home))
    return made


@pytest.fixture
def published(settings: Settings) -> Settings:
    """Lists are live on one placement; the warehouse is closed again. A title and a reason hold HTML."""
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=60, items=ITEMS, days=60)
        with warehouse.transaction() as connection:
            connection.exec_driver_sql("update shop.items set title = '<b>Bread</b> & butter' where item_id = 'i003'")
        approve(warehouse, "7")
        files = settings.resolved_home / "files"
        lists = write_publication(files, "p1", made_lists(label=HOSTILE), version="7")
        publish(warehouse, settings, lists, now=NOW)
    return settings


@pytest.fixture
def client(plugin: ModuleType) -> Iterator[TestClient]:
    """A reader whom Airflow knows: the log-in alone is left out."""
    plugin.app.dependency_overrides[plugin.logged_in] = lambda: None
    yield TestClient(plugin.app)
    plugin.app.dependency_overrides.clear()


def test_every_route_asks_for_a_log_in(plugin: ModuleType, published: Settings) -> None:
    routes = [route for route in plugin.app.routes if isinstance(route, APIRoute)]
    assert [route.path for route in routes] == ["/"]
    assert len(plugin.app.routes) == len(routes)  # none that FastAPI adds, which nothing guards
    anonymous = TestClient(plugin.app)
    for route in routes:
        answer = anonymous.get(route.path, params={"user": user_id(0)})
        assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})


def test_it_shows_what_is_live(client: TestClient, published: Settings) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    for part in ("p1", "recsys_for_you", "version 7", f"{AS_OF:%Y-%m-%d %H:%M}", f"{NOW:%Y-%m-%d %H:%M}", ">640<"):
        assert part in answer.text
    assert 'id="found"' not in answer.text


def test_it_shows_a_customers_own_list(client: TestClient, published: Settings) -> None:
    answer = client.get("/", params={"user": f" {user_id(1)} ", "placement": "for_you"})
    assert answer.status_code == 200
    assert answer.text.count('<td class="muted">popularity</td>') == 10
    assert "Product 4 of group 1" in answer.text
    assert "Department 1 &gt; Group 1" in answer.text
    assert '<td class="number">0.3333</td>' in answer.text
    assert f"The own list of customer <b>{user_id(1)}</b> on\n<b>for_you</b>" in answer.text
    assert 'id="why"' not in answer.text


@pytest.mark.parametrize(
    ("user", "why"),
    [("nobody", "There is no customer &#39;nobody&#39;"), ("*", "which visitors see"), (user_id(33), "families")],
)
def test_it_shows_a_default_list_and_why(client: TestClient, published: Settings, user: str, why: str) -> None:
    shown = client.get("/", params={"user": user}).text
    assert "A default list" in shown
    assert why in shown.split('id="why"')[1].split("</p>")[0]


def test_what_others_wrote_is_text_never_markup(client: TestClient, published: Settings) -> None:
    shown = client.get("/", params={"user": user_id(0)}).text
    assert "&lt;b&gt;Bread&lt;/b&gt; &amp; butter" in shown
    assert "Because &lt;script&gt;" in shown
    asked = client.get("/", params={"user": f'"{HOSTILE}'}).text
    assert "<script" not in shown + asked
    assert 'value="&#34;&lt;script&gt;' in asked


@pytest.mark.parametrize("asked", [{"placement": "no such; place"}, {"user": "x" * 201}])
def test_what_cannot_be_an_id_or_a_name_is_refused(client: TestClient, asked: dict[str, str]) -> None:
    assert client.get("/", params=asked).status_code == 422


def test_a_placement_that_does_not_exist_or_has_nothing_live(client: TestClient, published: Settings) -> None:
    unknown = client.get("/", params={"user": "1", "placement": "nowhere"})
    assert unknown.status_code == 404
    assert "There is no placement &#39;nowhere&#39;; the settings have: discover, for_you." in unknown.text
    empty = client.get("/", params={"user": "1", "placement": "discover"})
    assert empty.status_code == 404
    assert "recsys run --placement discover" in empty.text
    assert "p1" in empty.text  # what is live elsewhere is shown all the same


def test_before_anything_was_published(client: TestClient, settings: Settings) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert "Nothing is published yet" in answer.text
    assert not settings.home.exists()


def test_settings_that_cannot_be_used_are_named(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_SHARDS", "none")
    answer = client.get("/")
    assert answer.status_code == 500
    assert "shards = &#39;none&#39;" in answer.text


def test_it_reads_while_a_task_holds_the_warehouse(client: TestClient, published: Settings) -> None:
    with open_warehouse(published, purpose="a task"):
        assert client.get("/", params={"user": user_id(0)}).status_code == 200


def test_the_browser_may_load_nothing_and_keep_nothing(client: TestClient, published: Settings) -> None:
    answer = client.get("/", params={"user": user_id(0)})
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none';")
    for part in ("http://", "https://", " src=", "<link", 'href="/', 'action="/'):
        assert part not in answer.text


def test_airflow_finds_the_plugin_and_it_loads_nothing_heavy() -> None:
    heavy = ("duckdb", "pyarrow", "pandas", "mlflow", "lightgbm", "recsys.publication", "airflow.api_fastapi.core_api")
    program = (
        "import sys\n"
        "from airflow import plugins_manager as p\n"
        "before = set(sys.modules)\n"
        "apps = [app['url_prefix'] for app in p.get_fastapi_plugins()[0]]\n"
        "assert sorted(apps) == ['/recommendations', '/recommendations-webhook'], apps\n"
        f"new = [n for n in set(sys.modules) - before if n.startswith({heavy!r})]\n"
        "print('loaded', sorted(new))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "AIRFLOW__CORE__PLUGINS_FOLDER": str(PLUGIN.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert "loaded []" in found.stdout
