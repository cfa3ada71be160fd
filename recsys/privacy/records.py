"""What became of each erasure: ``recsys.erasures``, which a killed one is resumed by."""

import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import text

from recsys.assets import read_sql
from recsys.privacy.subject import Subject
from recsys.warehouse import Warehouse

Status = Literal["begun", "removed", "done"]
BEGUN: Final = "begun"
REMOVED: Final = "removed"
DONE: Final = "done"


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """One erasure.

    Attributes:
        erasure_id: its name, which tells nothing of the customer.
        mark: the customer in the do-not-process list.
        user_id: the customer, only while it is begun.
        status: begun; removed, when only the warehouse's file is to be rewritten; done.
        requested_by: who wanted it.
        reason: why.
        requested_at: naive UTC.
        finished_at: naive UTC; None until it is done.
        proof: what was removed where, JSON-able.
    """

    erasure_id: str
    mark: str
    user_id: str | None = field(repr=False)
    status: Status
    requested_by: str
    reason: str
    requested_at: datetime
    finished_at: datetime | None = None
    proof: dict[str, Any]


def find_erasure(warehouse: Warehouse, mark: str) -> Erasure | None:
    """Return the newest erasure of a customer, by their mark."""
    found = [one for one in _all(warehouse) if one.mark == mark]
    return found[-1] if found else None


def unfinished(warehouse: Warehouse) -> list[Erasure]:
    """Return the erasures that began and did not end, oldest first."""
    return [one for one in _all(warehouse) if one.status != DONE]


def erasure_name(subject: Subject, now: datetime) -> str:
    """Return the id of an erasure that begins now."""
    return f"e{now:%Y%m%dT%H%M%S}-{subject.mark[:12]}"


def begin(warehouse: Warehouse, subject: Subject, *, by: str, reason: str, now: datetime) -> Erasure:
    """Write down that an erasure begins."""
    made = Erasure(
        erasure_id=erasure_name(subject, now),
        mark=subject.mark,
        user_id=subject.user_id,
        status=BEGUN,
        requested_by=by,
        reason=reason,
        requested_at=now,
        proof={},
    )
    with warehouse.transaction() as connection:
        connection.execute(text(read_sql("privacy", "add_erasure.sql")), _row(made))
    return made


def save(warehouse: Warehouse, erasure: Erasure, **changes: Any) -> Erasure:
    """Write how far an erasure is, and return it so."""
    changed = replace(erasure, **changes)
    with warehouse.transaction() as connection:
        connection.execute(text(read_sql("privacy", "save_erasure.sql")), _row(changed))
    return changed


def _all(warehouse: Warehouse) -> list[Erasure]:
    rows = warehouse.query(read_sql("privacy", "erasures.sql"))
    return [Erasure(**{**row, "proof": json.loads(row["proof"] or "{}")}) for row in rows]


def _row(erasure: Erasure) -> dict[str, Any]:
    return {**vars(erasure), "proof": json.dumps(erasure.proof, sort_keys=True)}
