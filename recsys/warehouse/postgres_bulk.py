"""Bulk reads and writes of PostgreSQL: ADBC out, COPY in."""

import re
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.csv as pacsv
from adbc_driver_manager import Error as AdbcError
from psycopg import ClientCursor
from psycopg.conninfo import make_conninfo
from psycopg.copy import QueuedLibpqWriter
from sqlalchemy import Connection, Engine, text

from recsys.warehouse.names import quoted, split_table

BATCH_BYTES: Final = 4 << 20
"""Of a batch that is read, about."""
_STATEMENT: Final = re.compile(r"\s*^(LINE \d+|Query was): .*\Z", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Connected:
    """A connection of ADBC's, and the engine whose dialect and types its statements are written in."""

    adbc: Any
    engine: Engine


@contextmanager
def connected(engine: Engine) -> Iterator[Connected]:
    """Open a connection of ADBC's for :func:`open_reader`; it asks the server for all its types first."""
    # Loaded here: the driver is of no use to the embedded warehouse.
    from adbc_driver_postgresql import dbapi as adbc

    # Not as a URL: libpq does not read spaces in one as SQLAlchemy writes them.
    _, named = engine.dialect.create_connect_args(engine.url)
    named.pop("context", None)  # for psycopg alone
    with adbc.connect(make_conninfo(**named)) as connection:
        yield Connected(connection, engine)


@contextmanager
def open_reader(
    connection: Connected, sql: str, params: Mapping[str, Any], batch_rows: int
) -> Iterator[pa.RecordBatchReader]:
    """Read a result in batches; ADBC cuts them by bytes, so ``batch_rows`` is not used."""
    from adbc_driver_postgresql import StatementOptions

    with connection.adbc.cursor() as cursor:
        cursor.adbc_statement.set_options(**{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(BATCH_BYTES)})
        with _without_statement():
            cursor.execute(_written_out(connection.engine, sql, params))
        reader = cursor.fetch_record_batch()
        with closing(_ahead(reader)) as batches:
            yield pa.RecordBatchReader.from_batches(reader.schema, batches)


def _written_out(engine: Engine, sql: str, params: Mapping[str, Any]) -> str:
    """Return a statement with its values in it, quoted by the driver.

    Where it is given values beside the statement, ADBC returns the whole result as one batch, however large it is.
    """
    compiled = text(sql).bindparams(**params).compile(dialect=engine.dialect)
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        return str(ClientCursor(driver).mogrify(str(compiled), compiled.params))


@contextmanager
def _without_statement() -> Iterator[None]:
    """Raise what ADBC raises without the statement that it repeats, in which a value may be a secret."""
    try:
        yield
    except AdbcError as error:
        said = _STATEMENT.sub("", str(error))
        raise type(error)(said, status_code=error.status_code, sqlstate=error.sqlstate) from None


def _ahead(reader: pa.RecordBatchReader) -> Generator[pa.RecordBatch, None, None]:
    """Give the batches of a reader, of which one is read while the one before is worked on."""
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
        coming = pool.submit(next, reader, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, reader, None)
            yield batch


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
    # In Arrow's CSV every text stands in quotes and a null is nothing at all, as COPY wants it. The writer sends in a
    # thread of its own, so that the next batch is made meanwhile; at most 128 MB wait for it.
    with (
        driver.cursor() as cursor,
        cursor.copy(f"copy {schema}.{name} ({columns}) from stdin csv", writer=QueuedLibpqWriter(cursor)) as copy,
    ):
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
