"""Who writes to MLflow waits their turn: MLflow has no compare-and-set, so a look and the write after it would race."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from recsys.errors import RegistryError
from recsys.settings import Settings

LOCK = "registration.lock"
WAIT_SECONDS = 600


@contextmanager
def own_turn(settings: Settings) -> Iterator[None]:
    """Hold the lock of those who look for a run or a version, and make it if it isn't there.

    All who share a home agree on it, and the kernel drops the lock of a killed process: a run that is found unfinished
    meanwhile is one that nobody finishes any more.

    Raises:
        RegistryError: if another process holds it for ten minutes, or home can't be written.
    """
    path = settings.resolved_home / LOCK
    lock = FileLock(path, timeout=WAIT_SECONDS)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise RegistryError(
            f"Another process has been registering in MLflow for {WAIT_SECONDS} s and holds {path}. "
            "Let it finish, or end it, and try again."
        ) from error
    except OSError as error:
        raise RegistryError(f"The lock file {path} can't be written: {error}.") from error
    try:
        yield
    finally:
        lock.release()
