"""Rewrites the embedded warehouse's file, so that no block keeps what was deleted."""

from pathlib import Path

import duckdb

from recsys.settings import Settings
from recsys.warehouse.faults import reported
from recsys.warehouse.lock import hold_lock
from recsys.warehouse.opening import warehouse_url


def compact(settings: Settings, *, timeout: float = 120) -> bool:
    """Copy all of the embedded warehouse to a new file that takes its place, by a rename; a server has no such file.

    DuckDB reuses the blocks of deleted rows only as it needs them: until then the file still has their bytes.

    Args:
        settings: which warehouse.
        timeout: seconds to wait for whoever has it open.

    Returns:
        Whether there is a file that was rewritten.

    Raises:
        WarehouseBusyError: if another process holds it for longer than ``timeout``.
        WarehouseError: if it can't be read or written.
    """
    url = warehouse_url(settings)
    if url.get_backend_name() != "duckdb":
        return False
    path = Path(str(url.database))
    fresh = path.with_name(f"{path.name}.fresh")
    with hold_lock(path, purpose="rewrite the file after an erasure", timeout=timeout):
        with reported(f"The warehouse {path} can't be rewritten"):
            fresh.unlink(missing_ok=True)
            _copy(settings, path, fresh)
        fresh.replace(path)
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
    return True


def _copy(settings: Settings, path: Path, fresh: Path) -> None:
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": settings.thread_count,
        "memory_limit": f"{int(settings.memory_limit_gb * 1024)}MiB",
    }
    with duckdb.connect(str(path), config=config) as connection:
        connection.execute("checkpoint")
        [(name,)] = connection.execute("select current_database()").fetchall()
        target = str(fresh).replace("'", "''")
        connection.execute(f"attach '{target}' as fresh")
        connection.execute(f'copy from database "{name}" to fresh')
        connection.execute("detach fresh")
