from pathlib import Path

import pytest

from recsys.settings import Settings
from tests.support.planted import quick_settings
from tests.support.postgres import make_database


@pytest.fixture(params=["duckdb", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an empty warehouse, once in each engine."""
    if request.param == "duckdb":
        return quick_settings(tmp_path)
    server = request.getfixturevalue("postgres_url")
    return quick_settings(tmp_path, warehouse_url=make_database(server, "contracts_test"))
