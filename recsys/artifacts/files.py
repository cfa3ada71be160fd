"""Writing files so that no reader sees them half, and what to say when there is no room for them."""

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recsys.drafts import drafted, sweep
from recsys.errors import DiskFullError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def replace_json(path: Path, document: Mapping[str, Any]) -> Path:
    """Write a document beside its place and move it there: a reader sees the old one or the new one.

    What a killed process left beside it is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    with drafted(path.parent) as draft:
        fresh = draft / path.name
        fresh.write_text(json.dumps(document, indent=1, sort_keys=True, default=str), encoding="utf-8")
        return fresh.replace(path)


@contextmanager
def room_on_disk(folder: Path) -> Iterator[None]:
    """Tell a person what to do if the block finds no room for a file.

    Args:
        folder: below which the block writes; each file under a name that no reader knows yet.

    Raises:
        DiskFullError: if the disk, a quota or the largest size of a file is at its end.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise DiskFullError(
            f"There is no room for a file below {folder} ({os.strerror(error.errno)}). Free some space there, or raise "
            "the quota or limit that this process has, and run it again; nothing was half-written."
        ) from error
