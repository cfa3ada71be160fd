"""The engine that features and snapshots are computed with: DuckDB in this process, over Parquet.

It never opens the warehouse. Results don't depend on the number of threads: every result that is
kept has an explicit order, and sums of floats are done in decimals.
"""

import os
import shutil
import socket
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from recsys.settings import Settings

ROWS_PER_GROUP = 122_880


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()  # to look for them takes milliseconds


def one_blas_thread() -> AbstractContextManager[object]:
    """Let numpy's products of matrices run in one thread: more would change the last digits."""
    limited: AbstractContextManager[object] = _libraries().limit(limits=1, user_api="blas")
    return limited


@contextmanager
def engine(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an in-process DuckDB with the settings' threads and memory; it spills to their scratch folder.

    What processes spilled that were killed goes before.
    """
    sweep_spills(settings)
    spill = _spill_root(settings) / f"{_spills_here()}{os.getpid()}"
    with suppress(OSError):  # a reader may not be allowed to, and hardly ever has to spill
        spill.parent.mkdir(parents=True, exist_ok=True)  # the engine makes no more than the last folder
    connection = duckdb.connect(
        config={
            "threads": settings.thread_count,
            "memory_limit": f"{settings.memory_limit_gb}GiB",
            "temp_directory": str(spill),
        }
    )
    try:
        connection.execute("set timezone = 'UTC'")
        connection.execute("set enable_progress_bar = false")
        yield connection
    finally:
        connection.close()


def sweep_spills(settings: Settings) -> int:
    """Delete what ended processes of this machine spilled to disk; return the number of folders."""
    start = _spills_here()
    found = [path for path in _spill_root(settings).glob("duckdb-*") if path.name.startswith(start)]
    dead = [path for path in found if not _is_running(path.name.removeprefix(start))]
    for path in dead:
        shutil.rmtree(path, ignore_errors=True)
    return len(dead)


def _spill_root(settings: Settings) -> Path:
    return settings.scratch or settings.resolved_home / "tmp"


def _spills_here() -> str:
    # A home may be shared by containers, and each numbers its processes itself.
    return f"duckdb-{socket.gethostname()}-"


def _is_running(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def fetch_columns(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, object] | list[object] | None = None
) -> dict[str, NDArray[Any]]:
    """Return a query's columns as arrays by name. For columns without nulls."""
    found = connection.execute(query, parameters or {}).fetchnumpy()
    return {name: np.asarray(values) for name, values in found.items()}


def write_parquet(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    path: Path,
    parameters: dict[str, object] | None = None,
) -> int:
    """Write an ordered query's rows to one Parquet file whose bytes depend on the rows alone.

    Returns:
        The number of rows.
    """
    reader = connection.sql(query, params=parameters or {}).to_arrow_reader(ROWS_PER_GROUP)
    return write_batches(reader, path)


def write_batches(reader: pa.RecordBatchReader, path: Path, *, distinct: Collection[str] = ()) -> int:
    """Write a stream of batches to Parquet in row groups of a fixed size; return the number of rows.

    Args:
        reader: gives the batches.
        path: the file.
        distinct: columns whose values hardly repeat: looking for repetitions takes half of the time.
    """
    rows, held, pending = 0, 0, []
    repeating = [name for name in reader.schema.names if name not in distinct]
    with pq.ParquetWriter(path, reader.schema, compression="zstd", use_dictionary=repeating) as writer:
        for batch in reader:
            rows += batch.num_rows
            pending.append(batch)
            held += batch.num_rows
            if held >= ROWS_PER_GROUP:
                table = pa.Table.from_batches(pending, reader.schema).combine_chunks()
                full = held - held % ROWS_PER_GROUP
                writer.write_table(table.slice(0, full), row_group_size=ROWS_PER_GROUP)
                pending = table.slice(full).to_batches()
                held -= full
        if held or not rows:
            writer.write_table(pa.Table.from_batches(pending, reader.schema), row_group_size=ROWS_PER_GROUP)
    return rows
