"""Artifacts that a test changes: on purpose and sealed again, or as damage that has to be noticed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from recsys.artifacts import DONE, ArtifactStore, facts_of


def changed_copy(source: Path, root: Path, change: Callable[[Path], None]) -> str:
    """Copy an artifact below another root, change its files there, and seal it; return the URI."""

    def build(target: Path) -> dict[str, object]:
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(DONE))
        change(target)
        return facts_of(source.as_uri())

    return ArtifactStore(root).make(source.parent.name, source.name, build).uri


def damage(path: Path) -> None:
    """Flip one bit in the middle of a file, and leave its size and its time as they were."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
