"""Addresses as people may see them."""

from recsys.settings import Settings


def redact(uri: str) -> str:
    """Return a URI without user name, password and query, for logs, parameters and messages."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return uri
    authority, slash, path = rest.partition("?")[0].partition("#")[0].partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def pages_address(settings: Settings) -> str:
    """Return where people open MLflow's pages, without a password or a slash at the end; empty without a server."""
    address = redact(settings.review.mlflow_pages or settings.mlflow_uri).rstrip("/")
    return address if address.startswith("http") else ""
