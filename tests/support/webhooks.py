"""Deliveries as MLflow makes them."""

import base64
import hashlib
import hmac
import json

SECRET = "a secret of sixteen and more"
NOW = 1_764_000_000.0


def delivery(
    delivery_id: str,
    *,
    now: float = NOW,
    secret: str = SECRET,
    entity: str = "model_version_alias",
    name: str = "recsys_for_you",
    alias: str = "champion",
) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a delivery about an alias."""
    told = {
        "entity": entity,
        "action": "created",
        "timestamp": "2025-11-24T16:00:00+00:00",
        "data": {"name": name, "alias": alias, "version": "2"},
    }
    body = json.dumps(told).encode()
    signed = f"{delivery_id}.{int(now)}.".encode() + body
    signature = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    headers = {
        "X-MLflow-Delivery-Id": delivery_id,
        "X-MLflow-Timestamp": str(int(now)),
        "X-MLflow-Signature": f"v1,{signature}",
    }
    return headers, body
