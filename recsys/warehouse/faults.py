"""Turns what an engine or driver raises into a message for a person."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import duckdb
import psycopg
from adbc_driver_manager import Error as AdbcError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from recsys.errors import TransientWarehouseError, WarehouseBusyError, WarehouseError
from recsys.redaction import redact_text

# What the engines say, in lower case, and what to tell a person instead. The first match counts.
_HINTS: tuple[tuple[str, str], ...] = (
    ("no space left", "The disk is full. Free some space and run it again; nothing was half-written."),
    ("could not extend file", "The server's disk is full. Free some space and run it again."),
    ("not enough disk space", "The disk is full. Free some space and run it again."),
    ("file too large", "A file has reached the largest size allowed here. Raise that limit (ulimit -f); run it again."),
    ("could not set lock on file", "Another program has the file open. Close it and try again."),
    ("not a valid duckdb database", "Point RECSYS_WAREHOUSE_URL to another file, or move this one away."),
    (
        "corrupt database file",
        "The file is damaged. Move it away and load the shop again, or restore a copy.",
    ),
    ("checksum", "The file is damaged. Move it away and load the shop again, or restore a copy."),
    ("storage version", "The file was written by another version of DuckDB. Use that one, or load again."),
    ("out of memory", "Raise RECSYS_MEMORY_LIMIT_GB, or use fewer threads (RECSYS_THREADS)."),
    (
        "statement timeout",
        "It took longer than RECSYS_STATEMENT_TIMEOUT_SECONDS allows: raise that if it is rightly slow.",
    ),
    ("lock timeout", "Another program held what was needed for too long. Let it finish, and run this again."),
    ("deadlock detected", "Two programs waited for each other, and this one was stopped. Run it again."),
    ("could not serialize access", "Another program changed the same rows meanwhile. Run it again."),
    ("server closed the connection", "The connection was cut; what was not finished was undone. Run it again."),
    ("terminating connection", "The connection was cut; what was not finished was undone. Run it again."),
    ("too many clients", "The server has no connection left. Raise its max_connections, or run less at once."),
    ("password authentication failed", "Check user and password in RECSYS_WAREHOUSE_URL."),
    ("connection refused", "Is the server running, and are host and port in RECSYS_WAREHOUSE_URL right?"),
    ("failed to resolve host", "Check the host in RECSYS_WAREHOUSE_URL."),
    ("name or service not known", "Check the host in RECSYS_WAREHOUSE_URL."),
    ("does not exist", "If the shop isn't loaded yet, run: recsys load completejourney"),
    ("permission denied", "Give the warehouse's user the right to do this, or use another one."),
    ("is a directory", "RECSYS_WAREHOUSE_URL must name a file, not a folder."),
)
# Classes of SQLSTATE: clashes of transactions, broken connections. Codes: an administrator's stop, a start under way.
_TRANSIENT: Final = ("40", "08")
_STOPPED: Final = ("57P01", "57P02", "57P03")
_ADBC: Final = "[libpq]"
_CUT: Final = ("server closed the connection", "terminating connection", "no connection to the server")
_DRIVER_ERRORS = (SQLAlchemyError, duckdb.Error, psycopg.Error, AdbcError)


def explain(error: BaseException) -> str:
    """Return the engine's own words in one line, and what to do about it where that is known."""
    said = redact_text(str(getattr(error, "orig", None) or error).strip())
    first_line = " ".join(said.split())[:500]
    lowered = said.lower()
    hint = next((advice for words, advice in _HINTS if words in lowered), "")
    return f"{first_line.rstrip('.')}. {hint}".strip()


@contextmanager
def reported(doing: str) -> Iterator[None]:
    """Raise what the engine raises as a :class:`WarehouseError` that says what was being done.

    Raises:
        WarehouseBusyError: if another program has the DuckDB file open.
        TransientWarehouseError: if a clash, a deadlock or a cut connection undid it; the same may succeed again.
        WarehouseError: for anything else that engine or driver raise.
    """
    try:
        yield
    except (*_DRIVER_ERRORS, OSError) as error:
        # Arrow passes on as an OSError what ADBC says while rows are read; any other is about a file of ours.
        if isinstance(error, OSError) and _ADBC not in str(error):
            raise
        message = f"{doing}: {explain(error)}"
        raise _kind(error)(message) from error


def _kind(error: BaseException) -> type[WarehouseError]:
    if "could not set lock on file" in str(error).lower():
        return WarehouseBusyError
    # SQLAlchemy's error holds the driver's, which alone has the code; ADBC's has it under the same name.
    code = getattr(getattr(error, "orig", None) or error, "sqlstate", None) or ""
    is_cut = isinstance(error, DBAPIError) and error.connection_invalidated
    # Of a reader's error only the text is left.
    is_cut |= _ADBC in str(error) and any(words in str(error) for words in _CUT)
    return TransientWarehouseError if is_cut or code[:2] in _TRANSIENT or code in _STOPPED else WarehouseError
