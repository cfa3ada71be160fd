"""The steps that moves of a canary have in common; each runs in the caller's transaction."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from recsys import ledger
from recsys.errors import ConflictError, SettingsError
from recsys.publication.canary_records import Canary
from recsys.publication.statements import run


def check_share_and_reason(share: float, reason: str) -> None:
    """Refuse a share that is none, and a decision without a reason.

    Raises:
        SettingsError: naming the share, or that the reason is empty.
    """
    if not 0 <= share <= 1:
        raise SettingsError(f"A canary's share is of all customers, 0 (a shadow) to 1, not {share}.")
    if not reason.strip():
        raise SettingsError("A decision needs a reason, for whoever reads the ledger later; it is empty.")


def canary_ruling(
    placement: str, version: ledger.Version, share: float, decided_by: str, channel: str, reason: str
) -> ledger.Ruling:
    """Return the decision that allows a version for a share of the customers."""
    whom = f"{share:.2%} of the customers" if share else "nobody (shadow)"
    return ledger.Ruling(placement, version, ledger.CANARY, decided_by, channel, f"for {whom}: {reason}")


def move_canary(connection: Connection, canary: Canary) -> Canary:
    """Set a canary to what is given if it is still at the same fence, and return it with its new one.

    Raises:
        ConflictError: if it was moved or ended meanwhile.
    """
    wanted = ("canary_id", "publication_id", "share", "highest_hash", "fence")
    require_one(run(connection, "move_canary", **{name: getattr(canary, name) for name in wanted}), canary)
    return replace(canary, fence=canary.fence + 1)


def record_canary_move(
    connection: Connection, canary: Canary, move: str, *, decision_id: str | None, now: datetime
) -> None:
    """Add a move to the record; a move without a decision only brings newer lists."""
    named = {name: getattr(canary, name) for name in ("canary_id", "fence", "publication_id", "share")}
    run(connection, "record_canary_move", **named, move=move, decision_id=decision_id, now=now)


def require_one(changed: int, canary: Canary) -> None:
    """Refuse a compare-and-set that changed nothing.

    Raises:
        ConflictError: unless one row was changed.
    """
    if changed != 1:
        raise ConflictError(
            f"Something else was decided on {canary.placement} meanwhile, so the canary {canary.canary_id} is as "
            "that left it. Look at it (recsys canary status), then decide again."
        )
