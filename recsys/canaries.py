"""The end of a canary, whatever ends it: a decision about it, a rejection, a rollback, or that all see its version.

It stands below the ledger, since a decision and what follows from it are one transaction.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from recsys.assets import read_sql

PROMOTED: Final = "promoted"
WITHDRAWN: Final = "withdrawn"
ROLLED_BACK: Final = "rolled_back"


def end_canary(
    connection: Connection,
    placement: str,
    version: tuple[str, str] | None,
    *,
    move: str,
    decision_id: str | None,
    now: datetime,
) -> int:
    """End the canary that runs on a placement, in the caller's transaction: its customers see what the others see.

    Args:
        connection: of the transaction.
        placement: where.
        version: only a canary of this registered model and version; of any if None.
        move: promoted (its version is live for everybody), withdrawn or rolled_back.
        decision_id: the decision that ends it.
        now: naive UTC.

    Returns:
        How many were ended: 1 or 0.
    """
    model_name, model_version = version or (None, None)
    chosen = {"placement": placement, "model_name": model_name, "model_version": model_version, "now": now}
    status = "superseded" if move == PROMOTED else "withdrawn"
    for name, more in (
        ("end_canary_lists", {"status": status}),
        ("record_canary_end", {"move": move, "decision_id": decision_id}),
    ):
        connection.execute(text(read_sql("publication", f"{name}.sql")), {**chosen, **more})
    return int(connection.execute(text(read_sql("publication", "end_canary.sql")), {**chosen, "move": move}).rowcount)
