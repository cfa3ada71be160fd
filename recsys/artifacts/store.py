"""Finished folders by kind and name, and their URIs."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlparse

from filelock import FileLock

from recsys import erasures
from recsys.artifacts.files import room_on_disk
from recsys.artifacts.sealing import DONE, Seal, check_text, unsealed
from recsys.drafts import discard, drafted, folders_in, sweep
from recsys.errors import AlteredError, ErasedMeanwhileError, NotFoundError
from recsys.homes import Home, cached
from recsys.objects import ObjectStore
from recsys.settings import Settings

LOG = logging.getLogger(__name__)
_BARE = "is_bare"
"""The fact that says of a folder that no seal stands in it, since its name tells by itself what is in it."""


def local_path(uri: str) -> Path:
    """Return the local path of an artifact's URI, unchecked; see :func:`open_artifact`. It is brought if need be.

    Raises:
        NotFoundError: if nothing is there, or the URI is not one of this store.
        AlteredError: if what the object store has is not what was made.
    """
    parsed = urlparse(uri)
    if parsed.scheme == "s3":
        home, inside = cached(uri)
        return ArtifactStore(home.path, home.store).bring(inside)
    path = Path(unquote(parsed.path if parsed.scheme == "file" else uri))
    if parsed.scheme not in ("file", "") or not path.exists():
        raise NotFoundError(f"The artifact {uri} is not there; rerun the stage that makes it.")
    return path


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
    unsealed(path, only)
    return path


def facts_of(uri: str) -> dict[str, Any]:
    """Return the facts kept with a finished artifact.

    Raises:
        NotFoundError: if nothing is there.
        AlteredError: as by :func:`open_artifact`.
    """
    return unsealed(local_path(uri)).facts


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
    """The root below which a run's artifacts live, and the object store whose copies they are, if there is one."""

    def __init__(self, root: Path, store: ObjectStore | None = None) -> None:
        self.root = root
        self.store = store
        self._home = Home(root, store)

    @classmethod
    def of(cls, settings: Settings) -> "ArtifactStore":
        """Return the settings' own."""
        home = Home.of(settings)
        return cls(home.path, home.store)

    def find(self, kind: str, name: str) -> Artifact | None:
        """Return a finished artifact whose files are as they were written, or None."""
        folder = self.root / kind / name
        try:
            if not self._is_there(kind, name):
                return None
            return Artifact(self._home.uri_of(folder), True, unsealed(folder).facts)
        except AlteredError as error:
            LOG.warning("%s It is made anew.", error)
            return None

    def made(self, kind: str) -> dict[str, float]:
        """Return when the finished artifacts of a kind were, in seconds since 1970, by their names."""
        if self.store is not None:
            return self.store.made(kind)
        seals = (folder / DONE for folder in folders_in(self.root / kind))
        return {seal.parent.name: seal.stat().st_mtime for seal in seals if seal.is_file()}

    def names(self, kind: str) -> list[str]:
        """Return the names of the artifacts of a kind, also of those that are not whole."""
        return sorted({folder.name for folder in folders_in(self.root / kind)} | self.made(kind).keys())

    def folders(self, kind: str) -> list[Path]:
        """Return the local folders of all artifacts of a kind; those of an object store are brought.

        Raises:
            AlteredError: if one in the object store is not what was made.
        """
        for name in self.made(kind) if self.store is not None else ():
            self._is_there(kind, name)
        return folders_in(self.root / kind)

    def read(self, kind: str, name: str, file: str) -> str:
        """Return the text of one of a finished artifact's files, without bringing the others.

        Raises:
            NotFoundError: if there is no such artifact.
            AlteredError: if the file is missing or not what was written.
        """
        folder = self.root / kind / name
        if self.store is None or (folder / DONE).is_file():
            return (open_artifact(folder.as_uri(), only=file) / file).read_text(encoding="utf-8")
        where, text = self._home.uri_of(folder), self.store.seal_of(kind, name)
        if text is None:
            raise NotFoundError(f"The artifact {where} is not there; rerun the stage that makes it.")
        seal = Seal.read(text, where)
        return check_text(
            self.store.read_file(kind, name, seal.name, file), f"{where}/{file}", seal.files.get(file, "")
        )

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

        Drafts of processes that ended before they could remove them go as well, and copies of what the object store
        doesn't have any more.

        Raises:
            DiskFullError: if there is no room for what the block writes.
        """
        place = self.root / kind
        with room_on_disk(place):
            place.mkdir(parents=True, exist_ok=True)
            self.sweep(kind)
            with erasures.reading(self._home), drafted(place) as draft:
                yield draft

    def adopt(self, draft: Path, kind: str, name: str, facts: dict[str, Any]) -> Artifact:
        """Rename a filled draft to its final name. Two makers at once are harmless: the first is kept.

        Raises:
            ErasedMeanwhileError: if a customer was erased since the draft, or the stage, was begun.
        """
        seal = Seal.of(draft, facts)
        (draft / DONE).write_text(seal.text, encoding="utf-8")
        watch = erasures.Watch.of(self._home)
        if self.store is None:
            with watch.keeping():
                found = self._named(draft, kind, name)
        else:
            found = self._shared(self.store, watch, draft, kind, name, seal)
        return found or Artifact(self._home.uri_of(self.root / kind / name), False, seal.facts)

    def keep_bare(self, folder: Path, kind: str, name: str) -> None:
        """Upload a folder that gets no seal, since its name tells what is in it; without an object store do nothing."""
        if self.store is not None and self.store.seal_of(kind, name) is None:
            seal = Seal.of(folder, {_BARE: True})
            self.store.upload(folder, kind, name, seal.name, seal.files)
            self.store.finish(kind, name, seal.text)

    def discard(self, kind: str, name: str) -> None:
        """Delete an artifact; nothing happens if it isn't there."""
        if self.store is not None:
            self.store.remove(kind, name)
        discard(self.root / kind / name)

    def sweep(self, kind: str) -> None:
        """Delete what ended processes began of a kind, and copies of what the object store doesn't have any more."""
        place = self.root / kind
        sweep(place)
        # Looked for before the store is asked: what gets its name here meanwhile has one there.
        copies = [folder for folder in folders_in(place) if (folder / DONE).is_file()]
        if self.store is not None and copies:
            there = self.store.made(kind)
            for folder in copies:
                if folder.name not in there:
                    discard(folder)

    def rewrite(self, kind: str, name: str, change: Callable[[Path], None]) -> None:
        """Change a finished artifact's files and seal it anew, whole or not at all: for erasure alone.

        Args:
            kind: of the artifact.
            name: of the artifact, which is here.
            change: is given a copy to change.

        Raises:
            AlteredError: if the artifact isn't what its stage wrote.
        """
        folder = self.root / kind / name
        before = unsealed(folder)
        with self.draft(kind) as draft:
            shutil.copytree(folder, draft, dirs_exist_ok=True)
            (draft / DONE).unlink()
            change(draft)
            seal = Seal.of(draft, before.facts)
            (draft / DONE).write_text(seal.text, encoding="utf-8")
            if self.store is not None:
                self.store.upload(draft, kind, name, seal.name, seal.files)
                self.store.finish(kind, name, seal.text)
                if seal.name != before.name:
                    self.store.remove_files(kind, name, before.name)
            discard(folder)
            draft.rename(folder)

    def bring(self, inside: PurePosixPath) -> Path:
        """Return a path below this root; the artifact that it is, or is in, is brought if it isn't here.

        Raises:
            NotFoundError: if the object store has none.
            AlteredError: if what it has is not what was made.
        """
        path, parts = self.root / inside, inside.parts
        for depth in range(1, len(parts)):  # snapshots/<id>, models/<model>/<version>
            if not path.exists():
                self._is_there("/".join(parts[:depth]), parts[depth])
        if not path.exists():
            raise NotFoundError(f"The artifact {self._home.uri_of(path)} is not there; rerun the stage that makes it.")
        return path

    def _is_there(self, kind: str, name: str) -> bool:
        """Tell whether an artifact is finished; where an object store says so, there is a copy here afterwards."""
        folder = self.root / kind / name
        if self.store is None:
            return (folder / DONE).is_file()
        text = self.store.seal_of(kind, name)
        if text is None:
            if (folder / DONE).is_file():
                discard(folder)  # a copy of what was deleted there
            return False
        seal = Seal.read(text, self._home.uri_of(folder))
        if not _is_copy(folder, seal):
            self._fetch(self.store, kind, name, seal)
        return True

    def _fetch(self, store: ObjectStore, kind: str, name: str, seal: Seal) -> None:
        folder = self.root / kind / name
        uri, lock = self._home.uri_of(folder), folder.with_name(f".{name}.fetched")
        with self.draft(kind) as draft, FileLock(lock):
            if _is_copy(folder, seal):
                return  # another process brought it
            try:
                store.download(draft, kind, name, seal.name, seal.files)
                (draft / DONE).write_text(seal.text, encoding="utf-8")
                unsealed(draft)
            except FileNotFoundError as error:
                raise AlteredError(f"A file of {uri} is missing; rerun the stage that makes it.") from error
            except AlteredError as error:
                raise AlteredError(str(error).replace(str(draft), uri)) from error
            if _BARE in seal.facts:
                (draft / DONE).unlink()
            with erasures.Watch.of(self._home).keeping():
                discard(folder)
                draft.rename(folder)
            lock.unlink(missing_ok=True)

    def _named(self, draft: Path, kind: str, name: str) -> Artifact | None:
        """Rename a draft; return the artifact of another maker instead if that was first."""
        folder = self.root / kind / name
        was_there = folder.exists()  # asked first: what another maker puts there meanwhile is whole
        found = self.find(kind, name)
        if found:
            return found
        if was_there:
            discard(folder)
        try:
            draft.rename(folder)
        except OSError:
            found = self.find(kind, name)
            if found is None:
                raise
        return found

    def _shared(
        self, store: ObjectStore, watch: erasures.Watch, draft: Path, kind: str, name: str, seal: Seal
    ) -> Artifact | None:
        """Upload a draft, and rename it; return the artifact of another maker instead if that was first."""
        folder, found = self.root / kind / name, self.find(kind, name)
        if found:
            return found
        store.upload(draft, kind, name, seal.name, seal.files)
        try:
            with watch.keeping():
                there = store.seal_of(kind, name)
                if there is not None and _is_sealed_by(folder, there):
                    return Artifact(self._home.uri_of(folder), True, unsealed(folder).facts)
                store.finish(kind, name, seal.text)
                if watch.is_late:
                    raise ErasedMeanwhileError(erasures.LATE)
                discard(folder)
                draft.rename(folder)
        except ErasedMeanwhileError:
            store.remove(kind, name)
            raise
        return None


def _is_copy(folder: Path, seal: Seal) -> bool:
    """Tell whether a folder is what a seal says."""
    return folder.is_dir() if _BARE in seal.facts else _is_sealed_by(folder, seal.text)


def _is_sealed_by(folder: Path, text: str) -> bool:
    try:
        return unsealed(folder).text == text
    except AlteredError:
        return False
