"""Bulk reads and writes of PostgreSQL: ADBC out, COPY in."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv as pacsv
from sqlalchemy import Connection, Engine, make_url, text

from recsys.warehouse.names import quoted, split_table


@contextmanager
def connected(engine: Engine) -> Iterator[Any]:
    """Open a connection of ADBC's for :func:`open_reader`; it asks the server for all its types first."""
    # Loaded here: the driver is of no use to the embedded warehouse.
    from adbc_driver_postgresql import dbapi as adbc

    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with adbc.connect(url) as connection:
        yield connection


@contextmanager
def open_reader(
    connection: Any, sql: str, params: Mapping[str, Any], batch_rows: int
) -> Iterator[pa.RecordBatchReader]:
    """Read a result in batches; ADBC cuts them by bytes, so ``batch_rows`` is not used."""
    # The asyncpg dialect is used for its compiler alone: it numbers the parameters and states their types,
    # and ADBC needs both.
    numbering = make_url("postgresql+asyncpg://").get_dialect()()
    compiled = text(sql).bindparams(**params).compile(dialect=numbering)
    values = [compiled.params[name] for name in compiled.positiontup or ()]
    with connection.cursor() as cursor:
        cursor.execute(str(compiled), values or None)
        yield cursor.fetch_record_batch()


def write_parquet(engine: Engine, sql: str, params: Mapping[str, Any], path: Path) -> None:
    """Write a result to a Parquet file."""
    # Unlike Arrow's writer this one works while it reads.
    with (
        connected(engine) as connection,
        open_reader(connection, sql, params, 0) as reader,
        duckdb.connect(config={"threads": 2}) as writer,
    ):
        writer.execute("set enable_progress_bar = false")
        writer.from_arrow(reader).write_parquet(str(path), compression="zstd")


def append(connection: Connection, target: str, data: pa.Table | pa.RecordBatchReader) -> int:
    """Append Arrow data by name, through COPY in the caller's transaction.

    ADBC would be quicker but has a connection, and so a transaction, of its own.
    """
    schema, name = split_table(target)
    columns = ", ".join(quoted(column) for column in data.schema.names)
    batches = data.to_batches() if isinstance(data, pa.Table) else data
    driver: Any = connection.connection.driver_connection
    count = 0
    # In Arrow's CSV every text stands in quotes and a null is nothing at all, as COPY wants it.
    with driver.cursor() as cursor, cursor.copy(f"copy {schema}.{name} ({columns}) from stdin csv") as copy:
        for batch in batches:
            copy.write(_as_csv(batch))
            count += batch.num_rows
    return count


def _as_csv(batch: pa.RecordBatch) -> memoryview:
    plain = pa.schema([field.with_type(_plain_type(field.type)) for field in batch.schema])
    sink = pa.BufferOutputStream()
    pacsv.write_csv(batch.cast(plain), sink, pacsv.WriteOptions(include_header=False))
    return memoryview(sink.getvalue())


def _plain_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
