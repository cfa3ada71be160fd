"""Addresses as people may see them."""

from recsys.redaction import redact
from recsys.settings import Settings


def pages_address(settings: Settings) -> str:
    """Return where people open MLflow's pages, without a password or a slash at the end; empty without a server."""
    address = redact(settings.review.mlflow_pages or settings.mlflow_uri).rstrip("/")
    return address if address.startswith("http") else ""
