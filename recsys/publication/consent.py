"""Consent that a customer withdraws or grants: their own lists are hidden at once, in all placements.

``shop.users.is_personalised`` is what the shop says and what everything reads. A withdrawal made here is also kept in
``recsys.consent_changes`` and holds, whatever a load of the shop brings, until the consent is granted here again. From
then on the shop's own word counts: where it still says no, the next load takes the consent back.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from recsys.assets import read_sql
from recsys.errors import ConflictError, NotFoundError
from recsys.publication.live_files import export_live
from recsys.publication.statements import run
from recsys.publication.suppressing import require_who_and_why
from recsys.settings import Settings
from recsys.warehouse import Warehouse


@dataclass(frozen=True)
class ConsentChange:
    """One change of a customer's consent; ``is_skipped`` if it was so already and nothing was added."""

    change_number: int
    user_id: str
    is_granted: bool
    changed_by: str
    changed_at: datetime
    reason: str
    is_skipped: bool = False


def set_consent(
    warehouse: Warehouse, settings: Settings, user_id: str, *, is_granted: bool, by: str, reason: str, now: datetime
) -> ConsentChange:
    """Withdraw or grant a customer's consent, in one transaction; the files of :func:`export_live` follow.

    Args:
        warehouse: an open, migrated warehouse.
        settings: where the live files are.
        user_id: the customer.
        is_granted: whether they want lists of their own.
        by: who enters it.
        reason: why, such as the message that asked for it.
        now: naive UTC.

    Returns:
        The change, or the newest one that said so already.

    Raises:
        SettingsError: if who or why is missing.
        NotFoundError: if the shop doesn't know the customer.
        ConflictError: if another change was made at the same moment.
    """
    require_who_and_why(by, reason)
    with warehouse.transaction() as connection:
        known = warehouse.query(read_sql("publication", "customer.sql"), {"user_id": user_id}, connection=connection)
        if not known:
            raise NotFoundError(f"There is no customer {user_id!r} in the shop's tables, so nothing was changed.")
        before = list_consent_changes(warehouse, user_id, connection=connection)
        # A customer whom only the shop's tables leave out has no withdrawal here, so theirs is news.
        is_skipped = bool(before) and before[-1].is_granted == is_granted == known[0]["is_personalised"]
        if not is_skipped:
            changed = {"user_id": user_id, "is_granted": is_granted}
            try:
                run(connection, "add_consent_change", **changed, changed_by=by, reason=reason, now=now)
            except IntegrityError as error:
                raise ConflictError("Another consent was changed at this moment; enter this one again.") from error
            run(connection, "set_consent", **changed)
    export_live(warehouse, settings)
    return replace(list_consent_changes(warehouse, user_id)[-1], is_skipped=is_skipped)


def list_consent_changes(
    warehouse: Warehouse, user_id: str | None = None, *, connection: Connection | None = None
) -> list[ConsentChange]:
    """Return the changes of one customer's consent or of all, in their order."""
    rows = warehouse.query(read_sql("publication", "consent_changes.sql"), {"user_id": user_id}, connection=connection)
    return [ConsentChange(**row) for row in rows]
