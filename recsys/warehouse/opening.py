"""Opens the warehouse that the settings name."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from recsys.columns import PUBLISHED, SHOP
from recsys.errors import SettingsError, WarehouseError
from recsys.redaction import is_secret_name
from recsys.settings import Settings
from recsys.warehouse.faults import reported
from recsys.warehouse.lock import hold_lock
from recsys.warehouse.retrying import retried
from recsys.warehouse.server import server_engine, server_url
from recsys.warehouse.session import DUCKDB, POSTGRESQL, Warehouse

_BACKENDS: Final = {"duckdb": DUCKDB, "postgresql": POSTGRESQL, "postgres": POSTGRESQL}


@contextmanager
def open_warehouse(settings: Settings, *, purpose: str, timeout: float = 120) -> Iterator[Warehouse]:
    """Open the warehouse for as long as the block runs; keep the block short.

    A DuckDB file is held by one process at a time, so its lock file is taken first. Pending migrations
    are not applied: :func:`recsys.warehouse.migrate` does that.

    Args:
        settings: says which warehouse (``database_url``), and threads and memory for DuckDB.
        purpose: what the file is held for, as a waiting process will be told.
        timeout: seconds to wait for the lock.

    Raises:
        SettingsError: if the URL can't be used.
        WarehouseBusyError: if another process holds the DuckDB file for longer than ``timeout``.
        WarehouseError: if the file or the server can't be opened.
    """
    url = warehouse_url(settings)
    if _BACKENDS[url.get_backend_name()] == POSTGRESQL:
        connected = server_url(url, purpose=purpose, statement_seconds=settings.statement_timeout_seconds)
        yield from _opened(_postgres_engine(connected), POSTGRESQL, url)
        return
    database = Path(str(url.database))
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WarehouseError(f"The folder of the warehouse, {database.parent}, can't be made: {error}.") from error
    with hold_lock(database, purpose=purpose, timeout=timeout):
        yield from _opened(_duckdb_engine(settings, url), DUCKDB, url)


def warehouse_url(settings: Settings) -> URL:
    """Return the checked URL of the warehouse; a DuckDB file's path is made absolute.

    Raises:
        SettingsError: if it isn't an SQLAlchemy URL of DuckDB or PostgreSQL, or names no file.
    """
    allowed = "duckdb:////path/to/file.duckdb or postgresql://user:password@host:5432/database"
    try:
        url = make_url(settings.database_url)
    except (ArgumentError, ValueError):
        # The text may hold a password, so only what stands before the colon is repeated, and not the cause either.
        start = settings.database_url.partition(":")[0] if ":" in settings.database_url else ""
        raise SettingsError(
            f"RECSYS_WAREHOUSE_URL ({start}:...) is not an SQLAlchemy URL. Set it like {allowed}; a password's "
            "special characters are written as in any URL: %40 for @, %2F for /."
        ) from None
    backend = url.get_backend_name()
    if backend not in _BACKENDS:
        raise SettingsError(f"RECSYS_WAREHOUSE_URL names the engine {backend!r}. Set it like {allowed}.")
    return url if _BACKENDS[backend] == POSTGRESQL else _duckdb_url(url)


def _duckdb_url(url: URL) -> URL:
    if not url.database or url.database == ":memory:":
        raise SettingsError(
            "RECSYS_WAREHOUSE_URL names a DuckDB in memory, which the next stage could not see. "
            "Name a file: duckdb:////path/to/file.duckdb."
        )
    path = Path(url.database).expanduser().resolve()
    if path.stem in (SHOP, PUBLISHED):
        # DuckDB calls the database by the file's name, so "shop.items" would mean two things.
        raise SettingsError(
            f"The DuckDB file {path.name} is called like a schema in it; choose a name other than "
            f"{SHOP!r} and {PUBLISHED!r}."
        )
    return url.set(database=str(path))


def _duckdb_engine(settings: Settings, url: URL) -> Engine:
    config = {
        "threads": settings.thread_count,
        "memory_limit": f"{int(settings.memory_limit_gb * 1024)}MiB",
        "temp_directory": f"{url.database}.tmp",
    }
    engine = create_engine(url, connect_args={"config": config})
    event.listen(engine, "connect", _use_utc)
    event.listen(engine, "connect", _be_quiet)
    return engine


def _be_quiet(driver: Any, _record: object) -> None:
    # A copy that takes long would draw a bar among what a command prints.
    driver.cursor().execute("set enable_progress_bar = false")


def _use_utc(driver: Any, _record: object) -> None:
    # Times are naive UTC everywhere; a cast to and from times with a zone must not bring in the machine's.
    driver.cursor().execute("set timezone = 'UTC'")


def _postgres_engine(url: URL) -> Engine:
    engine = server_engine(url)
    event.listen(engine, "connect", _use_utc)
    return engine


def _opened(engine: Engine, dialect: str, url: URL) -> Iterator[Warehouse]:
    hidden = {option: "***" for option in url.query if is_secret_name(option)}
    name = url.update_query_dict(hidden).render_as_string(hide_password=True)
    try:
        # One connection stays open throughout: a DuckDB file is closed and written out with the last one.
        keeper = retried(partial(_connected, engine, name))
        with keeper:
            keeper.rollback()
            yield Warehouse(engine, dialect, name)
    finally:
        engine.dispose()


def _connected(engine: Engine, name: str) -> Connection:
    with reported(f"The warehouse {name} can't be opened"):
        return engine.connect()
