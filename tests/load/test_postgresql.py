"""The same shop comes out of both engines."""

import json
from pathlib import Path

import pytest

from recsys.errors import SourceError
from recsys.load import load_source
from recsys.settings import Settings
from tests.support.engines import DUCKDB
from tests.support.orders import write_orders
from tests.support.postgres import make_database
from tests.support.shops import COMPLETEJOURNEY, SAMPLE_CUSTOMERS, content
from tests.support.warehouse import make_settings


@pytest.fixture
def warehouse_engine() -> str:
    """The one beside which the server's result is laid."""
    return DUCKDB


@pytest.fixture
def server_settings(postgres_url: str, tmp_path: Path) -> Settings:
    return make_settings(tmp_path / "server", warehouse_url=make_database(postgres_url, "load_test"))


def comparable(rows: list[str]) -> list[str]:
    """Return rows with JSON columns compared by what they say, not by how they are written."""
    return sorted(json.dumps(json.loads(row), sort_keys=True) for row in rows)


def test_the_demo_shop(journey: Settings, journey_files: Path, server_settings: Settings) -> None:
    load_source(server_settings, COMPLETEJOURNEY, data_dir=journey_files, customers=SAMPLE_CUSTOMERS)
    here, there = content(journey), content(server_settings)
    for table in here:
        assert comparable(there[table]) == comparable(here[table]), table


def test_orders_with_rows_put_aside_and_loaded_twice(
    settings: Settings, server_settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "orders.csv"
    write_orders(path, lines=900)
    with path.open("a") as stream:
        stream.write("1,10001,X,many,2010-12-01 08:26:00,1,1,UK\n2,3\n")
    reports = [load_source(each, "orders", data_dir=path) for each in (settings, server_settings)]
    assert reports[0].cleaning == reports[1].cleaning
    again = load_source(server_settings, "orders", data_dir=path, force=True)
    assert again.rows == reports[0].rows
    here, there = content(settings), content(server_settings)
    for table in here:
        assert comparable(there[table]) == comparable(here[table]), table


def test_a_failed_load_leaves_the_old_shop(server_settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    write_orders(path, lines=300)
    load_source(server_settings, "orders", data_dir=path)
    before = content(server_settings)
    with pytest.raises(SourceError, match="gives no rows"):
        load_source(server_settings, "orders", data_dir=path, until="2001-01-01")
    assert content(server_settings) == before
