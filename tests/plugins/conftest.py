"""Airflow reads its settings at import: a home of its own, so that nothing lands in the user's."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from recsys.assets import assets_root
from recsys.publication import publish
from recsys.settings import Settings
from recsys.warehouse import open_warehouse
from tests.support.airflow_home import ADDRESS, USERS, migrate_database
from tests.support.publications import ITEMS, NOW, approve, made_lists, write_publication
from tests.support.warehouse import make_settings, write_small_shop

HOSTILE = '<script>alert("x")</script>'

# As Airflow does before it loads plugins.
sys.path.append(str(assets_root() / "plugins"))


@pytest.fixture(scope="session")
def database() -> None:
    """Airflow's database, which knows the DAGs."""
    migrate_database()
    airflow = Path(sys.executable).with_name("airflow")
    path = os.pathsep.join([str(assets_root() / "dags"), str(assets_root())])
    environment = {**os.environ, "PYTHONPATH": path}
    command = [airflow, "dags", "reserialize"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="session")
def server(database: None) -> FastAPI:
    """Airflow's API server, with the plugins of the folder."""
    from airflow.api_fastapi.app import create_app

    return create_app()


@pytest.fixture(scope="session")
def tokens(server: FastAPI) -> dict[str, str]:
    """Who has logged in."""
    with TestClient(server) as client:
        answers = {name: client.post("/auth/token", json={"username": name, "password": name}) for name in USERS}
    return {name: answer.json()["access_token"] for name, answer in answers.items()}


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An empty home, which the pages' own settings name."""
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
        for number in (6, 7):
            now = NOW - timedelta(days=7 - number)
            approve(warehouse, str(number), now=now)
            lists = made_lists(label=HOSTILE, shift=7 - number)
            files = settings.resolved_home / "files"
            publish(warehouse, settings, write_publication(files, f"p{number}", lists, version=str(number)), now=now)
    return settings


@pytest.fixture
def client(server: FastAPI, tokens: dict[str, str]) -> Iterator[TestClient]:
    """A browser in which a viewer has logged in: it sends the cookie of Airflow's UI."""
    with TestClient(server, cookies={"_token": tokens["vera"]}, base_url=ADDRESS) as opened:
        yield opened
