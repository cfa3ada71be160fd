"""Looks for a text in everything that a platform keeps, in each format as its readers decode it."""

import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import sqlalchemy


def places(text: str, *roots: Path) -> list[str]:
    """Return where a text is found in the files below some folders: the file and what in it.

    Every file is searched as bytes; Parquet, DuckDB, SQLite and NumPy files are decoded as well.
    """
    found = []
    for root in roots:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            found += [f"{path.relative_to(root)}: {where}" for where in _in_file(text, path)]
    return found


def in_database(text: str, url: str) -> list[str]:
    """Return the tables and columns of a server's database that hold a text."""
    engine = sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    columns = (
        "select table_schema, table_name, column_name from information_schema.columns "
        "where table_schema not in ('pg_catalog', 'information_schema')"
    )
    with engine.connect() as connection:
        named = [tuple(row) for row in connection.exec_driver_sql(columns)]
        found = [".".join(one) for one in named if connection.execute(_counting(one), {"text": f"%{text}%"}).scalar()]
    engine.dispose()
    return found


def _counting(column: tuple[str, ...]) -> sqlalchemy.TextClause:
    schema, table, name = column
    return sqlalchemy.text(f'select count(*) from "{schema}"."{table}" where cast("{name}" as text) like :text')


def _in_file(text: str, path: Path) -> Iterator[str]:
    if text.encode() in _bytes(path):
        yield "bytes"
    decode = {".parquet": _in_parquet, ".duckdb": _in_duckdb, ".db": _in_sqlite, ".npz": _in_arrays, ".npy": _in_arrays}
    yield from decode.get(path.suffix, _nowhere)(text, path)


def _bytes(path: Path) -> bytes:
    """Return a file's bytes. Another process reads those of SQLite: who closes such a file loses its locks on it."""
    return subprocess.check_output(["cat", path]) if ".db" in path.suffix else path.read_bytes()


def _nowhere(_text: str, _path: Path) -> Iterator[str]:
    yield from ()


def _in_parquet(text: str, path: Path) -> Iterator[str]:
    table = pq.read_table(path)
    for name in table.column_names:
        if any(text in str(value) for value in table[name].unique().to_pylist()):
            yield name


def _in_duckdb(text: str, path: Path) -> Iterator[str]:
    with duckdb.connect(str(path), read_only=True) as connection:
        query = "select schema_name, table_name, column_name from duckdb_columns() where not internal"
        for schema, table, name in connection.execute(query).fetchall():
            sql = f'select count(*) from "{schema}"."{table}" where cast("{name}" as varchar) like $text'
            if connection.execute(sql, {"text": f"%{text}%"}).fetchall()[0][0]:
                yield f"{schema}.{table}.{name}"


def _in_sqlite(text: str, path: Path) -> Iterator[str]:
    with sqlite3.connect(path) as connection:
        for number, line in enumerate(connection.iterdump()):
            if text in line:
                yield f"line {number} of the dump"


def _in_arrays(text: str, path: Path) -> Iterator[str]:
    loaded = np.load(path, allow_pickle=False)
    arrays = {name: loaded[name] for name in loaded.files} if path.suffix == ".npz" else {"array": loaded}
    for name, array in arrays.items():
        if array.dtype.kind in "US" and any(text in str(value) for value in array.ravel()):
            yield name
