"""Opens a CSV or Parquet file as a relation of texts: what its columns are called, and every cell as it is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from recsys.errors import SourceError
from recsys.load.cells import cell, string
from recsys.load.files import csv_headers, is_parquet

_ENDINGS: Final = (".csv", ".tsv", ".csv.gz", ".parquet")
_DELIMITERS: Final = (",", "\t", ";", "|")
_ENCODING: Final = "utf-8"


@dataclass(frozen=True)
class RawFile:
    """A file that a connection can read.

    Attributes:
        path: the file.
        columns: how to say each of its columns in SQL, by the column's name.
        scan: the SQL that reads it, in the order of the file.
        header_lines: lines before the first row.
    """

    path: Path
    columns: dict[str, str]
    scan: str
    header_lines: int

    def text(self, column: str) -> str:
        """Return the SQL of a column's text without the blanks around it, null if nothing is left or it isn't there."""
        return cell(self.columns[column]) if column in self.columns else "cast(null as varchar)"

    def place(self, row: int) -> str:
        """Return where a row stands, rows counted from 1, for a person who looks it up."""
        return f"row {row:,} (line {row + self.header_lines:,})" if self.header_lines else f"row {row:,}"


def open_file(connection: duckdb.DuckDBPyConnection, path: Path, needed: tuple[str, ...]) -> RawFile:
    """Find out what a file holds.

    Args:
        connection: reads it.
        path: CSV (also ``.tsv`` and ``.csv.gz``; the delimiter is that of the header) or Parquet.
        needed: columns that it must have.

    Raises:
        SourceError: if it isn't there, is neither, can't be read or lacks a column.
    """
    if not path.is_file():
        raise SourceError(f"There is no file {path}.")
    if not path.name.lower().endswith(_ENDINGS):
        raise SourceError(f"{path} is neither CSV nor Parquet (by its ending: {', '.join(_ENDINGS)}).")
    found = _open_parquet(connection, path) if is_parquet(path) else _open_csv(path)
    missing = [column for column in needed if column not in found.columns]
    if missing:
        raise SourceError(
            f"{path} has no column {', '.join(map(repr, missing))}; it needs {', '.join(needed)}. "
            f"It has: {', '.join(found.columns) or 'nothing'}. Rename or add the columns."
        )
    return found


def _open_parquet(connection: duckdb.DuckDBPyConnection, path: Path) -> RawFile:
    scan = f"read_parquet({string(str(path))})"
    try:
        names = [row[0] for row in connection.execute(f"describe from {scan}").fetchall()]
    except duckdb.Error as error:
        raise SourceError(f"{path} can't be read as Parquet: {_said(error)}") from error
    return RawFile(path, {name: '"' + name.replace('"', '""') + '"' for name in names}, scan, 0)


def _open_csv(path: Path) -> RawFile:
    delimiter = max(_DELIMITERS, key=lambda one: len(csv_headers(path, one, _ENCODING)))
    headers = csv_headers(path, delimiter, _ENCODING)
    # Nothing is guessed from the rows: sniffing looks at the beginning of a file only.
    columns = ", ".join(f"'c{n}': 'varchar'" for n in range(len(headers)))
    scan = (
        f"read_csv({string(str(path))}, columns = {{{columns}}}, auto_detect = false, header = true, "
        f"delim = {string(delimiter)}, quote = '\"', escape = '\"')"
    )
    named: dict[str, str] = {}
    for number, header in enumerate(headers):
        named.setdefault(header, f"c{number}")
    return RawFile(path, named, scan, 1)


def load_rows(connection: duckdb.DuckDBPyConnection, file: RawFile, table: str, columns: dict[str, str]) -> None:
    """Make a temporary table of a file's rows: ``file_row`` from 1 in the order of the file, and the columns as given.

    Raises:
        SourceError: if the file turns out to be damaged.
    """
    chosen = ", ".join(f"{expression} as {name}" for name, expression in columns.items())
    try:
        # Two steps, since a number of rows that is taken while scanning may not be that of the file.
        connection.execute(f"create or replace temp table {table}_raw as select {chosen} from {file.scan}")
    except duckdb.Error as error:
        raise SourceError(f"{file.path} can't be read: {_said(error)}") from error
    connection.execute(f"create or replace temp table {table} as select rowid + 1 as file_row, * from {table}_raw")
    connection.execute(f"drop table {table}_raw")


def _said(error: duckdb.Error) -> str:
    return " ".join(str(error).split())[:400]
