"""Keeps what was read before an erasure from being kept after it.

A home counts the erasures that began below it (``privacy/erasures``, a line each). Who reads customers notes the count
first, and asks again at the end of its work, under a lock that stays until its files have their name or its rows are
committed. An erasure counts itself under the same lock, before it looks for the customer. So what was made is either
there when the erasure looks, or never.

Homes that are caches of one object store count there, together, and have no lock in common: who keeps something there
looks at the count once more afterwards, and takes it back if it has changed. A home that finds erasures which another
one began drops everything that it has a copy of.
"""

import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock

from recsys.drafts import discard, sealed_folders, sweep
from recsys.errors import ErasedMeanwhileError
from recsys.homes import Home

_COUNTED: Final = Path("privacy") / "erasures"
_READING: ContextVar[tuple[Path, int] | None] = ContextVar("recsys_erasures_read", default=None)
_WITH_CUSTOMERS: Final = ("live", "monitoring/lists")
"""Folders below home with lists of customers, beside the artifacts."""


def count_erasure(home: Home, erasure_id: str) -> None:
    """Tell whoever is at work below a home that a customer is being erased; waits for who is just keeping something."""
    _catch_up(home)
    with _lock(home):
        name = erasure_id
        if home.store is not None:
            name = f"{erasure_id}-{uuid.uuid4().hex[:12]}"
            home.store.begin_erasure(name)
        _note(home, [name])


@contextmanager
def reading(home: Home) -> Iterator[None]:
    """Note, for everything in the block, that customers are read from now on; within another block, since that one.

    Raises:
        ErasedMeanwhileError: instead of any other error, if customers were erased meanwhile: what was read has gone.
    """
    outer = _READING.get()
    if outer is not None and outer[0] == home.path:
        yield
        return
    watch = Watch.anew(home)  # first: what another home begins to erase from here on makes this block late
    _catch_up(home)
    token = _READING.set((home.path, watch.since))
    try:
        yield
    except ErasedMeanwhileError:
        raise
    except Exception as error:
        if watch.is_late:
            raise ErasedMeanwhileError(LATE) from error
        raise
    finally:
        _READING.reset(token)


@dataclass(frozen=True)
class Watch:
    """Tells whether a customer was erased since what is at work began to read: ``since``, a count."""

    home: Home
    since: int

    @classmethod
    def of(cls, home: Home) -> "Watch":
        """Watch from when the block of :func:`reading` began that this stands in; else from now on."""
        outer = _READING.get()
        return cls(home, outer[1]) if outer is not None and outer[0] == home.path else cls.anew(home)

    @classmethod
    def anew(cls, home: Home) -> "Watch":
        """Watch from now on."""
        return cls(home, _count(home))

    @property
    def is_late(self) -> bool:
        """Whether a customer was erased meanwhile."""
        return _count(self.home) != self.since

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Let no erasure begin in the block, in which what was made gets its name or is committed.

        Raises:
            ErasedMeanwhileError: if one began before.
        """
        with _lock(self.home):
            if self.is_late:
                raise ErasedMeanwhileError(LATE)
            yield


LATE: Final = (
    "A customer was erased while this was at work, on data that still had them. Nothing of it was kept. Run it again "
    "from its snapshot on (recsys run; in Airflow, clear the run from its first task), which is without them."
)


def _count(home: Home) -> int:
    """Return what changes with every erasure."""
    if home.store is not None:
        return len(home.store.erasures())
    try:
        return (home.path / _COUNTED).stat().st_size
    except FileNotFoundError:
        return 0


def _catch_up(home: Home) -> None:
    """Drop the copies that a home has of a store's artifacts if other homes began erasures meanwhile."""
    if home.store is None:
        return
    began = home.store.erasures()
    with _lock(home):
        counted = home.path / _COUNTED
        known = counted.read_text(encoding="utf-8").split() if counted.is_file() else []
        if not began <= set(known):
            _drop_copies(home.path)
            _note(home, sorted(began - set(known)))


def _drop_copies(home: Path) -> None:
    for folder in sealed_folders(home):
        discard(folder)
    for place in (home / name for name in _WITH_CUSTOMERS):
        sweep(place)
        for path in [path for path in place.glob("*") if not path.name.startswith(".")]:
            if path.is_dir():
                discard(path)
            else:
                path.unlink(missing_ok=True)


def _note(home: Home, names: Collection[str]) -> None:
    with (home.path / _COUNTED).open("a", encoding="utf-8") as file:
        file.writelines(f"{name}\n" for name in names)


def _lock(home: Home) -> FileLock:
    path = home.path / _COUNTED.with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)
