"""What one customer sees, and why."""

from dataclasses import dataclass

from recsys.errors import NotFoundError
from recsys.publication import CustomerList, live_list
from recsys.settings import Settings


@dataclass(frozen=True)
class Found:
    """A customer's list, or why there is none: ``problem`` is empty if there is one, or nobody was asked for."""

    shown: CustomerList | None
    problem: str = ""


def customer(settings: Settings, user: str, placement: str) -> Found:
    """Return what a customer is shown on a placement; nothing if no customer is named."""
    if not user:
        return Found(None)
    try:
        return Found(live_list(settings, user, placement))
    except NotFoundError as error:
        return Found(None, str(error))
