"""Work that needs several workers at the same time, each knowing where the others are."""

import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from recsys.settings import Settings

Result = dict[str, Any]
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Peers:
    """Those who work together, and which of them this one is.

    Attributes:
        rank: from 0.
        addresses: ``host:port`` of each, in the order of ranks; the ports were free a moment ago.
    """

    rank: int
    addresses: tuple[str, ...]

    @property
    def port(self) -> int:
        """The port that this one listens at."""
        return int(self.addresses[self.rank].rpartition(":")[2])


def run_together(
    settings: Settings, name: str, function: Callable[..., Result], count: int, arguments: Mapping[str, Any]
) -> Result:
    """Call a function on ``count`` workers at the same time, or in as many processes of this machine.

    Args:
        settings: say which engine.
        name: in logs and on the scheduler's page.
        function: of a module, called with settings, the arguments and ``peers``; may be called again after a loss.
        count: how many.
        arguments: small, as those of a piece.

    Returns:
        What rank 0 answered.

    Raises:
        EngineError: if the cluster can't be used, has too few workers, or lost some again and again.
        RecsysError: what a call raised.
    """
    if settings.engine == "local":
        return _run_here(settings, function, count, arguments)
    from recsys.engine.cluster import run_together_on_cluster

    return run_together_on_cluster(settings, name, function, count, arguments)


def free_port(host: str) -> int:
    """Return a port of this machine that nobody listens at."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as held:
        held.bind((host, 0))
        return int(held.getsockname()[1])


def _run_here(settings: Settings, function: Callable[..., Result], count: int, arguments: Mapping[str, Any]) -> Result:
    addresses = tuple(f"{LOOPBACK}:{free_port(LOOPBACK)}" for _ in range(count))
    shared = settings.model_copy(update={"threads": max(1, settings.thread_count // count)})
    # A fork of a process whose libraries have threads may never come to an end.
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        begun = [pool.submit(function, shared, **arguments, peers=Peers(rank, addresses)) for rank in range(count)]
        answers = [one.result() for one in begun]
        return answers[0]
