"""The secrets of the local stack: made once, kept in a file that only its owner can read."""

import base64
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from recsys.errors import StackError

USER = "admin"


@dataclass(frozen=True)
class Keys:
    """What must stay the same from one start to the next: sessions, webhooks and the log-in rest on it."""

    password: str
    api_secret: str
    jwt_secret: str
    fernet_key: str
    webhook_key: str

    @property
    def webhook_secret(self) -> str:
        """What MLflow signs its deliveries with; it follows from the key, so that older files have one, too."""
        return hmac.new(self.webhook_key.encode(), b"signature", hashlib.sha256).hexdigest()


def _new_keys() -> Keys:
    def binary() -> str:
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()

    return Keys(
        password=secrets.token_urlsafe(12),
        api_secret=secrets.token_urlsafe(32),
        jwt_secret=secrets.token_urlsafe(48),
        fernet_key=binary(),
        webhook_key=binary(),
    )


def load_keys(folder: Path) -> Keys:
    """Return the keys kept in a folder, making them at the first call.

    Raises:
        StackError: if the file is there but isn't what was written.
    """
    path = folder / "keys.json"
    if not path.exists():
        write_private(path, json.dumps(asdict(_new_keys()), indent=1))
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Keys(**{field.name: str(kept[field.name]) for field in fields(Keys)})
    except (ValueError, KeyError, TypeError) as error:
        raise StackError(
            f"{path} holds the local stack's keys and can't be read ({error!r}). Delete it to have new "
            "ones made; log-ins and MLflow's webhooks then have to be made anew."
        ) from error


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
