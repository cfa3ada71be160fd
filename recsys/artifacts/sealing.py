"""Seals: the facts about an artifact, and the size and SHA-256 of each of its files."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from recsys.errors import AlteredError
from recsys.objects import SEAL

DONE = SEAL
_HASHES: dict[tuple[int, ...], str] = {}  # by what changes with every write to a file, but not with its name


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


def content_hash(path: Path) -> str:
    """Return the sha256 of a file's bytes, read once a process as long as nobody writes to the file."""
    stat = path.stat()
    key = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    if key not in _HASHES:
        _HASHES[key] = file_hash(path)
    return _HASHES[key]


def check_file(path: Path, expected: str) -> Path:
    """Return the path of a file whose sha256 is as expected.

    Raises:
        AlteredError: if it is missing or has other content.
    """
    _require(str(path), content_hash(path) if path.is_file() else None, expected)
    return path


def check_text(text: str | None, where: str, expected: str) -> str:
    """Return the text of a file whose sha256 is as expected; None is that of one that is missing.

    Raises:
        AlteredError: as by :func:`check_file`.
    """
    _require(where, None if text is None else hashlib.sha256(text.encode()).hexdigest(), expected)
    return text or ""


def _require(where: str, found: str | None, expected: str) -> None:
    if found is None:
        raise AlteredError(f"{where} is missing from its artifact; rerun the stage that makes it.")
    if found != expected:
        raise AlteredError(
            f"{where} is not what its stage wrote (SHA-256 {found[:12]} instead of {expected[:12]}): it was altered or "
            "damaged since. Nothing was made of it; rerun the stage that makes it, which replaces it."
        )


@dataclass(frozen=True)
class Seal:
    """What a seal says.

    Attributes:
        facts: about the artifact.
        files: the SHA-256 of each, by its path in the folder.
        name: a hash of both.
    """

    facts: dict[str, Any]
    files: dict[str, str]
    name: str

    @classmethod
    def of(cls, folder: Path, facts: Mapping[str, Any]) -> "Seal":
        """Return the seal of a filled folder."""
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = {path.relative_to(folder).as_posix(): content_hash(path) for path in paths}
        kept = json.loads(json.dumps(facts, default=str))
        return cls(kept, files, fingerprint(kept, files))

    @classmethod
    def read(cls, text: str, where: str) -> "Seal":
        """Return the seal that a text is.

        Raises:
            AlteredError: if it is none, or not as it was written; ``where`` says whose.
        """
        try:
            raw = json.loads(text)
            found = cls(dict(raw["facts"]), dict(raw["files"]), raw["seal"])
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(where, error) from error
        leaves = any(PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts for file in found.files)
        if leaves or fingerprint(found.facts, found.files) != found.name:
            raise AlteredError(f"{where}/{DONE} was altered; rerun the stage that makes {where}.")
        return found

    @property
    def text(self) -> str:
        """The seal as it is written."""
        return json.dumps({"facts": self.facts, "files": self.files, "seal": self.name}, indent=1, sort_keys=True)


def unsealed(folder: Path, only: str | None = None) -> Seal:
    """Check a folder against its seal, or one of its files alone, and return the seal.

    Raises:
        AlteredError: if a file is missing or not what was written, or the seal is.
    """
    try:
        text = (folder / DONE).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _unreadable(str(folder), error) from error
    seal = Seal.read(text, str(folder))
    for name in seal.files if only is None else (only,):
        check_file(folder / name, seal.files.get(name, ""))
    return seal


def _unreadable(where: str, error: Exception) -> AlteredError:
    return AlteredError(
        f"{where}/{DONE} is missing, damaged or of an earlier version ({type(error).__name__}), so nothing says "
        f"whether the files of {where} are whole; rerun the stage that makes it."
    )
