"""Connections to a real PostgreSQL server: what they are told, and what becomes of work that it undoes."""

import traceback
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from recsys.errors import TransientWarehouseError, WarehouseError
from recsys.settings import Settings
from recsys.warehouse import Warehouse, open_warehouse, retried
from recsys.warehouse.postgres_bulk import BATCH_BYTES
from tests.support.engines import POSTGRESQL
from tests.support.postgres import execute_on
from tests.support.warehouse import make_settings

CUT = (
    "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
    "where query like '%generate_series(1, 500000)%' and pid <> pg_backend_pid()"
)
PLANTED = "a-value-that-nobody-should-see"
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


def test_a_large_result_comes_in_small_batches_also_where_the_statement_has_values(opened: Warehouse) -> None:
    query = "select number, repeat(:letter, 100) as letters from generate_series(:first, 200000) as made (number)"
    with opened.read_arrow(query, {"letter": "%'\\", "first": 1}) as reader:
        batches = list(reader)
    assert sum(batch.num_rows for batch in batches) == 200_000
    assert max(batch.nbytes for batch in batches) < 2 * BATCH_BYTES
    assert {text for batch in batches for text in batch["letters"].unique().to_pylist()} == {"%'\\" * 100}


def test_a_reader_that_is_left_early_leaves_the_connection_usable(opened: Warehouse) -> None:
    with opened.reading() as read:
        with read("select repeat('x', 1000) as letters from generate_series(1, 100000)") as reader:
            reader.read_next_batch()
        with read("select 1 as one") as reader:
            assert reader.read_all().to_pylist() == [{"one": 1}]


def test_what_fails_while_rows_are_read_is_an_error_of_the_warehouse(opened: Warehouse) -> None:
    query = "select 1 / (400000 - number) as share, repeat('x', 100) from generate_series(1, 500000) as made (number)"
    with pytest.raises(WarehouseError, match="division by zero"), opened.read_arrow(query) as reader:
        reader.read_all()
    with (
        pytest.raises(WarehouseError, match="division by zero"),
        opened.read_arrow(query) as reader,
        duckdb.connect() as bench,
    ):
        bench.from_arrow(reader).aggregate("sum(share)").fetchall()


@pytest.mark.parametrize("query", ["select * from nowhere where name = :name", "select 1 / 0 where :name = :name"])
def test_an_error_repeats_no_value_of_a_statement(opened: Warehouse, query: str) -> None:
    with pytest.raises(WarehouseError) as raised, opened.read_arrow(query, {"name": PLANTED}):
        pass
    told = "".join(traceback.format_exception(raised.value))
    assert "nowhere" in told or "division by zero" in told
    assert PLANTED not in told


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
