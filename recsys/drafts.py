"""Folders below home: drafts, which are being filled and go with the process that does, beside finished ones."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from recsys.objects import SEAL

DRAFT: Final = ".draft-"


@contextmanager
def drafted(place: Path) -> Iterator[Path]:
    """Give an empty folder; what is left of it when the block ends is removed."""
    draft = place / f"{DRAFT}{uuid.uuid4().hex[:12]}"
    # The kernel drops the lock of a killed process: that tells its drafts from those that are being filled.
    with FileLock(_lock_of(draft)):
        try:
            draft.mkdir()
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            _lock_of(draft).unlink(missing_ok=True)


def discard(folder: Path) -> None:
    """Remove a folder that isn't whole, out of the way first, so that none sees it half."""
    aside = folder.with_name(f"{DRAFT}{uuid.uuid4().hex[:12]}")
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return  # another maker did
    shutil.rmtree(aside, ignore_errors=True)


def sweep(place: Path) -> None:
    """Remove the drafts of processes that are no more. A draft's lock is there before it, and goes after it."""
    for draft in {path.with_name(path.name.removesuffix(".lock")) for path in place.glob(f"{DRAFT}*")}:
        lock = _lock_of(draft)
        try:
            with FileLock(lock, timeout=0):
                shutil.rmtree(draft, ignore_errors=True)
                lock.unlink(missing_ok=True)
        except Timeout:
            continue


def folders_in(place: Path) -> list[Path]:
    """Return the folders of a place that are no drafts, in the order of their names."""
    return sorted(path for path in place.glob("*") if path.is_dir() and not path.name.startswith("."))


def sealed_folders(home: Path) -> list[Path]:
    """Return the finished folders of all kinds."""
    return [seal.parent for seal in home.glob(f"*/*/{SEAL}") if not seal.parent.name.startswith(".")]


def _lock_of(draft: Path) -> Path:
    return draft.with_name(f"{draft.name}.lock")
