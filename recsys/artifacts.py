"""Artifacts of a run: folders below one root, named by what went into them.

A stage asks for the folder of its inputs' fingerprint. If the folder is there, the stage is a skip;
otherwise it writes to a temporary name beside it and renames, so a killed stage leaves nothing that
looks finished. URIs are ``file://`` URIs; only they and small JSON pass between stages.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from recsys.errors import NotFoundError

DONE = "_done.json"


def fingerprint(*parts: object) -> str:
    """Return 16 hex digits that identify JSON-able parts (dicts in key order)."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_hash(*paths: Path) -> str:
    """Return the sha256 of the files' bytes, in the given order."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def local_path(uri: str) -> Path:
    """Return the local path of an artifact's URI.

    Raises:
        NotFoundError: if nothing is there, or the URI is not one of this store.
    """
    parsed = urlparse(uri)
    path = Path(unquote(parsed.path if parsed.scheme == "file" else uri))
    if parsed.scheme not in ("file", "") or not path.exists():
        raise NotFoundError(f"The artifact {uri} is not there; rerun the stage that makes it.")
    return path


def replace_json(path: Path, document: Mapping[str, Any]) -> Path:
    """Write a document under a temporary name and rename it: a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}")
    fresh.write_text(json.dumps(document, indent=1, sort_keys=True, default=str), encoding="utf-8")
    return fresh.replace(path)


@dataclass(frozen=True)
class Artifact:
    """A finished folder: its URI, whether it was there before, and the small facts kept with it."""

    uri: str
    reused: bool
    facts: dict[str, Any]

    @property
    def path(self) -> Path:
        """The local folder."""
        return local_path(self.uri)


class ArtifactStore:
    """The root below which a run's artifacts live."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, kind: str, name: str) -> Artifact | None:
        """Return a finished artifact, or None."""
        folder = self.root / kind / name
        done = folder / DONE
        if not done.is_file():
            return None
        return Artifact(folder.as_uri(), True, json.loads(done.read_text(encoding="utf-8")))

    def make(self, kind: str, name: str, build: Callable[[Path], dict[str, Any]]) -> Artifact:
        """Return the artifact, building it if it isn't there.

        ``build`` fills an empty folder and returns the facts to keep with it. If it raises, nothing
        is left.
        """
        found = self.find(kind, name)
        if found:
            return found
        with self.draft(kind) as draft:
            return self.adopt(draft, kind, name, build(draft))

    @contextmanager
    def draft(self, kind: str) -> Iterator[Path]:
        """Give an empty folder beside the finished ones; what isn't adopted from it is removed."""
        draft = self.root / kind / f".draft-{uuid.uuid4().hex[:12]}"
        draft.mkdir(parents=True)
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def adopt(self, draft: Path, kind: str, name: str, facts: dict[str, Any]) -> Artifact:
        """Rename a filled draft to its final name. Two makers at once are harmless: the first is kept."""
        found = self.find(kind, name)
        if found:
            return found
        folder = self.root / kind / name
        text = json.dumps(facts, indent=1, sort_keys=True, default=str)
        (draft / DONE).write_text(text, encoding="utf-8")
        try:
            draft.rename(folder)
        except OSError:
            found = self.find(kind, name)
            if found is None:
                raise
            return found
        return Artifact(folder.as_uri(), False, json.loads(text))


def facts_of(uri: str) -> dict[str, Any]:
    """Return the facts kept with a finished artifact; none if it isn't one.

    Raises:
        NotFoundError: if nothing is there.
    """
    path = local_path(uri)
    found = ArtifactStore(path.parent.parent).find(path.parent.name, path.name)
    return found.facts if isinstance(found, Artifact) else {}
