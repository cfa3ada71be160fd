"""What one customer sees, and why."""

from dataclasses import dataclass

from recsys.errors import NotFoundError
from recsys.pseudonyms import Pseudonyms, is_customer, is_pseudonym
from recsys.publication import CustomerList, live_list
from recsys.settings import Settings


@dataclass(frozen=True)
class Found:
    """A customer's list, or why there is none: ``problem`` is empty if there is one, or nobody was asked for.

    ``alias`` is how addresses name the customer, which servers write to their logs: by the pseudonym.
    """

    shown: CustomerList | None
    problem: str = ""
    alias: str = ""


def customer(settings: Settings, user: str, placement: str) -> Found:
    """Return what a customer is shown on a placement; nothing if no customer is named."""
    if not user:
        return Found(None)
    try:
        shown = live_list(settings, user, placement)
        return Found(shown, alias=alias(settings, shown.user_id))
    except NotFoundError as error:
        return Found(None, str(error), alias(settings, user))


def alias(settings: Settings, user: str) -> str:
    """Return how addresses name a customer: by their pseudonym; everybody's list has no secret."""
    return user if not user or is_pseudonym(user) or not is_customer(user) else Pseudonyms.of(settings).name(user)
