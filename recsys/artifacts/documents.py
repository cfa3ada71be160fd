"""Small JSON files below home that workers share: where there is an object store, through it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys.artifacts.files import replace_json
from recsys.homes import Home


def write_document(home: Home, path: Path, document: Mapping[str, Any]) -> Path:
    """Replace a document below home, and in the store if there is one."""
    return share_document(home, replace_json(path, document))


def share_document(home: Home, path: Path) -> Path:
    """Put a document that was written below home into the store if there is one; return its path."""
    if home.store is not None:
        home.store.put_document(_name(home, path), path.read_text(encoding="utf-8"))
    return path


def read_document(home: Home, path: Path) -> dict[str, Any] | None:
    """Return a document, with a store the one there; None if there is none."""
    if home.store is not None:
        text = home.store.document(_name(home, path))
    else:
        text = path.read_text(encoding="utf-8") if path.is_file() else None
    return None if text is None else dict(json.loads(text))


def read_documents(home: Home, folder: Path) -> list[dict[str, Any]]:
    """Return the documents of a folder below home, with a store those there."""
    if home.store is not None:
        texts = home.store.documents(_name(home, folder))
    else:
        texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.json"))]
    return [json.loads(text) for text in texts]


def _name(home: Home, path: Path) -> str:
    return path.relative_to(home.path).as_posix()
