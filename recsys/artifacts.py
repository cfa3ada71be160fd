"""Artifacts of a run: folders below one root, named by what went into them.

A stage asks for the folder of its inputs' fingerprint. If the folder is there, the stage is a skip;
otherwise it writes to a temporary name beside it and renames, so a killed stage leaves nothing that
looks finished. What a killed stage began is removed by the next one that makes something of that kind.
URIs are ``file://`` URIs; only they and small JSON pass between stages.

A finished folder carries a seal: the facts about it, and the size and SHA-256 of every file. Whoever opens an artifact
checks it first; one that was altered is refused, and made anew by the stage that makes it. A process reads each file
for that once (about 1 GB/s), however many stages it runs.
"""

import errno
import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import unquote, urlparse

from filelock import FileLock, Timeout

from recsys import erasures
from recsys.errors import AlteredError, DiskFullError, NotFoundError, SettingsError
from recsys.settings import Settings

Given = ParamSpec("Given")
Result = TypeVar("Result")
LOG = logging.getLogger(__name__)
DONE = "_done.json"
DRAFT = ".draft-"
_MADE_FROM_SHOP = ("snapshot", "features", "candidates", "ranking_set", "rankers", "evaluation")
_MADE_FOR_PUBLISHING = ("champions", "models", "state", "lists")
URIS = frozenset((*_MADE_FROM_SHOP, *_MADE_FOR_PUBLISHING))
"""Parameters of stages that hold URIs of artifacts."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
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


def local_path(uri: str) -> Path:
    """Return the local path of an artifact's URI, unchecked; see :func:`open_artifact`.

    Raises:
        NotFoundError: if nothing is there, or the URI is not one of this store.
    """
    parsed = urlparse(uri)
    path = Path(unquote(parsed.path if parsed.scheme == "file" else uri))
    if parsed.scheme not in ("file", "") or not path.exists():
        raise NotFoundError(f"The artifact {uri} is not there; rerun the stage that makes it.")
    return path


def within_home(
    stage: Callable[Concatenate[Settings, Given], Result],
) -> Callable[Concatenate[Settings, Given], Result]:
    """Let a stage refuse URIs that point outside of ``RECSYS_HOME``: they came through a run's parameters or XCom.

    Links and ``..`` are followed first. What is looked at are the parameters named in ``URIS``, and what is in them.

    Raises:
        SettingsError: naming the parameter and the URI; the stage has not begun then.
    """

    @wraps(stage)
    def confined(settings: Settings, /, *args: Given.args, **given: Given.kwargs) -> Result:
        root = settings.resolved_home
        for name in given.keys() & URIS:
            for uri in _uris_in(given[name]):
                _require_below(root, name, uri)
        with erasures.reading(root):
            return stage(settings, *args, **given)

    return confined


def _uris_in(value: object) -> Iterator[str]:
    """Give the texts of a parameter that can be a path; names and versions have no slash."""
    if isinstance(value, str):
        if "/" in value or value in ("", ".", ".."):
            yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _uris_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _uris_in(one)


def _require_below(root: Path, name: str, uri: str) -> None:
    parsed = urlparse(uri)
    path = Path(unquote(parsed.path if parsed.scheme == "file" else uri))
    is_ours = parsed.scheme in ("file", "") and not parsed.netloc and path.is_absolute() and "\0" not in str(path)
    if not is_ours or not path.resolve().is_relative_to(root):
        raise SettingsError(
            f"{name} is {uri[:200]!r}, which is no artifact below {root}: stages read what stages made there, and "
            "nothing else. Pass on what the stage before gave, or set RECSYS_HOME to where it was made."
        )


def replace_json(path: Path, document: Mapping[str, Any]) -> Path:
    """Write a document under a temporary name and rename it: a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}")
    try:
        fresh.write_text(json.dumps(document, indent=1, sort_keys=True, default=str), encoding="utf-8")
        return fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


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


def open_artifact(uri: str, *, only: str | None = None) -> Path:
    """Return the local folder of a finished artifact whose files are those that its stage wrote.

    Args:
        uri: of the folder.
        only: check the seal and this file alone, for a reader that checks the others by itself.

    Raises:
        NotFoundError: if nothing is there.
        AlteredError: if a file is missing or not what was written, or the seal is.
    """
    path = local_path(uri)
    _unsealed(path, only)
    return path


def facts_of(uri: str) -> dict[str, Any]:
    """Return the facts kept with a finished artifact.

    Raises:
        NotFoundError: if nothing is there.
        AlteredError: as by :func:`open_artifact`.
    """
    return _unsealed(local_path(uri))


def check_file(path: Path, expected: str) -> Path:
    """Return the path of a file whose sha256 is as expected.

    Raises:
        AlteredError: if it is missing or has other content.
    """
    if not path.is_file():
        raise AlteredError(f"{path} is missing from its artifact; rerun the stage that makes it.")
    if content_hash(path) != expected:
        raise AlteredError(
            f"{path} is not what its stage wrote (SHA-256 {content_hash(path)[:12]} instead of {expected[:12]}): it "
            "was altered or damaged since. Nothing was made of it; rerun the stage that makes it, which replaces it."
        )
    return path


def _seal(folder: Path, facts: Mapping[str, Any]) -> str:
    """Return the text of a folder's seal."""
    files = {str(path.relative_to(folder)): content_hash(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    kept = json.loads(json.dumps(facts, default=str))
    return json.dumps({"facts": kept, "files": files, "seal": fingerprint(kept, files)}, indent=1, sort_keys=True)


def _unsealed(folder: Path, only: str | None = None) -> dict[str, Any]:
    """Check a folder against its seal, and return the facts in it."""
    done = folder / DONE
    try:
        raw = json.loads(done.read_text(encoding="utf-8"))
        facts, files, seal = raw["facts"], raw["files"], raw["seal"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AlteredError(
            f"{done} is missing, damaged or of an earlier version ({type(error).__name__}), so nothing says whether "
            f"the files of {folder} are whole; rerun the stage that makes it."
        ) from error
    if fingerprint(facts, files) != seal:
        raise AlteredError(f"{done} was altered; rerun the stage that makes {folder}.")
    for name in files if only is None else (only,):
        check_file(folder / name, files.get(name, ""))
    return dict(facts)


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

    def link(self, folder: Path) -> None:
        """Put the same files into a folder, for an artifact that has this one as a part; the bytes are there once."""
        sealed = shutil.ignore_patterns(DONE)
        shutil.copytree(self.path, folder, copy_function=os.link, ignore=sealed, dirs_exist_ok=True)


class ArtifactStore:
    """The root below which a run's artifacts live."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, kind: str, name: str) -> Artifact | None:
        """Return a finished artifact whose files are as they were written, or None."""
        folder = self.root / kind / name
        if not (folder / DONE).is_file():
            return None
        try:
            return Artifact(folder.as_uri(), True, _unsealed(folder))
        except AlteredError as error:
            LOG.warning("%s It is made anew.", error)
            return None

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
        """Give an empty folder beside the finished ones; what isn't adopted from it is removed.

        Drafts of processes that ended before they could remove them go as well.

        Raises:
            DiskFullError: if there is no room for what the block writes.
        """
        place = self.root / kind
        draft = place / f"{DRAFT}{uuid.uuid4().hex[:12]}"
        with room_on_disk(place):
            place.mkdir(parents=True, exist_ok=True)
            _sweep(place)
            # The kernel drops the lock of a killed process: that tells its drafts from those that are being filled.
            with erasures.reading(self.root), FileLock(_lock_of(draft)):
                try:
                    draft.mkdir()
                    yield draft
                finally:
                    shutil.rmtree(draft, ignore_errors=True)
                    _lock_of(draft).unlink(missing_ok=True)

    def adopt(self, draft: Path, kind: str, name: str, facts: dict[str, Any]) -> Artifact:
        """Rename a filled draft to its final name. Two makers at once are harmless: the first is kept.

        Raises:
            ErasedMeanwhileError: if a customer was erased since the draft, or the stage, was begun.
        """
        folder = self.root / kind / name
        text = _seal(draft, facts)
        (draft / DONE).write_text(text, encoding="utf-8")
        with erasures.Watch.of(self.root).keeping():
            was_there = folder.exists()  # asked first: what another maker puts there meanwhile is whole
            found = self.find(kind, name)
            if found:
                return found
            if was_there:
                _discard(folder)
            try:
                draft.rename(folder)
            except OSError:
                found = self.find(kind, name)
                if found is None:
                    raise
                return found
        return Artifact(folder.as_uri(), False, json.loads(text)["facts"])

    def discard(self, kind: str, name: str) -> None:
        """Delete an artifact; nothing happens if it isn't there."""
        _discard(self.root / kind / name)

    def sweep(self, kind: str) -> None:
        """Delete what ended processes began of a kind."""
        if (self.root / kind).is_dir():
            _sweep(self.root / kind)

    def rewrite(self, kind: str, name: str, change: Callable[[Path], None]) -> None:
        """Change a finished artifact's files and seal it anew, whole or not at all: for erasure alone.

        Args:
            kind: of the artifact.
            name: of the artifact.
            change: is given a copy to change.

        Raises:
            AlteredError: if the artifact isn't what its stage wrote.
        """
        folder = self.root / kind / name
        facts = _unsealed(folder)
        with self.draft(kind) as draft:
            shutil.copytree(folder, draft, dirs_exist_ok=True)
            (draft / DONE).unlink()
            change(draft)
            (draft / DONE).write_text(_seal(draft, facts), encoding="utf-8")
            _discard(folder)
            draft.rename(folder)


def _discard(folder: Path) -> None:
    """Remove a folder that isn't whole, out of the way first, so that none sees it half."""
    aside = folder.with_name(f"{DRAFT}{uuid.uuid4().hex[:12]}")
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return  # another maker did
    shutil.rmtree(aside, ignore_errors=True)


def _lock_of(draft: Path) -> Path:
    return draft.with_name(f"{draft.name}.lock")


def _sweep(place: Path) -> None:
    """Remove the drafts of processes that are no more. A draft's lock is there before it, and goes after it."""
    for draft in {path.with_name(path.name.removesuffix(".lock")) for path in place.glob(f"{DRAFT}*")}:
        lock = _lock_of(draft)
        try:
            with FileLock(lock, timeout=0):
                shutil.rmtree(draft, ignore_errors=True)
                lock.unlink(missing_ok=True)
        except Timeout:
            continue
