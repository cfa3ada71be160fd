"""A warehouse of the tests' own, once in each engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys.settings import Settings
from recsys.warehouse import Warehouse, open_warehouse
from tests.support.warehouse import make_settings


@pytest.fixture
def settings(warehouse_url: str, tmp_path: Path) -> Settings:
    """Settings of an empty warehouse, once in each engine."""
    return make_settings(tmp_path, warehouse_url=warehouse_url)


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[Warehouse]:
    with open_warehouse(settings, purpose="test") as opened:
        yield opened
