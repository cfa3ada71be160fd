"""Pieces on the workers of a Dask cluster that the shop runs; see docs/scaling.md."""

import json
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from recsys.engine.pieces import Piece, Result
from recsys.engine.sending import ALONE_SECONDS, Call, submitted, watch
from recsys.engine.together import Peers
from recsys.engine.worker import marked, own_address, perform, sendable, versions
from recsys.errors import EngineError, RecsysError, SettingsError
from recsys.settings import Settings

LOG = logging.getLogger(__name__)
ATTEMPTS = 3
CONNECT_SECONDS = 15.0
_ENVIRONMENT = ("python", "recsys", "distributed")  # what a scheduler needs to hand on pieces
_lock = threading.Lock()
_clients: dict[tuple[int, str], Any] = {}


def run_on_cluster(settings: Settings, pieces: Sequence[Piece]) -> list[Result]:
    """Do pieces on the cluster's workers; one that is lost with its worker is done again on another.

    Raises:
        EngineError: if the cluster can't be used, or lost a piece with a worker several times.
        RecsysError: what a piece raised.
    """
    client, given = connect(settings), sendable(settings)
    with marked(settings) as terms:
        calls = [Call(piece.name, perform, (piece, given, terms)) for piece in pieces]
        with submitted(client, calls) as futures:
            watch(client, futures)
            return [json.loads(future.result()) for future in futures]


def run_together_on_cluster(
    settings: Settings, name: str, function: Callable[..., Result], count: int, arguments: Mapping[str, Any]
) -> Result:
    """Call a function on several workers at the same time, anew with those that are left if one is lost.

    Raises:
        EngineError: if the cluster can't be used, has too few workers, or lost some ``ATTEMPTS`` times.
        RecsysError: what a call raised.
    """
    client, given = connect(settings), sendable(settings)
    with marked(settings) as terms:
        for attempt in range(1, ATTEMPTS + 1):
            chosen = _choose(client, count)
            try:
                # Whoever answers is idle, so that the calls begin at about the same time.
                ports = _answers(client, [Call(f"port of {name}", own_address, (), (worker,)) for worker in chosen])
                calls = [
                    Call(
                        f"{name} {rank}",
                        perform,
                        (Piece(name, function, {**arguments, "peers": Peers(rank, tuple(ports))}), given, terms),
                        (worker,),
                    )
                    for rank, worker in enumerate(chosen)
                ]
                return dict(json.loads(_answers(client, calls)[0]))
            except RecsysError:
                raise
            except Exception as error:
                # Those who are left can't end without the one that is gone, each in its own words.
                LOG.warning("%s failed in attempt %d of %d: %s", name, attempt, ATTEMPTS, error)
                lost = error
    raise EngineError(
        f"{name} failed on {count} workers in each of {ATTEMPTS} attempts, the last time with {type(lost).__name__}: "
        f"{lost} The workers must reach each other at any port; their logs say more."
    ) from lost


def _choose(client: Any, count: int) -> list[str]:
    """Return the addresses of so many workers.

    Raises:
        EngineError: if there are fewer, also after ``ALONE_SECONDS``.
    """
    try:
        client.wait_for_workers(count, timeout=ALONE_SECONDS)
    except TimeoutError as error:
        raise EngineError(
            f"{count} workers are to train a ranker together (ranker.machines), but the cluster has fewer: start more, "
            "or set RECSYS_RANKER__MACHINES lower."
        ) from error
    return sorted(client.scheduler_info(n_workers=-1)["workers"])[:count]


def _answers(client: Any, calls: Sequence[Call]) -> list[str]:
    """Return what pinned calls answer.

    Raises:
        LostError: if one of their workers is gone.
    """
    with submitted(client, calls) as futures:
        watch(client, futures, {worker for call in calls for worker in call.workers})
        return [future.result() for future in futures]


def connect(settings: Settings) -> Any:
    """Return this process's client of the settings' scheduler.

    Raises:
        SettingsError: if no scheduler is named, or Dask isn't installed.
        EngineError: if the scheduler doesn't answer, has no workers, or runs with other versions.
    """
    address = settings.dask_scheduler
    if not address:
        raise SettingsError(
            "RECSYS_ENGINE is dask, but no scheduler is named: set RECSYS_DASK_SCHEDULER, as in tcp://host:8786."
        )
    with _lock:
        client = _clients.get((os.getpid(), address))
        if client is None or client.status != "running":
            client = _clients[os.getpid(), address] = _opened(address)
        return client


def disconnect() -> None:
    """Close this process's clients."""
    with _lock:
        for key in [key for key in _clients if key[0] == os.getpid()]:
            _clients.pop(key).close()


def _opened(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise SettingsError("RECSYS_ENGINE is dask, which isn't installed: pip install 'recsys[dask]'.") from error
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False, name="recsys")
    except (OSError, TimeoutError, ValueError) as error:
        raise EngineError(
            f"The scheduler at {address} doesn't answer within {CONNECT_SECONDS:.0f} s ({type(error).__name__}). Start "
            "it with `dask scheduler`, mend RECSYS_DASK_SCHEDULER, or set RECSYS_ENGINE=local."
        ) from error
    try:
        _require_workers(client, address)
        _require_versions(client)
    except BaseException:
        client.close()
        raise
    return client


def _require_workers(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError as error:
        raise EngineError(
            f"The scheduler at {address} has no workers: start some with `dask worker {address} --nthreads 1 "
            "--memory-limit 8GiB`."
        ) from error


def _require_versions(client: Any) -> None:
    """See that the scheduler and the workers can read what is sent; each worker looks at the rest by itself."""
    own = versions()
    told = client.get_versions(check=False, packages=["recsys"])
    for place, about in {"scheduler": told["scheduler"], **told["workers"]}.items():
        packages = about["packages"] if about else {}
        found = {name: str(packages.get(name) or "not installed") for name in _ENVIRONMENT}
        found["python"] = ".".join(found["python"].split(".")[:2])
        other = [f"{name} {found[name]} instead of {own[name]}" for name in _ENVIRONMENT if found[name] != own[name]]
        if other:
            raise EngineError(
                f"The cluster's {place} has {', '.join(other)}: start it in the environment that sends the work, or in "
                "a copy of it."
            )
