"""The pages inside Airflow's UI, served by Airflow's own server with its own log-in."""

import importlib
import os
import subprocess
import sys
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from recsys.assets import assets_root
from recsys.settings import Settings
from recsys.warehouse import open_warehouse
from tests.support.publications import AS_OF, NOW
from tests.support.warehouse import user_id

PLUGINS = assets_root() / "plugins"
ROOT = "/recommendations"
HOSTILE = '<script>alert("x")</script>'  # as the published lists say it


def plugin() -> Any:
    """The file as Airflow has loaded it."""
    return importlib.import_module("recsys_review")


def get(client: TestClient, path: str = "/", **asked: str) -> Any:
    return client.get(f"{ROOT}{path}", params=asked, headers={"accept": "text/html"})


def test_every_route_asks_for_a_log_in(server: FastAPI, published: Settings) -> None:
    routes = [route for route in plugin().app.routes if isinstance(route, APIRoute)]
    assert len(plugin().app.routes) == len(routes)  # none that FastAPI adds, which nothing guards
    anonymous = TestClient(server)
    for route in routes:
        for method in route.methods:
            answer = anonymous.request(method, ROOT + route.path.replace("{name}", "review.css"))
            assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"}), route.path
    assert "Please log in" in get(anonymous).text
    forged = anonymous.get(f"{ROOT}/", headers={"authorization": "Bearer forged"})
    assert forged.status_code == 403


def test_it_shows_what_is_live(client: TestClient, published: Settings) -> None:
    answer = get(client)
    assert answer.status_code == 200
    for part in ("p7", "Version 7", f"{AS_OF:%Y-%m-%d %H:%M}", f"{NOW:%Y-%m-%d %H:%M}", ">640<"):
        assert part in answer.text
    assert "Health is not measured yet" in answer.text
    assert "Nothing is published here yet." in answer.text  # on the other placement


def test_it_shows_publications_and_decisions(client: TestClient, published: Settings) -> None:
    shown = get(client, "/history").text
    assert shown.index("p7") < shown.index("p6")
    told = ("superseded", "A rollback returns to these lists.", "Looks good.", "<b>ada</b> by cli", "for_you-000002")
    for part in told:
        assert part in shown


def test_it_shows_a_customers_own_list(client: TestClient, published: Settings) -> None:
    answer = get(client, "/customer", user=f" {user_id(1)} ", placement="for_you")
    assert answer.status_code == 200
    assert answer.text.count('data-label="by">popularity</td>') == 10
    assert "Product 4 of group 1" in answer.text
    assert "Department 1 &gt; Group 1" in answer.text
    assert 'data-label="score">0.3333</td>' in answer.text
    assert f"The own list of customer <b>{user_id(1)}</b> on\n<b>for_you</b>" in answer.text
    assert 'id="why"' not in answer.text


@pytest.mark.parametrize(
    ("user", "why"),
    [("nobody", "There is no customer &#39;nobody&#39;"), ("*", "which visitors see"), (user_id(33), "families")],
)
def test_it_shows_a_default_list_and_why(client: TestClient, published: Settings, user: str, why: str) -> None:
    shown = get(client, "/customer", user=user).text
    assert "A default list" in shown
    assert why in shown.split('id="why"')[1].split("</p>")[0]


def test_what_others_wrote_is_text_never_markup(client: TestClient, published: Settings) -> None:
    shown = get(client, "/customer", user=user_id(0)).text
    assert "&lt;b&gt;Bread&lt;/b&gt; &amp; butter" in shown
    assert "Because &lt;script&gt;" in shown
    asked = get(client, "/customer", user=f'"{HOSTILE}').text
    assert "<script>" not in shown + asked
    assert 'value="&#34;&lt;script&gt;' in asked


@pytest.mark.parametrize("asked", [{"placement": "no such; place"}, {"user": "x" * 201}])
def test_what_cannot_be_an_id_or_a_name_is_refused(client: TestClient, asked: dict[str, str]) -> None:
    assert get(client, "/customer", **asked).status_code == 422


def test_a_placement_that_does_not_exist_or_has_nothing_live(client: TestClient, published: Settings) -> None:
    unknown = get(client, "/customer", user="1", placement="nowhere")
    assert unknown.status_code == 404
    assert "There is no placement &#39;nowhere&#39;; the settings have: discover, for_you." in unknown.text
    empty = get(client, "/customer", user="1", placement="discover")
    assert empty.status_code == 404
    assert "recsys run --placement discover" in empty.text


def test_before_anything_was_published(client: TestClient, settings: Settings) -> None:
    for path in ("/", "/history", "/customer"):
        assert get(client, path).status_code == 200
    assert get(client).text.count("Nothing is published here yet.") == 2
    missing = get(client, "/version", model="recsys_for_you", version="9")
    assert missing.status_code == 404
    assert "the gate has not judged it on this machine" in missing.text
    assert not settings.home.exists()


def test_settings_that_cannot_be_used_are_named(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_SHARDS", "none")
    answer = get(client)
    assert answer.status_code == 500
    assert "shards = &#39;none&#39;" in answer.text


def test_it_reads_while_a_task_holds_the_warehouse(client: TestClient, published: Settings) -> None:
    with open_warehouse(published, purpose="a task"):
        for path in ("/", "/history"):
            assert get(client, path).status_code == 200
        assert get(client, "/customer", user=user_id(0)).status_code == 200


@pytest.mark.parametrize("path", ["/", "/history", "/customer"])
def test_the_browser_may_load_nothing_from_elsewhere_and_keep_nothing(
    client: TestClient, published: Settings, path: str
) -> None:
    answer = get(client, path, user=user_id(0))
    assert answer.headers["cache-control"] == "no-store"
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert set(policy.values()) == {"'none'", "'self'"}
    for part in ("http://", "https://", 'href="/', 'action="/', "style=", "<style", "onclick"):
        assert part not in answer.text
    for name, kind in (("review.css", "text/css"), ("review.js", "text/javascript")):
        loaded = get(client, f"/{name}")
        assert loaded.headers["content-type"].startswith(kind)
        assert name in answer.text and "//" not in loaded.text.replace("// ", "")


def test_airflow_finds_the_plugin_and_it_loads_nothing_heavy() -> None:
    heavy = ("duckdb", "pyarrow", "pandas", "mlflow", "lightgbm", "recsys.publication", "airflow.api_fastapi.core_api")
    program = (
        "import sys\n"
        "from airflow import plugins_manager as p\n"
        "before = set(sys.modules)\n"
        "apps = sorted(app['url_prefix'] for app in p.get_fastapi_plugins()[0])\n"
        "assert apps == ['/recommendations', '/recommendations-webhook', '/recsys-monitoring'], apps\n"
        f"new = [n for n in set(sys.modules) - before if n.startswith({heavy!r})]\n"
        "print('loaded', sorted(new))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "AIRFLOW__CORE__PLUGINS_FOLDER": str(PLUGINS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert "loaded []" in found.stdout
