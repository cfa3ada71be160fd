"""What a canary is, and which customers are in it.

A customer is in a canary if the md5 of its salt and their id is low enough, in Python, DuckDB and PostgreSQL alike.
A larger share only raises the bound, so whoever was in stays in; another canary has another salt, so it doesn't
fall to the same customers again.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from recsys.assets import read_sql
from recsys.errors import NotFoundError
from recsys.warehouse import Warehouse

RUNNING: Final = "running"
_HEX_DIGITS: Final = 8  # 32 bits


@dataclass(frozen=True)
class Canary:
    """A version that is on trial on a placement, for a share of its customers.

    ``share`` is of all customers, 0 to 1; with 0 it is a shadow, published and seen by nobody. ``publication_id``
    is its newest lists. ``fence`` counts its moves, for a compare-and-set. Moments are naive UTC.
    """

    placement: str
    canary_number: int
    canary_id: str
    model_name: str
    model_version: str
    publication_id: str
    salt: str
    share: float
    highest_hash: str
    status: str
    fence: int
    started_at: datetime
    ended_at: datetime | None

    @property
    def is_shadow(self) -> bool:
        """Whether nobody sees it."""
        return self.highest_hash == ""

    def includes(self, user_id: str) -> bool:
        """Whether a customer is in its share."""
        return hash_of(self.salt, user_id) <= self.highest_hash


def hash_of(salt: str, user_id: str) -> str:
    """Return the 8 hexadecimal digits that decide a customer's arm."""
    # md5 spreads ids evenly and is in both engines; nothing secret depends on it.
    return hashlib.md5(f"{salt}:{user_id}".encode(), usedforsecurity=False).hexdigest()[:_HEX_DIGITS]


def highest_hash(share: float) -> str:
    """Return the highest hash that is in a share of 0 to 1; empty, which is below every hash, for none."""
    count = round(share * 16**_HEX_DIGITS)
    return f"{count - 1:0{_HEX_DIGITS}x}" if count else ""


def list_canaries(
    warehouse: Warehouse, placement: str | None = None, *, connection: Connection | None = None
) -> list[Canary]:
    """Return the canaries that run or ran on one placement or on all, the newest first."""
    rows = warehouse.query(read_sql("publication", "canaries.sql"), {"placement": placement}, connection=connection)
    return [Canary(**row) for row in rows]


def running_canary(warehouse: Warehouse, placement: str, *, connection: Connection | None = None) -> Canary | None:
    """Return the canary that runs on a placement, or None."""
    canaries = list_canaries(warehouse, placement, connection=connection)
    return next((canary for canary in canaries if canary.status == RUNNING), None)


def find_canary(warehouse: Warehouse, canary_id: str) -> Canary:
    """Return a canary that runs or ran, as it is now.

    Raises:
        NotFoundError: if there is none of this id.
    """
    canaries = {canary.canary_id: canary for canary in list_canaries(warehouse)}
    if canary_id not in canaries:
        raise NotFoundError(
            f"There is no canary {canary_id!r}. recsys canary status shows those that run or ran: "
            f"{', '.join(canaries) or 'none'}."
        )
    return canaries[canary_id]


def require_running(
    warehouse: Warehouse, placement: str, *, canary_id: str | None = None, connection: Connection | None = None
) -> Canary:
    """Return the canary that runs on a placement.

    Args:
        warehouse: an open warehouse.
        placement: where.
        canary_id: which one the caller means; whichever runs if None.
        connection: a transaction to read in.

    Raises:
        NotFoundError: if none runs, or another one than is meant.
    """
    found = running_canary(warehouse, placement, connection=connection)
    if found is None:
        raise NotFoundError(
            f"No canary runs on {placement}. recsys canary start begins one, and recsys canary status shows those "
            "there were."
        )
    if canary_id not in (None, found.canary_id):
        raise NotFoundError(
            f"The canary {canary_id} does not run on {placement} any more; {found.canary_id} (version "
            f"{found.model_version} of {found.model_name}) does. Look at it (recsys canary status), then decide again."
        )
    return found
