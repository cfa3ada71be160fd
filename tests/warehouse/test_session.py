"""Transactions, queries and bulk data, on both engines."""

from datetime import datetime

import pyarrow as pa
import pytest
from sqlalchemy.exc import IntegrityError

from recsys.errors import WarehouseError
from recsys.warehouse import Warehouse

AWKWARD = ["plain", "", None, 'quo"te, comma', "new\nline", "\\N", "ünïcode ✓", "100% :name", "'single'"]


@pytest.fixture
def table(warehouse: Warehouse) -> str:
    with warehouse.transaction() as connection:
        warehouse.run(connection, "create schema play")
        warehouse.run(
            connection,
            "create table play.things (id bigint not null unique, word text, score double precision, small smallint, "
            "yes boolean, moment timestamp, note json, extra text default 'none')",
        )
    return "play.things"


def rows(count: int = len(AWKWARD), start: int = 0) -> pa.Table:
    numbers = range(start, start + count)
    return pa.table(
        {
            # not in the table's order: columns are matched by name
            "word": pa.array([AWKWARD[n % len(AWKWARD)] for n in numbers], pa.string()),
            "id": pa.array(numbers, pa.int64()),
            "score": [n / 7 for n in numbers],
            "small": pa.array([n % 4096 - 1 for n in numbers], pa.int16()),
            "yes": [None if n % 3 == 2 else n % 3 == 1 for n in numbers],
            "moment": pa.array([datetime(2025, 1, 1, 0, 0, 0, n % 1000) for n in numbers], pa.timestamp("us")),
            "note": [f'{{"n": {n}}}' for n in numbers],
        }
    )


def test_what_is_appended_reads_back_the_same(warehouse: Warehouse, table: str) -> None:
    data = rows()
    with warehouse.transaction() as connection:
        assert warehouse.append(connection, table, data) == len(AWKWARD)
    with warehouse.read_arrow(
        f"select word, id, score, small, yes, moment, cast(note as text) as note from {table} order by id"
    ) as reader:
        back = reader.read_all()
    for name in ("word", "id", "score", "small", "yes", "moment"):
        assert back[name].to_pylist() == data[name].to_pylist(), name
    assert [note.replace(" ", "") for note in back["note"].to_pylist()] == [f'{{"n":{n}}}' for n in range(len(AWKWARD))]
    assert warehouse.query(f"select distinct extra from {table}") == [{"extra": "none"}]


def test_a_reader_and_dictionary_columns_are_appended_too(warehouse: Warehouse, table: str) -> None:
    data = rows(1000).set_column(0, "word", rows(1000)["word"].dictionary_encode())
    with warehouse.transaction() as connection:
        reader = pa.RecordBatchReader.from_batches(data.schema, data.to_batches(max_chunksize=300))
        assert warehouse.append(connection, table, reader) == 1000
    expected = sum(word == "plain" for word in rows(1000)["word"].to_pylist())
    assert warehouse.query(f"select count(*) as n from {table} where word = 'plain'") == [{"n": expected}]


def test_a_failed_block_leaves_nothing(warehouse: Warehouse, table: str) -> None:
    with pytest.raises(RuntimeError), warehouse.transaction() as connection:
        warehouse.append(connection, table, rows())
        assert warehouse.query(f"select count(*) as n from {table}", connection=connection) == [{"n": len(AWKWARD)}]
        raise RuntimeError("stop")
    assert warehouse.query(f"select count(*) as n from {table}") == [{"n": 0}]


def test_an_append_that_breaks_a_constraint_says_where_and_leaves_nothing(warehouse: Warehouse, table: str) -> None:
    with (
        pytest.raises(WarehouseError, match=r"Writing to play\.things .*(?i:duplicate key)"),
        warehouse.transaction() as c,
    ):
        warehouse.append(c, table, rows(3))
        warehouse.append(c, table, rows(1, start=2))
    assert warehouse.query(f"select count(*) as n from {table}") == [{"n": 0}]


def test_inside_a_transaction_sqlalchemys_exceptions_can_be_caught(warehouse: Warehouse, table: str) -> None:
    with pytest.raises(WarehouseError) as caught, warehouse.transaction() as connection:
        connection.exec_driver_sql(f"insert into {table} (id) values (1), (1)")
    assert isinstance(caught.value.__cause__, IntegrityError)


def test_parameters_are_bound_by_name_and_may_repeat(warehouse: Warehouse, table: str) -> None:
    with warehouse.transaction() as connection:
        warehouse.append(connection, table, rows())
    sql = (
        f"select id from {table} where small >= :low and word <> :word and moment >= :at and small >= :low order by id"
    )
    values = {"word": 'quo"te, comma', "low": 0, "at": datetime(2025, 1, 1, 0, 0, 0, 2)}
    # 0 has small -1, 1 is too early, 2 has no word, 3 is the word itself
    expected = [4, 5, 6, 7, 8]
    assert [row["id"] for row in warehouse.query(sql, values)] == expected
    with warehouse.read_arrow(sql, values) as reader:
        assert reader.read_all()["id"].to_pylist() == expected


def test_a_large_result_comes_in_batches(warehouse: Warehouse, table: str) -> None:
    with warehouse.transaction() as connection:
        warehouse.append(connection, table, rows(5000))
    with warehouse.read_arrow(f"select id from {table}", batch_rows=2048) as reader:
        sizes = [batch.num_rows for batch in reader]
    assert sum(sizes) == 5000
    assert warehouse.dialect == "postgresql" or max(sizes) == 2048


def test_a_transaction_reads_in_batches_what_it_has_written(warehouse: Warehouse, table: str) -> None:
    query = f"select id, word from {table} where id >= :first order by id"
    with warehouse.transaction() as connection:
        warehouse.append(connection, table, rows(250))
        parts = list(warehouse.read_tables(connection, query, {"first": 10}, batch_rows=100))
        assert [part.num_rows for part in parts] == [100, 100, 40]
        assert pa.concat_tables(parts)["id"].to_pylist() == list(range(10, 250))
        assert list(warehouse.read_tables(connection, query, {"first": 250})) == []
        # What was read does not end the transaction: all of it can still be taken back.
        assert warehouse.query(f"select count(*) as rows from {table}", connection=connection) == [{"rows": 250}]


def test_several_reads_go_over_one_connection(warehouse: Warehouse, table: str) -> None:
    with warehouse.transaction() as connection:
        warehouse.append(connection, table, rows(9))
    found = []
    with warehouse.reading() as read:
        for first in (0, 7, 9):
            with read(f"select id from {table} where id >= :first", {"first": first}) as reader:
                found.append(reader.read_all().num_rows)
    assert found == [9, 2, 0]
    with pytest.raises(WarehouseError, match="Reading from the warehouse"), warehouse.reading() as read:
        read("select missing from play.things", {}).__enter__()


def test_statements_from_files_keep_colons_and_per_cents(warehouse: Warehouse, table: str) -> None:
    with warehouse.transaction() as connection:
        warehouse.run(connection, f"insert into {table} (id, word) values (1, ':no parameter, 5 %')")
        assert warehouse.columns_of(connection, f"select id as a, word as b from {table} -- :x %") == ["a", "b"]
    assert warehouse.query(f"select word from {table} where word like '%:no %' escape '!'".replace(":", "\\:")) == [
        {"word": ":no parameter, 5 %"}
    ]


def test_a_missing_table_says_what_to_do(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError, match=r"nothing_here.* recsys load"):
        warehouse.query("select * from shop.nothing_here")
    with (
        pytest.raises(WarehouseError, match="nothing_here"),
        warehouse.read_arrow("select * from shop.nothing_here") as reader,
    ):
        reader.read_all()


@pytest.mark.parametrize("name", ["rows", "play.things; drop table play.things", "Play.rows", "a.b.c", ""])
def test_only_plain_table_names_are_taken(warehouse: Warehouse, table: str, name: str) -> None:
    with pytest.raises(ValueError, match=r"schema\.table"), warehouse.transaction() as connection:
        warehouse.append(connection, name, rows(1))


def test_an_unknown_column_is_named(warehouse: Warehouse, table: str) -> None:
    data = rows(1).append_column("nonsense", pa.array([1]))
    with pytest.raises(WarehouseError, match="nonsense"), warehouse.transaction() as connection:
        warehouse.append(connection, table, data)
