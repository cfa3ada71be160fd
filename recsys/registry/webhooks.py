"""MLflow's webhook: registered for what decides, and told from forged, late and other messages.

MLflow signs ``delivery id.timestamp.body`` by HMAC-SHA256 with the shared secret
(``mlflow/webhooks/delivery.py``). Its deliveries are best effort: who listens also looks by itself from time to
time.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from recsys.registry.aliases import CHALLENGER, CHAMPION, PREVIOUS
from recsys.registry.connection import connected
from recsys.settings import Settings

EVENTS: Final = ("model_version_alias.created", "model_version_alias.deleted")
ENTITY: Final = "model_version_alias"
TOLERANCE_SECONDS: Final = 300
MAX_BODY_BYTES: Final = 65_536
DELIVERY_HEADER: Final = "X-MLflow-Delivery-Id"
TIMESTAMP_HEADER: Final = "X-MLflow-Timestamp"
SIGNATURE_HEADER: Final = "X-MLflow-Signature"
_DELIVERY: Final = re.compile(r"[0-9A-Za-z-]{8,64}")
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")


def ensure_webhook(settings: Settings, *, url: str, secret: str) -> str:
    """Let MLflow tell an address of every alias that is set or removed; return the webhook's id.

    One that is there under the namespace's name is brought up to date.

    Raises:
        RegistryError: if MLflow can't be reached or refuses, as one without a SQL back end does.
    """
    # MLflow takes at most 62 characters, the last a letter or a digit.
    name = f"{settings.namespace[:50]}-decisions"
    about: dict[str, Any] = {"name": name, "url": url, "events": list(EVENTS), "secret": secret}
    with connected(settings) as client:
        known = [one for one in _webhooks(client) if one.name == name]
        if not known:
            return str(client.create_webhook(**about).webhook_id)
        for surplus in known[1:]:
            client.delete_webhook(surplus.webhook_id)
        client.update_webhook(known[0].webhook_id, status="ACTIVE", **about)
        return str(known[0].webhook_id)


def _webhooks(client: Any) -> list[Any]:
    found, token = [], None
    while True:
        page = client.list_webhooks(page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def delivery_of(headers: Mapping[str, str], body: bytes, *, secret: str, now: float) -> str | None:
    """Return the id of a genuine, recent delivery, else None.

    Args:
        headers: of the request; names in any case, as web frameworks hand them over.
        body: the bytes as they came.
        secret: what MLflow signs with.
        now: seconds since 1970.
    """
    delivery = headers.get(DELIVERY_HEADER, "")
    stamp = headers.get(TIMESTAMP_HEADER, "")
    if not (_DELIVERY.fullmatch(delivery) and _TIMESTAMP.fullmatch(stamp)):
        return None
    signed = f"{delivery}.{stamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(digest).decode()
    given = headers.get(SIGNATURE_HEADER, "")
    is_signed = hmac.compare_digest(expected.encode(), given.encode())
    return delivery if is_signed and abs(now - int(stamp)) <= TOLERANCE_SECONDS else None


def is_about_us(settings: Settings, body: bytes) -> bool:
    """Say whether a delivery's body tells of an alias that the ledger projects."""
    try:
        told = json.loads(body)
        data = told["data"]
        entity, model, alias = told["entity"], data["name"], data["alias"]
    except (ValueError, KeyError, TypeError):
        return False
    models = {settings.model_name(placement) for placement in settings.placements}
    return entity == ENTITY and model in models and alias in (CHAMPION, CHALLENGER, PREVIOUS)
