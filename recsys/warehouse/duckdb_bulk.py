"""Bulk reads and writes of DuckDB: Arrow in and out of the same process."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from sqlalchemy import ColumnClause, Connection, Engine, column, quoted_name, table, text

from recsys.warehouse.names import split_table

_INCOMING = "recsys_incoming"


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """Open a connection for :func:`open_reader`."""
    with engine.connect() as connection:
        yield connection


@contextmanager
def open_reader(
    connection: Connection, sql: str, params: Mapping[str, Any], batch_rows: int
) -> Iterator[pa.RecordBatchReader]:
    """Read a result in batches of ``batch_rows`` rows."""
    reader = _relation(connection, sql, params).to_arrow_reader(batch_rows)
    try:
        yield reader
    finally:
        reader.close()


def write_parquet(engine: Engine, sql: str, params: Mapping[str, Any], path: Path) -> None:
    """Write a result to a Parquet file."""
    with engine.connect() as connection:
        _relation(connection, sql, params).write_parquet(str(path), compression="zstd")


def append(connection: Connection, target: str, data: pa.Table | pa.RecordBatchReader) -> int:
    """Append Arrow data by name."""
    schema, name = split_table(target)
    names = list(data.schema.names)
    incoming = table(_INCOMING, *map(_column, names)).select()
    insert = table(name, *map(_column, names), schema=schema).insert().from_select(names, incoming)
    driver = _driver(connection)
    driver.register(_INCOMING, data)
    # Through SQLAlchemy the number of rows would be lost.
    [(count,)] = driver.execute(str(insert.compile(dialect=connection.dialect))).fetchall()
    # Not after a failure: in an aborted transaction this fails too, and would hide why.
    driver.unregister(_INCOMING)
    return int(count)


def _relation(connection: Connection, sql: str, params: Mapping[str, Any]) -> duckdb.DuckDBPyRelation:
    compiled = text(sql).bindparams(**params).compile(dialect=connection.dialect)
    # DuckDB takes "$1" with a list: the order is that of the compiled statement, not the caller's.
    values = [compiled.params[name] for name in compiled.positiontup or ()]
    relation: duckdb.DuckDBPyRelation = _driver(connection).sql(str(compiled), params=values or None)
    return relation


def _column(name: str) -> ColumnClause[Any]:
    # In quotes always: the engine has more reserved words ("at") than the dialect that compiles knows.
    return column(quoted_name(name, quote=True))


def _driver(connection: Connection) -> Any:
    """Return DuckDB's connection below SQLAlchemy's: it shares the transaction and knows Arrow."""
    return connection.connection.driver_connection
