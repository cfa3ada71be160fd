"""Keeps secrets out of what people read: logs, parameters, messages."""

import re
from urllib.parse import parse_qsl, unquote, urlsplit

_SECRET = re.compile(r"pass|secret|token|key", re.IGNORECASE)
_LOGIN = re.compile(r"(?<=://)[^\s/@]+@")
_OPTION = re.compile(r"(?i)\b(\w*(?:pass|secret|token)\w*)=[^\s&'\"]+")


def redact(uri: str) -> str:
    """Return a URI without user name, password and query, for logs, parameters and messages."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return uri
    authority, slash, path = rest.partition("?")[0].partition("#")[0].partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def redact_text(text: str) -> str:
    """Return a text, such as a driver's message, without the log-ins of addresses and without passwords in options."""
    return _OPTION.sub(r"\1=***", _LOGIN.sub("", text))


def is_secret_name(name: str) -> bool:
    """Tell whether what goes by a name is to be kept from sight."""
    return bool(_SECRET.search(name))


def secrets_in(uri: str) -> list[str]:
    """Return the password and what else is secret in a URI, as it is written there and as it is meant."""
    try:
        parsed = urlsplit(uri)
    except ValueError:
        return []
    login = parsed.netloc.rpartition("@")[0]
    found = [login.partition(":")[2], *(value for name, value in parse_qsl(parsed.query) if is_secret_name(name))]
    return sorted({form for secret in found if secret for form in (secret, unquote(secret))})
