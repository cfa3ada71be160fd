"""Keeps what was read before an erasure from being kept after it.

A home counts the erasures that began below it (``privacy/erasures``, a line each). Who reads customers notes the count
first, and asks again at the end of its work, under a lock that stays until its files have their name or its rows are
committed. An erasure counts itself under the same lock, before it looks for the customer. So what was made is either
there when the erasure looks, or never.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock

from recsys.errors import ErasedMeanwhileError

_COUNTED: Final = Path("privacy") / "erasures"
_READING: ContextVar[tuple[Path, int] | None] = ContextVar("recsys_erasures_read", default=None)


def count_erasure(home: Path, erasure_id: str) -> None:
    """Tell whoever is at work below a home that a customer is being erased; waits for who is just keeping something."""
    (home / _COUNTED).parent.mkdir(parents=True, exist_ok=True)
    with _lock(home), (home / _COUNTED).open("a", encoding="utf-8") as file:
        file.write(f"{erasure_id}\n")


@contextmanager
def reading(home: Path) -> Iterator[None]:
    """Note, for everything in the block, that customers are read from now on; within another block, since that one.

    Raises:
        ErasedMeanwhileError: instead of any other error, if customers were erased meanwhile: what was read has gone.
    """
    outer = _READING.get()
    if outer is not None and outer[0] == home:
        yield
        return
    watch = Watch.anew(home)
    token = _READING.set((home, watch.since))
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

    home: Path
    since: int

    @classmethod
    def of(cls, home: Path) -> "Watch":
        """Watch from when the block of :func:`reading` began that this stands in; else from now on."""
        outer = _READING.get()
        return cls(home, outer[1]) if outer is not None and outer[0] == home else cls.anew(home)

    @classmethod
    def anew(cls, home: Path) -> "Watch":
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
        (self.home / _COUNTED).parent.mkdir(parents=True, exist_ok=True)
        with _lock(self.home):
            if self.is_late:
                raise ErasedMeanwhileError(LATE)
            yield


LATE: Final = (
    "A customer was erased while this was at work, on data that still had them. Nothing of it was kept. Run it again "
    "from its snapshot on (recsys run; in Airflow, clear the run from its first task), which is without them."
)


def _count(home: Path) -> int:
    """Return what changes with every erasure."""
    try:
        return (home / _COUNTED).stat().st_size
    except FileNotFoundError:
        return 0


def _lock(home: Path) -> FileLock:
    return FileLock(home / _COUNTED.with_suffix(".lock"))
