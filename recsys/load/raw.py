"""Copies a source's raw tables into the warehouse, ``raw_<source>.*``."""

from collections.abc import Iterator

import pyarrow as pa
from sqlalchemy import Connection

from recsys.errors import SourceError, WarehouseError
from recsys.load.progress import Advance, Progress
from recsys.load.reading import RawReader
from recsys.load.source import SQL_TYPES, RawTable, Source
from recsys.load.statements import statement
from recsys.warehouse import Warehouse


def replace_raw(
    warehouse: Warehouse, connection: Connection, source: Source, reader: RawReader, progress: Progress
) -> None:
    """Replace the raw tables and helper tables of a source, in the caller's transaction.

    Tables that this load leaves out are there too, empty, so that every SELECT has what it names.

    Raises:
        SourceError: if a helper table's SELECT fails; the message names its file.
    """
    _drop_tables(warehouse, connection, source)
    for name, table in source.file.tables.items():
        warehouse.run(connection, _create(source, name, table))
        if name in reader.tables:
            with reader.rows(name) as (count, rows), progress.step(f"raw {name}", count) as advance:
                warehouse.append(connection, f"{source.raw_schema}.{name}", _counted(rows, advance))
        _analyze(warehouse, connection, f"{source.raw_schema}.{name}")
    for name in source.file.steps:
        with progress.step(f"step {name}"):
            _build_step(warehouse, connection, source, name)


def _build_step(warehouse: Warehouse, connection: Connection, source: Source, name: str) -> None:
    select = source.sql(name) or ""
    try:
        warehouse.run(
            connection,
            statement("create_step", table=f"{source.raw_schema}.{name}", select=clean_select(select)),
        )
    except WarehouseError as error:
        raise SourceError(f"{source.path / name}.sql can't be run: {error}") from error
    _analyze(warehouse, connection, f"{source.raw_schema}.{name}")


def clean_select(text: str) -> str:
    """Return a SELECT without the semicolon at its end, so that it can stand in brackets."""
    return text.strip().removesuffix(";")


def _drop_tables(warehouse: Warehouse, connection: Connection, source: Source) -> None:
    warehouse.run(connection, f"create schema if not exists {source.raw_schema}")
    found = warehouse.query(
        "select table_name from information_schema.tables where table_schema = :schema order by table_name",
        {"schema": source.raw_schema},
        connection=connection,
    )
    for row in found:
        warehouse.run(connection, f'drop table {source.raw_schema}."{row["table_name"]}"')


def _create(source: Source, name: str, table: RawTable) -> str:
    columns = ", ".join(f'"{column}" {SQL_TYPES[spec.type]}' for column, spec in table.columns.items())
    return f"create table {source.raw_schema}.{name} ({columns})"


def _analyze(warehouse: Warehouse, connection: Connection, table: str) -> None:
    # PostgreSQL plans badly for a table that it knows nothing of yet; DuckDB counts while it writes.
    if warehouse.dialect == "postgresql":
        warehouse.run(connection, f"analyze {table}")


def _counted(reader: pa.RecordBatchReader, advance: Advance) -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            yield batch
            advance(batch.num_rows)

    return pa.RecordBatchReader.from_batches(reader.schema, batches())
