"""JSON as it is stored: keys in order, so that equal documents have equal bytes."""

import json
from typing import Any


def to_json(document: dict[str, Any]) -> str:
    """Return a document as one line of JSON."""
    return json.dumps(document, sort_keys=True)
