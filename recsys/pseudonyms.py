"""Pseudonyms: how customers are named wherever their id must not stand.

A pseudonym is a keyed hash (HMAC-SHA256, 80 bits of it) of the customer's id: the same customer has the same one
everywhere, and who lacks the key can neither make nor undo it. What shows it to a person resolves it then and there, by
the ids that the shop's tables still hold. The key is ``settings.privacy.key`` or a file below home, made at the first
use, which only its owner can read. A mark is another hash by the same key, for the list of who is not to be processed.
"""

import hmac
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from recsys.columns import DEFAULT_SUBJECT, SEGMENT_PREFIX
from recsys.errors import SettingsError
from recsys.settings import Settings

FOLDER: Final = "privacy"
KEY_FILE: Final = "key"
PATTERN: Final = r"^c-[0-9a-f]{20}$"
_PSEUDONYM: Final = re.compile(PATTERN)
_DIGITS: Final = 20


def is_pseudonym(text: str) -> bool:
    """Tell whether a text has the form of a pseudonym."""
    return _PSEUDONYM.match(text) is not None


def is_customer(subject: str) -> bool:
    """Tell whether a list's subject is a customer, not everybody and not a segment."""
    return subject != DEFAULT_SUBJECT and not subject.startswith(SEGMENT_PREFIX)


@dataclass(frozen=True)
class Pseudonyms:
    """Makes pseudonyms and marks with one key."""

    key: bytes = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> "Pseudonyms":
        """Return those of a home; its key is made if there is none yet.

        Raises:
            SettingsError: if the key's file holds none.
        """
        if settings.privacy.key is not None:
            return cls(settings.privacy.key.encode())
        return cls(_kept_key(settings.resolved_home / FOLDER / KEY_FILE))

    def name(self, user_id: str) -> str:
        """Return a customer's pseudonym."""
        return f"c-{self._digest('pseudonym', user_id)[:_DIGITS]}"

    def names(self, user_ids: Iterable[object]) -> list[str]:
        """Return the pseudonyms of customers, in their order."""
        return [self.name(str(user_id)) for user_id in user_ids]

    def mark(self, user_id: str) -> str:
        """Return what stands for a customer in the list of those who are not to be processed: 64 hex digits."""
        return self._digest("do not process", user_id)

    def find(self, pseudonym: str, user_ids: Iterable[str]) -> str | None:
        """Return which of these customers a pseudonym names; about a million are tried in a second."""
        return next((user_id for user_id in user_ids if self.name(user_id) == pseudonym), None)

    def _digest(self, use: str, user_id: str) -> str:
        return hmac.digest(self.key, f"{use}\x1f{user_id}".encode(), "sha256").hex()


def _kept_key(path: Path) -> bytes:
    if not path.exists():
        _make_key(path)
    key = path.read_bytes().strip()
    if len(key) < 16:
        raise SettingsError(
            f"{path} holds no key that pseudonyms could be made with. Put back the one that was there: with another "
            "nobody's pseudonym could be resolved, and who was erased would be processed again."
        )
    return key


def _make_key(path: Path) -> None:
    """Write a new key; of two processes at once the first one's is kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32))
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink(missing_ok=True)
