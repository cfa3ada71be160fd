"""Calls that are sent to a Dask cluster and waited for."""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from recsys.engine.worker import require_small
from recsys.errors import EngineError

ALONE_SECONDS = 120.0  # without any worker, after which calls are given up
LOOK_SECONDS = 5.0


@dataclass(frozen=True)
class Call:
    """What is sent: a function with its arguments, for any worker or for one of ``workers`` alone."""

    name: str
    function: Callable[..., str]
    arguments: tuple[Any, ...]
    workers: tuple[str, ...] = ()


class LostError(Exception):
    """A worker is gone on which a call had to be done."""


@contextmanager
def submitted(client: Any, calls: Sequence[Call]) -> Iterator[list[Any]]:
    """Send calls to the workers; what isn't done when the block ends is given up.

    Raises:
        EngineError: if a call is too large to go through the scheduler.
    """
    from distributed.protocol.pickle import dumps

    for call in calls:
        require_small(call.name, len(dumps((call.function, call.arguments))))
    run = uuid.uuid4().hex[:12]
    futures = []
    try:
        for number, call in enumerate(calls):
            key, where = f"{call.name}-{run}-{number}", list(call.workers) or None
            futures.append(client.submit(call.function, *call.arguments, key=key, pure=False, workers=where))
        yield futures
    finally:
        client.cancel([future for future in futures if not future.done()])


def watch(client: Any, futures: Sequence[Any], needed: Set[str] = frozenset()) -> None:
    """Wait until all calls are done.

    Args:
        client: that sent them.
        futures: of the calls.
        needed: addresses of workers without which the calls can't be done.

    Raises:
        LostError: if one of ``needed`` is gone.
        EngineError: if a call or the connection is lost, or no worker has been there for ``ALONE_SECONDS``.
        Exception: the first that a call raised.
    """
    from distributed import wait

    open_ones, seen = list(futures), time.monotonic()
    while open_ones:
        try:
            with client.as_current():
                wait(open_ones, timeout=LOOK_SECONDS, return_when="FIRST_COMPLETED")
        except TimeoutError:
            seen = _last_seen(client, seen, needed)
        for future in [future for future in open_ones if future.done()]:
            _require_done(client, future)
            open_ones.remove(future)


def _last_seen(client: Any, before: float, needed: Set[str]) -> float:
    """Return when a worker was there last, by the monotonic clock."""
    present = client.scheduler_info(n_workers=-1)["workers"]
    if needed - set(present):
        raise LostError(f"{', '.join(sorted(needed - set(present)))} left the cluster.")
    if present:
        return time.monotonic()
    if time.monotonic() - before > ALONE_SECONDS:
        raise EngineError(
            f"All workers of {client.scheduler.address} are gone, and none came back within {ALONE_SECONDS:.0f} s. "
            "Start some, and run the stage again: what was finished is kept."
        )
    return before


def _require_done(client: Any, future: Any) -> None:
    from distributed import KilledWorker

    if future.status == "finished":
        return
    if future.status != "error":
        raise EngineError(
            f"The connection to the scheduler was lost while {future.key} was computed ({future.status}). See that it "
            "runs, and run the stage again: what was finished is kept."
        )
    error = future.exception()
    if isinstance(error, KilledWorker):
        raise EngineError(
            f"{future.key} was lost with its worker each time it was tried, as when a piece needs more memory than a "
            "worker has: give workers more (--memory-limit), or make pieces smaller (RECSYS_SHARD_CUSTOMERS). The "
            f"worker's log says more. ({error})"
        ) from error
    raise error
