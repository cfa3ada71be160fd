from pathlib import Path

import pytest

from recsys.settings import Settings
from tests.support.warehouse import make_settings


@pytest.fixture
def settings(warehouse_url: str, tmp_path: Path) -> Settings:
    """Settings of an empty warehouse, once in each engine."""
    return make_settings(tmp_path, warehouse_url=warehouse_url)
