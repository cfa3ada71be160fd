"""Runs the statements of ``sql/publication/`` in a transaction."""

from typing import Any

from sqlalchemy import Connection, text

from recsys.assets import read_sql


def run(connection: Connection, name: str, **params: Any) -> int:
    """Run one statement; return the number of rows that it changed."""
    result = connection.execute(text(read_sql("publication", f"{name}.sql")), params)
    return int(result.rowcount)


def lock_storage(connection: Connection, placement: str) -> None:
    """Make others who add or remove lists of the placement wait until the transaction ends."""
    run(connection, "ensure_storage", placement=placement)
    run(connection, "lock_storage", placement=placement)
