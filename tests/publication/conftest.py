"""A warehouse with the small made shop, and an approved first version."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys.settings import Settings
from recsys.warehouse import Warehouse, open_warehouse
from tests.support.engines import Copies
from tests.support.publications import approved_shop
from tests.support.warehouse import make_settings


@pytest.fixture
def settings(copies: Copies, tmp_path: Path) -> Settings:
    """A shop of 60 customers, of whom the first 30 get lists, once in each engine."""
    return make_settings(tmp_path, warehouse_url=copies.make(tmp_path / "home", approved_shop))


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[Warehouse]:
    """The opened warehouse of the settings."""
    with open_warehouse(settings, purpose="test") as opened:
        yield opened
