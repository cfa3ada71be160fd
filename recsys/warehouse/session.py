"""What a stage does with an open warehouse: transactions, queries, bulk reads and writes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import sqlalchemy
from sqlalchemy import Connection, Engine, text

from recsys.warehouse import duckdb_bulk, postgres_bulk
from recsys.warehouse.faults import reported
from recsys.warehouse.names import split_table

DUCKDB: Final = "duckdb"
POSTGRESQL: Final = "postgresql"
BATCH_ROWS: Final = 100_000

Parameters = Mapping[str, Any]
ReadArrow = Callable[..., AbstractContextManager[pa.RecordBatchReader]]


class Warehouse:
    """An open warehouse. Made by :func:`recsys.warehouse.open_warehouse` only."""

    def __init__(self, engine: Engine, dialect: str, name: str) -> None:
        self._engine = engine
        self._bulk = duckdb_bulk if dialect == DUCKDB else postgres_bulk
        self.dialect = dialect
        self.name = name

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Run the block in one transaction: committed at its end, rolled back if it raises.

        Inside the block SQLAlchemy's own exceptions can be caught; what leaves it is a ``WarehouseError``.

        Raises:
            WarehouseError: for whatever engine or driver raise.
        """
        with reported(f"The warehouse {self.name} refused a statement"), self._engine.begin() as connection:
            yield connection

    def query(
        self, sql: str, params: Parameters | None = None, *, connection: Connection | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of a small result as dictionaries.

        Args:
            sql: one statement with ``:name`` parameters.
            params: their values.
            connection: a transaction to read in; without it, what is committed is read.

        Raises:
            WarehouseError: for whatever engine or driver raise.
        """
        if connection is None:
            with self.transaction() as own:
                return self.query(sql, params, connection=own)
        with reported(f"The warehouse {self.name} refused a query"):
            return [dict(row) for row in connection.execute(text(sql), params or {}).mappings()]

    def vacuum(self, table: str) -> None:
        """Let a server clear the space of a table's deleted rows; readers go on. An embedded file has nothing to clear.

        Args:
            table: ``schema.table``.

        Raises:
            ValueError: if ``table`` isn't ``schema.table`` in lower-case letters, digits and underscores.
            WarehouseError: for whatever engine or driver raise.
        """
        schema, name = split_table(table)
        if self.dialect == POSTGRESQL:
            with reported(f"The warehouse {self.name} refused to clear {table}"), self._engine.connect() as connection:
                driver: Any = connection.connection.driver_connection
                driver.rollback()  # what a new connection was set up by; a vacuum runs in no transaction
                driver.autocommit = True
                try:
                    driver.execute(f"vacuum {schema}.{name}")
                finally:
                    driver.autocommit = False

    def columns_of(self, connection: Connection, select: str) -> list[str]:
        """Return the column names that a SELECT without parameters gives, without running it.

        Raises:
            WarehouseError: if the engine can't make sense of it.
        """
        relation = f"(\n{select}\n) as probe".replace(":", "\\:")
        probe = sqlalchemy.select(text("*")).select_from(text(relation)).limit(0)
        with reported(f"The warehouse {self.name} refused a query"):
            return list(connection.execute(probe).keys())

    def run(self, connection: Connection, statement: str) -> None:
        """Run one statement without parameters, as it stands in a SQL file, in the caller's transaction.

        Raises:
            WarehouseError: for whatever engine or driver raise.
        """
        with reported(f"The warehouse {self.name} refused a statement"):
            # A file has no parameters: no colon in it begins one.
            connection.execute(text(statement.replace(":", "\\:")))

    @contextmanager
    def reading(self) -> Iterator[ReadArrow]:
        """Give a function like :meth:`read_arrow` that keeps one connection: for small results, one after the other.

        Raises:
            WarehouseError: for whatever engine or driver raise.
        """
        with (
            reported(f"Reading from the warehouse {self.name} failed"),
            self._bulk.connected(self._engine) as connection,
        ):

            def read(
                sql: str, params: Parameters | None = None, *, batch_rows: int = BATCH_ROWS
            ) -> AbstractContextManager[pa.RecordBatchReader]:
                opened: AbstractContextManager[pa.RecordBatchReader] = self._bulk.open_reader(
                    connection, sql, params or {}, batch_rows
                )
                return opened

            yield read

    @contextmanager
    def read_arrow(
        self, sql: str, params: Parameters | None = None, *, batch_rows: int = BATCH_ROWS
    ) -> Iterator[pa.RecordBatchReader]:
        """Read a result of any size in batches; the reader is valid inside the block only.

        It reads what is committed. Cast JSON columns to text: the engines hand them over differently.

        Args:
            sql: one statement with ``:name`` parameters.
            params: their values: texts, whole numbers, moments, truth values. Cast another number to its type.
            batch_rows: rows of a batch; DuckDB keeps to it, PostgreSQL's driver cuts batches by bytes.

        Raises:
            WarehouseError: for whatever engine or driver raise, also while the reader is used.
        """
        with self.reading() as read, read(sql, params, batch_rows=batch_rows) as reader:
            yield reader

    def read_tables(
        self, connection: Connection, sql: str, params: Parameters | None = None, *, batch_rows: int = BATCH_ROWS
    ) -> Iterator[pa.Table]:
        """Read a result in batches, in the caller's transaction and with what that wrote; row by row, so no large one.

        Args:
            connection: a transaction of this warehouse.
            sql: one statement with ``:name`` parameters.
            params: their values.
            batch_rows: rows of a table; of a result without rows there is no table.

        Raises:
            WarehouseError: for whatever engine or driver raise.
        """
        with reported(f"The warehouse {self.name} refused a query"):
            result = connection.execute(text(sql), params or {}, execution_options={"stream_results": True})
            for rows in result.mappings().partitions(batch_rows):
                yield pa.Table.from_pylist([dict(row) for row in rows])

    def write_parquet(self, sql: str, path: Path, params: Parameters | None = None) -> None:
        """Write what a query reads, all that is committed, to a Parquet file, with the engine's own writer.

        Args:
            sql: as for :meth:`read_arrow`.
            path: of the file; its folder is there.
            params: their values.

        Raises:
            WarehouseError: for whatever engine or driver raise; also if the disk is full.
        """
        with reported(f"Copying from the warehouse {self.name} to {path.name} failed"):
            self._bulk.write_parquet(self._engine, sql, params or {}, path)

    def append(self, connection: Connection, table: str, data: pa.Table | pa.RecordBatchReader) -> int:
        """Append Arrow data to a table, in the caller's transaction; columns are matched by name.

        Args:
            connection: a transaction of this warehouse.
            table: ``schema.table``; columns that ``data`` lacks get their default.
            data: a table, or a reader that is read once and in batches.

        Returns:
            The number of rows appended.

        Raises:
            ValueError: if ``table`` isn't ``schema.table`` in lower-case letters, digits and underscores.
            WarehouseError: for whatever engine or driver raise.
        """
        with reported(f"Writing to {table} in the warehouse {self.name} failed"):
            count: int = self._bulk.append(connection, table, data)
            return count
