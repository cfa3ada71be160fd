"""What one customer sees on one placement, with titles, and why."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recsys.assets import read_sql
from recsys.columns import DEFAULT_SUBJECT, SEGMENT_PREFIX
from recsys.errors import NotFoundError
from recsys.pseudonyms import Pseudonyms, is_pseudonym
from recsys.settings import Settings
from recsys.warehouse import Warehouse

Query = Callable[[str, dict[str, Any]], list[dict[str, Any]]]


@dataclass(frozen=True)
class ListRow:
    """One recommended item; title and category are None if the shop no longer has the item.

    ``propensity`` is how probable it was that the row was drawn, if it was: None for rows that stand on their rank.
    """

    rank: int
    item_id: str
    title: str | None
    category: str | None
    score: float
    source: str
    reason: str
    propensity: float | None


@dataclass(frozen=True)
class CustomerList:
    """The list that one customer is shown.

    ``subject_id`` is whose list it is: the customer's own, ``segment:<name>`` or ``*``. If it isn't their
    own, ``is_default`` is true and ``why`` says why, in a sentence.
    """

    user_id: str
    placement: str
    subject_id: str
    is_default: bool
    why: str
    publication_id: str
    model_version: str
    as_of: datetime
    rows: tuple[ListRow, ...]


def customer_list(warehouse: Warehouse, settings: Settings, user_id: str, placement: str) -> CustomerList:
    """Return what a customer is shown on a placement: their own list, else a default list.

    Args:
        warehouse: an open, migrated warehouse.
        settings: the placements there are.
        user_id: the customer or their pseudonym; ``*`` for a visitor. Unknown customers get the default list.
        placement: where.

    Raises:
        NotFoundError: if there is no such placement, or nothing is live on it.
    """
    return find_list(warehouse.query, settings, user_id, placement)


def find_list(query: Query, settings: Settings, user_id: str, placement: str) -> CustomerList:
    """Return a customer's list from wherever ``query`` reads the tables; see :func:`customer_list`."""
    if placement not in settings.placements:
        known = ", ".join(sorted(settings.placements))
        raise NotFoundError(f"There is no placement {placement!r}; the settings have: {known}.")
    user_id = resolved(query, settings, user_id)
    asked = {"user_id": user_id, "placement": placement}
    rows = query(read_sql("publication", "customer_list.sql"), asked)
    if not rows:
        raise NotFoundError(
            f"Nothing is published on {placement} yet, so there is no list to show. "
            f"Publish one with: recsys run --placement {placement}, which also says why a version may not go live."
        )
    first = rows[0]
    subject = first["user_id"]
    is_default = subject == DEFAULT_SUBJECT or subject.startswith(SEGMENT_PREFIX)
    return CustomerList(
        user_id=user_id,
        placement=placement,
        subject_id=subject,
        is_default=is_default,
        why=_why(query, user_id, subject) if is_default else "",
        publication_id=first["publication_id"],
        model_version=first["model_version"],
        as_of=first["as_of"],
        rows=tuple(_row(row) for row in rows),
    )


def resolved(query: Query, settings: Settings, user_id: str) -> str:
    """Return the id of whom a pseudonym names, as far as the shop's tables know them; anything else as it is."""
    if not is_pseudonym(user_id):
        return user_id
    known = (str(row["user_id"]) for row in query(read_sql("publication", "user_ids.sql"), {}))
    return Pseudonyms.of(settings).find(user_id, known) or user_id


def _row(row: dict[str, object]) -> ListRow:
    return ListRow(**{name: row[name] for name in ListRow.__dataclass_fields__})  # type: ignore[arg-type]


def _why(query: Query, user_id: str, subject: str) -> str:
    whose = "for everybody"
    if subject.startswith(SEGMENT_PREFIX):
        whose = f"of the segment {subject.removeprefix(SEGMENT_PREFIX)!r}"
    if user_id == DEFAULT_SUBJECT:
        return f"This is the list {whose}, which visitors see."
    known = query(read_sql("publication", "customer.sql"), {"user_id": user_id})
    if not known:
        return f"There is no customer {user_id!r} in the shop's tables, so this is the list {whose}."
    if not known[0]["is_personalised"]:
        return f"Customer {user_id!r} does not want personal recommendations, so this is the list {whose}."
    return f"The publication has no list for customer {user_id!r}, so this is the list {whose}."
