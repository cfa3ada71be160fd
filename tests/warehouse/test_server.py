"""Connections to a real PostgreSQL server: what they are told, and what becomes of work that it undoes."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from recsys.errors import TransientWarehouseError, WarehouseError
from recsys.settings import Settings
from recsys.warehouse import Warehouse, open_warehouse, retried
from tests.support.engines import POSTGRESQL
from tests.support.postgres import execute_on
from tests.support.warehouse import make_settings

CUT = (
    "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
    "where query like '%generate_series(1, 500000)%' and pid <> pg_backend_pid()"
)
OWN = "select pg_backend_pid() as pid"


@pytest.fixture
def warehouse_engine() -> str:
    """These are about a server."""
    return POSTGRESQL


@pytest.fixture
def opened(settings: Settings) -> Iterator[Warehouse]:
    with open_warehouse(settings, purpose="a load: test") as warehouse:
        yield warehouse


def shown(warehouse: Warehouse, name: str) -> str:
    return str(warehouse.query("select current_setting(:name) as value", {"name": name})[0]["value"])


def test_a_connection_says_what_for_and_has_bounds(opened: Warehouse) -> None:
    assert shown(opened, "application_name") == "recsys-a-load-test"
    assert shown(opened, "statement_timeout") == "1h"
    with opened.read_arrow("select current_setting('statement_timeout') as value") as reader:
        assert reader.read_all().to_pylist() == [{"value": "1h"}]


def test_what_the_url_says_itself_holds(warehouse_url: str, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, warehouse_url=f"{warehouse_url}&application_name=mine")
    with open_warehouse(settings, purpose="test") as warehouse:
        assert shown(warehouse, "application_name") == "mine"


def test_a_statement_that_takes_too_long_is_ended(warehouse_url: str, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, warehouse_url=warehouse_url, statement_timeout_seconds=0.05)
    with (
        open_warehouse(settings, purpose="test") as warehouse,
        pytest.raises(WarehouseError, match="RECSYS_STATEMENT_TIMEOUT_SECONDS"),
    ):
        warehouse.query("select cast(pg_sleep(60) as text)")


def test_a_connection_that_was_cut_between_two_pieces_of_work_is_replaced(opened: Warehouse, postgres_url: str) -> None:
    [before] = opened.query(OWN)
    execute_on(postgres_url, f"select pg_terminate_backend({before['pid']}, 5000)")
    [after] = opened.query(OWN)
    assert after["pid"] != before["pid"]


def test_work_whose_connection_is_cut_is_done_again_from_its_beginning(opened: Warehouse, postgres_url: str) -> None:
    with opened.transaction() as connection:
        connection.exec_driver_sql("create table done (attempt int)")
    attempts: list[int] = []

    def work() -> None:
        attempts.append(len(attempts) + 1)
        with opened.transaction() as connection:
            connection.exec_driver_sql(f"insert into done values ({attempts[-1]})")
            if attempts[-1] < 3:
                pid = opened.query(OWN, connection=connection)[0]["pid"]
                execute_on(postgres_url, f"select pg_terminate_backend({pid}, 5000)")
                opened.query(OWN, connection=connection)

    retried(work)
    assert opened.query("select attempt from done") == [{"attempt": 3}]


@pytest.mark.parametrize("is_by_engine", [False, True])
def test_a_connection_that_is_cut_while_rows_are_read_is_told_as_such(
    opened: Warehouse, postgres_url: str, is_by_engine: bool
) -> None:
    """Whether rows are taken from the reader or by the engine in the process."""
    query = "select n, repeat('x', 200) as t from generate_series(1, 500000) as r (n)"  # more than lies ready
    with pytest.raises(TransientWarehouseError, match="Run it again"), opened.read_arrow(query) as reader:
        execute_on(postgres_url, CUT)
        if is_by_engine:
            with duckdb.connect() as bench:
                bench.register("rows", reader)
                bench.execute("select count(*), max(t) from rows")
        else:
            reader.read_all()


def test_after_three_attempts_the_reason_is_told(opened: Warehouse) -> None:
    attempts = []

    def work() -> None:
        attempts.append(1)
        with opened.transaction() as connection:
            connection.exec_driver_sql(
                "do $$ begin raise exception using errcode = '40P01', message = 'deadlock detected'; end $$"
            )

    with pytest.raises(TransientWarehouseError, match="waited for each other"):
        retried(work)
    assert len(attempts) == 3
