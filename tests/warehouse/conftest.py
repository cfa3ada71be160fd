from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys.settings import Settings
from recsys.warehouse import Warehouse, open_warehouse
from tests.support.engines import Copies, untouched
from tests.support.warehouse import make_settings


@pytest.fixture
def settings(copies: Copies, tmp_path: Path) -> Settings:
    """Settings of an empty warehouse, once in each engine."""
    return make_settings(tmp_path, warehouse_url=copies.make(tmp_path / "home", untouched))


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[Warehouse]:
    with open_warehouse(settings, purpose="a test") as opened:
        yield opened
