"""Writes the skeleton of a new source."""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from recsys.assets import sql_path
from recsys.errors import SettingsError
from recsys.load.source import SOURCE_FILE

_PLACEHOLDER: Final = "NAME"
_NAME: Final = re.compile(r"^[a-z][a-z0-9_]{0,40}$")


def init_source(name: str, target: Path = Path("sql", "staging")) -> Path:
    """Write a commented skeleton of a source, which loads as soon as its file and column names are edited.

    Args:
        name: of the new source.
        target: the folder of the sources.

    Returns:
        The new folder, ``target/name``.

    Raises:
        SettingsError: if the name can't be used, is that of a shipped source, or the folder is there already.
    """
    if not _NAME.match(name):
        raise SettingsError(
            f"{name!r} can't be a source's name: it begins with a lower-case letter, followed by at most 40 "
            "lower-case letters, digits and underscores."
        )
    folder = target / name
    if folder.exists():
        raise SettingsError(f"{folder} is there already; nothing was written. Choose another name, or remove it.")
    if (sql_path("staging", name) / SOURCE_FILE).is_file():
        raise SettingsError(f"{name!r} is a source that is shipped; choose another name.")
    try:
        target.mkdir(parents=True, exist_ok=True)
        _write(name, folder)
    except OSError as error:
        raise SettingsError(f"{folder} can't be written: {error}.") from error
    return folder


def _write(name: str, folder: Path) -> None:
    """Write all files to a temporary folder first: a half-written skeleton would block the next try."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}.") as scratch:
        fresh = Path(scratch) / name
        shutil.copytree(sql_path("staging", "_skeleton"), fresh, copy_function=shutil.copyfile)
        for path in fresh.iterdir():
            path.write_text(path.read_text(encoding="utf-8").replace(_PLACEHOLDER, name), encoding="utf-8")
        fresh.rename(folder)
