"""A warehouse with the small made shop, and an approved first version."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url

from recsys.settings import Settings
from recsys.warehouse import Warehouse, open_warehouse
from tests.support.postgres import postgres_url
from tests.support.publications import ITEMS, approve
from tests.support.warehouse import make_settings, write_small_shop

__all__ = ["postgres_url"]

SERVER = os.environ.get("RECSYS_TEST_POSTGRES_URL")


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """DuckDB; or a new database on the server that RECSYS_TEST_POSTGRES_URL names, for the same tests there."""
    if SERVER is None:
        yield make_settings(tmp_path)
        return
    name = f"t{uuid4().hex}"
    admin = create_engine(make_url(SERVER).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"create database {name}")
        yield make_settings(
            tmp_path, warehouse_url=make_url(SERVER).set(database=name).render_as_string(hide_password=False)
        )
        connection.exec_driver_sql(f"drop database {name} with (force)")
    admin.dispose()


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[Warehouse]:
    """A shop of 60 customers, of whom the first 30 get lists."""
    with open_warehouse(settings, purpose="test") as opened:
        write_small_shop(opened, users=60, items=ITEMS, days=60)
        approve(opened, "1")
        yield opened
