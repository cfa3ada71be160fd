"""Whom an erasure is about."""

from dataclasses import dataclass, field

from recsys.pseudonyms import Pseudonyms
from recsys.settings import Settings


@dataclass(frozen=True)
class Subject:
    """A customer by all names that files may have for them; only the mark outlasts the erasure."""

    user_id: str = field(repr=False)
    pseudonym: str
    mark: str

    @classmethod
    def of(cls, settings: Settings, user_id: str) -> "Subject":
        """Return a customer with what the home's key makes of their id."""
        pseudonyms = Pseudonyms.of(settings)
        return cls(user_id, pseudonyms.name(user_id), pseudonyms.mark(user_id))

    @property
    def names(self) -> tuple[str, str]:
        """What may stand in a column of customers."""
        return self.user_id, self.pseudonym
