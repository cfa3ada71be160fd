"""A warehouse of the tests' own, once in each engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys.settings import Settings
from recsys.warehouse import Warehouse, open_warehouse
from tests.support.postgres import fresh_database, postgres_url
from tests.support.warehouse import make_settings

__all__ = ["postgres_url"]


@pytest.fixture(params=["duckdb", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an empty warehouse, once in each engine."""
    if request.param == "duckdb":
        return make_settings(tmp_path)
    server = request.getfixturevalue("postgres_url")
    return make_settings(tmp_path, warehouse_url=fresh_database(server, "monitoring_test"))


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[Warehouse]:
    with open_warehouse(settings, purpose="test") as opened:
        yield opened
