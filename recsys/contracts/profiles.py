"""What a snapshot's events look like as a whole, in figures small enough for its manifest."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import duckdb

from recsys.assets import read_sql
from recsys.contracts.rows import TABLES

Profile = dict[str, dict[str, Any]]
"""By event type: rows, missing_<column>, median_<column> and hours (24 counts)."""

EARLIEST: Final = datetime(1, 1, 1)


@dataclass(frozen=True)
class Base:
    """What is kept of the last good snapshot to compare others with.

    Attributes:
        snapshot_id: which.
        as_of: its moment.
        profile: as :func:`describe` gave it.
        age: how old its newest event was when it was last checked; None if nobody knows.
    """

    snapshot_id: str
    as_of: datetime
    profile: dict[str, Any]
    age: timedelta | None = None

    @property
    def rows(self) -> dict[str, int]:
        """The valid rows of its tables."""
        found: dict[str, int] = self.profile["rows"]
        return found


def events_between(engine: duckdb.DuckDBPyConnection, since: datetime, until: datetime) -> Profile:
    """Describe the valid events that became known in a period."""
    found = engine.execute(read_sql("contracts", "profile.sql"), {"since": since, "until": until})
    names = [column[0] for column in found.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return {row.pop("event_type"): row for row in rows}


def usual_price(engine: duckdb.DuckDBPyConnection) -> float | None:
    """Return the median price of the valid products."""
    [(price,)] = engine.execute(read_sql("contracts", "prices.sql")).fetchall()
    return None if price is None else float(price)


def valid_count(engine: duckdb.DuckDBPyConnection, table: str) -> int:
    """Return the number of valid rows of a table."""
    [(count,)] = engine.execute(f"select count(*) from valid_{table}").fetchall()
    return int(count)


def age_in(report: Mapping[str, Any]) -> timedelta | None:
    """Return how old the newest event was when a kept report was first made; None if there was none."""
    if report["newest"] is None:
        return None
    return datetime.fromisoformat(report["first_taken_at"]) - datetime.fromisoformat(report["newest"])


def describe(engine: duckdb.DuckDBPyConnection, as_of: datetime, recent_days: int) -> dict[str, Any]:
    """Describe what was judged, for the manifest: all events, those of the last days, the products' prices."""
    since = as_of - timedelta(days=recent_days)
    return {
        "recent_days": recent_days,
        "recent": events_between(engine, since, as_of),
        "whole": events_between(engine, EARLIEST, as_of),
        "item_price": usual_price(engine),
        "rows": {table: valid_count(engine, table) for table in TABLES},
    }
