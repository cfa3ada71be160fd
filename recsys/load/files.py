"""Raw files: where they are, what they contain, what columns they have."""

import csv
import gzip
import hashlib
from pathlib import Path
from typing import Final

from recsys.errors import SourceError
from recsys.load.source import SOURCE_FILE, Source

_TEXT_ENDINGS: Final = (".csv", ".tsv", ".txt", ".csv.gz")
_PARQUET: Final = ".parquet"


def locate(source: Source, names: list[str], data_dir: Path | None) -> dict[str, list[Path]]:
    """Return the files of each raw table.

    Args:
        source: the source.
        names: its raw tables that are wanted.
        data_dir: a folder instead of the source's own; or one file, for a source with one raw table.

    Raises:
        SourceError: if a file is missing or of an unknown kind.
    """
    if data_dir is not None and data_dir.is_file():
        if len(names) != 1:
            raise SourceError(f"{data_dir} is one file, but {source.name!r} has {len(names)} tables: give a folder.")
        return {names[0]: [_checked(data_dir)]}
    folder = data_dir or source.data_folder()
    return {name: _find(source, name, folder) for name in names}


def _find(source: Source, name: str, folder: Path) -> list[Path]:
    table = source.file.tables[name]
    found = sorted(path for path in folder.glob(table.file) if path.is_file()) if folder.is_dir() else []
    if not found and not table.optional:
        there = sorted(path.name for path in folder.iterdir())[:12] if folder.is_dir() else []
        state = f"it holds {', '.join(there) or 'nothing'}" if folder.is_dir() else "there is no such folder"
        raise SourceError(
            f"No file {table.file!r} for the raw table {name!r} in {folder} ({state}). Put it there, "
            f"name another place with --data, or correct file in {source.path / SOURCE_FILE}."
        )
    return [_checked(path) for path in found]


def _checked(path: Path) -> Path:
    if not path.name.lower().endswith((*_TEXT_ENDINGS, _PARQUET)):
        raise SourceError(f"{path} is neither CSV nor Parquet (by its ending .csv, .tsv, .txt, .csv.gz, .parquet).")
    return path


def fingerprint(data: dict[str, list[Path]]) -> str:
    """Return a hash of the files' contents."""
    digest = hashlib.sha256()
    for name in sorted(data):
        for path in data[name]:
            with path.open("rb") as stream:
                digest.update(f"{name}:{hashlib.file_digest(stream, 'sha256').hexdigest()};".encode())
    return digest.hexdigest()


def is_parquet(path: Path) -> bool:
    """Say whether a file is Parquet, by its ending."""
    return path.name.lower().endswith(_PARQUET)


def csv_headers(path: Path, delimiter: str, encoding: str) -> list[str]:
    """Return the names in the first line of a CSV file.

    Raises:
        SourceError: if the file can't be read as text of that encoding.
    """
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as stream:
            return [header.strip() for header in next(csv.reader(stream, delimiter=delimiter), [])]
    except (OSError, UnicodeError, csv.Error) as error:
        raise SourceError(f"{path} can't be read as {encoding} text: {error}. Is its encoding another one?") from error


def check_columns(source: Source, name: str, path: Path, found: list[str]) -> None:
    """Check that a file has the columns that its raw table needs.

    Raises:
        SourceError: naming the file, the columns it lacks and those it has.
    """
    wanted = [spec.header or column for column, spec in source.file.tables[name].columns.items()]
    missing = [column for column in wanted if column not in found]
    if missing:
        raise SourceError(
            f"{path} has no column {', '.join(map(repr, missing))}, which the raw table {name!r} needs. "
            f"It has: {', '.join(found) or 'no line at all'}. Correct the file, or tables.{name}.columns in "
            f"{source.path / SOURCE_FILE}."
        )
