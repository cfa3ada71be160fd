"""Reads a source's raw files, typed, with a DuckDB in this process; unreadable rows are set aside.

The files never touch the warehouse here: a file that can't be used stops the load before anything is written.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from recsys.do_not_process import DoNotProcess
from recsys.errors import SourceError
from recsys.load.forgetting import cells_of
from recsys.load.relations import define
from recsys.load.source import Source
from recsys.load.statements import statement
from recsys.settings import Settings

BATCH_ROWS: Final = 200_000
REJECTED: Final = "recsys_rejected"
_CHOSEN: Final = "recsys_chosen_customers"
_LEFT_OUT: Final = "recsys_left_out_customers"
# The warehouse's DuckDB and this one are open together: this one takes the smaller part.
_MEMORY_SHARE: Final = 0.35


@dataclass(frozen=True)
class Selection:
    """Which rows are wanted: known before ``until``, of the first ``customers`` by a stable hash."""

    until: datetime | None
    customers: int | None
    promotions: bool


class RawReader:
    """The raw tables of a source as relations of one DuckDB; made by :func:`open_raw`."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, source: Source, selection: Selection, listed: DoNotProcess
    ) -> None:
        self._listed = listed
        self._connection = connection
        self._source = source
        self._selection = selection
        self.tables = {
            name: table for name, table in source.file.tables.items() if table.group is None or selection.promotions
        }

    @contextmanager
    def rows(self, name: str) -> Iterator[tuple[int, pa.RecordBatchReader]]:
        """Give the wanted rows of a raw table: how many, and a reader of them.

        Raises:
            SourceError: if the files turn out to be damaged.
        """
        with _reported(name):
            wanted = self._connection.sql(self._wanted(name))
            [(count,)] = wanted.count("*").fetchall()
            reader = wanted.to_arrow_reader(BATCH_ROWS)
            try:
                yield int(count), reader
            finally:
                reader.close()

    def rejected(self) -> pa.Table:
        """Return the rows that could not be read: columns source_table, row (JSON), rule."""
        found = self._connection.table(REJECTED).order("all").to_arrow_table()
        return found.filter(pa.array([not self._is_left_out(row) for row in found.to_pylist()], pa.bool_()))

    def left_out(self) -> int:
        """Return how many rows belong to customers who were erased and are not processed."""
        found = 0
        for name, table in self.tables.items():
            if table.customer is not None:
                sql = f'select count(*) from "{name}" where cast("{table.customer}" as varchar) in (from {_LEFT_OUT})'
                found += int(self._connection.execute(sql).fetchall()[0][0])
        return found

    def _is_left_out(self, row: dict[str, str]) -> bool:
        """Tell whether an unreadable row names a customer who was erased, where the source says that customers are."""
        table = self.tables.get(row["source_table"].rpartition(".")[2])
        if not self._listed.marks:
            return False
        kept = json.loads(row["row"])
        cells = kept.get("cells")
        if table is not None and table.customer is not None and isinstance(cells, dict):
            kept = cells.get(table.columns[table.customer].header or table.customer, cells)
        return bool(self._listed.among(cells_of(kept)))

    def _wanted(self, name: str) -> str:
        table = self.tables[name]
        columns = ", ".join(f'"{column}"' for column in table.columns)
        conditions = ["true"]
        if self._selection.until is not None and table.known_at is not None:
            conditions.append(f"({table.known_at}) < timestamp '{self._selection.until.isoformat(' ')}'")
        if self._selection.customers is not None and table.customer is not None:
            conditions.append(f'cast("{table.customer}" as varchar) in (from {_CHOSEN})')
        if table.customer is not None:
            column = f'cast("{table.customer}" as varchar)'
            conditions.append(f"({column} is null or {column} not in (from {_LEFT_OUT}))")
        return statement("raw_rows", columns=columns, table=f'"{name}"', conditions=" and ".join(conditions))

    def prepare(self, data: dict[str, list[Path]]) -> None:
        """Make every raw table a relation, and choose the customers."""
        self._connection.execute(f"set timezone = '{self._source.file.time_zone}'")
        self._connection.execute(f'create table {REJECTED} (source_table text, "row" text, rule text)')
        for name in self.tables:
            with _reported(name):
                define(self._connection, self._source, name, data[name])
        self._leave_out()
        if self._selection.customers is not None:
            self._choose_customers()

    def _leave_out(self) -> None:
        self._connection.execute(f"create table {_LEFT_OUT} (id varchar)")
        for name, table in self.tables.items():
            if table.customer is not None and self._listed.marks:
                with _reported(name):
                    sql = f'select distinct cast("{table.customer}" as varchar) from "{name}"'
                    known = self._connection.execute(sql).fetchall()
                rows = [[user_id] for user_id in self._listed.among(row[0] for row in known)]
                if rows:
                    self._connection.executemany(f"insert into {_LEFT_OUT} values (?)", rows)

    def _choose_customers(self) -> None:
        chosen = self._source.file.customers
        if chosen is None:
            raise SourceError(
                f"The source {self._source.name!r} doesn't say where its customers are: add [customers] with "
                "table and column to its source.toml, or load without --customers."
            )
        self._connection.execute(
            statement(
                "choose_customers",
                chosen=_CHOSEN,
                table=f'"{chosen.table}"',
                column=f'"{chosen.column}"',
                count=str(self._selection.customers),
            )
        )


@contextmanager
def open_raw(
    settings: Settings, source: Source, selection: Selection, data: dict[str, list[Path]]
) -> Iterator[RawReader]:
    """Open the raw files of a source.

    Args:
        settings: threads and memory.
        source: what to read.
        selection: which rows are wanted.
        data: the files of each raw table, from :func:`recsys.load.files.locate`.

    Raises:
        SourceError: if a file is missing, damaged, lacks a column, or has too many unreadable rows.
    """
    config: dict[str, Any] = {
        "threads": settings.thread_count,
        "memory_limit": f"{max(256, int(settings.memory_limit_gb * 1024 * _MEMORY_SHARE))}MiB",
        "temp_directory": str(settings.resolved_home / "load.tmp"),
    }
    with duckdb.connect(":memory:", config=config) as connection:
        reader = RawReader(connection, source, selection, DoNotProcess.kept(settings))
        reader.prepare(data)
        yield reader


@contextmanager
def _reported(table: str) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        said = " ".join(str(error).split())[:400]
        raise SourceError(f"The raw table {table!r} can't be read: {said}") from error
