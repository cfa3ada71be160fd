"""What a worker of a cluster does with a piece: it makes sure that it is fit for it, and keeps to its memory."""

import json
import os
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from recsys import logs
from recsys.artifacts import replace_json
from recsys.assets import code_hash
from recsys.engine.pieces import Posted
from recsys.engine.together import free_port
from recsys.errors import EngineError
from recsys.settings import AirflowSettings, PrivacySettings, ReviewSettings, Settings

LARGEST = 256 * 1024
"""Bytes of a piece, and of its answer: URIs and settings are some kilobytes, rows of customers would be more."""
LIBRARIES = ("recsys", "lightgbm", "duckdb", "numpy", "scipy", "implicit", "pyarrow", "distributed")
_SHARE = 0.5  # of a worker's memory for DuckDB; matrices of customers and products take the rest
_SEEN_WITHIN = 10.0  # seconds after which a file of one machine must be seen by the others


@dataclass(frozen=True)
class Terms:
    """What a worker must have in common with the process that sends pieces.

    Attributes:
        mark: a file below home.
        versions: of Python, of libraries and of the code that computes.
        ids: what log lines are about.
    """

    mark: str
    versions: Mapping[str, str]
    ids: Mapping[str, str]


@contextmanager
def marked(settings: Settings) -> Iterator[Terms]:
    """Give the terms for pieces that are sent within the block; the mark is there as long."""
    mark = settings.resolved_home / "tmp" / f"engine-{uuid.uuid4().hex}"
    replace_json(mark, {"process": os.getpid()})
    try:
        yield Terms(str(mark), versions(), logs.bound_ids())
    finally:
        mark.unlink(missing_ok=True)


@cache
def versions() -> dict[str, str]:
    """Return what decides whether two machines compute the same."""
    found = {"python": ".".join(map(str, sys.version_info[:2])), "code": code_hash("pipeline", "shaping", "snapshot")}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def sendable(settings: Settings) -> Settings:
    """Return settings without what a piece has no need of: addresses with passwords, secrets and keys."""
    return settings.model_copy(
        update={
            "engine": "local",
            "home": settings.resolved_home,
            "warehouse_url": None,
            "tracking_uri": None,
            "review": ReviewSettings(),
            "airflow": AirflowSettings(),
            "privacy": PrivacySettings(),
        }
    )


def perform(piece: Posted, settings: Settings, terms: Terms) -> str:
    """Do a piece on this worker, and return its answer as JSON.

    Raises:
        EngineError: if this worker isn't fit for it, or the answer holds data.
        RecsysError: what the piece raised.
    """
    from distributed import get_worker

    worker = get_worker()
    _check(worker, terms)
    scratch = Path(worker.local_directory) / f"piece-{uuid.uuid4().hex[:12]}"
    with logs.bound(**terms.ids):
        answer = json.dumps(piece(_for_worker(settings, worker, scratch)), default=str)
    require_small(f"The answer of {piece.name}", len(answer))
    return answer


def own_address() -> str:
    """Return this worker's host with a port that is free."""
    from distributed import get_worker

    host = get_worker().contact_address.partition("://")[2].rpartition(":")[0].strip("[]")
    return f"{host}:{free_port(host)}"


def require_small(what: str, size: int) -> None:
    """Refuse what would go through the scheduler as data.

    Raises:
        EngineError: if it has more than ``LARGEST`` bytes.
    """
    if size > LARGEST:
        raise EngineError(
            f"{what} has {size:,} bytes, more than the {LARGEST:,} that may go through a scheduler: write data to an "
            "artifact, and pass on its URI."
        )


def _for_worker(settings: Settings, worker: Any, scratch: Path) -> Settings:
    """Return settings that keep a piece within its worker's memory, and off the shared disk with what it spills."""
    limit = worker.memory_manager.memory_limit
    most = settings.memory_limit_gb
    if limit:
        most = min(most, _SHARE * limit / 2**30)
    return settings.model_copy(
        update={"threads": settings.threads or 1, "memory_limit_gb": most, "scratch": scratch},
    )


def _check(worker: Any, terms: Terms) -> None:
    own = versions()
    other = [
        f"{name} {own[name]} instead of {theirs}" for name, theirs in terms.versions.items() if own[name] != theirs
    ]
    if other:
        raise EngineError(
            f"The worker {worker.address} has {', '.join(other)}: it would compute something else. Start the workers "
            "in the environment that sends the work, or in a copy of it."
        )
    if worker.state.nthreads != 1:
        raise EngineError(
            f"The worker {worker.address} has {worker.state.nthreads} threads, so that many pieces would share its "
            "memory. Start workers with --nthreads 1, as many as there is memory for; RECSYS_THREADS says how many "
            "threads a piece may use."
        )
    if not _is_seen(Path(terms.mark)):
        raise EngineError(
            f"The worker {worker.address} doesn't see {Path(terms.mark).parents[1]}: RECSYS_HOME must be a folder that "
            "all workers share, under the same path. Mount it there, or set RECSYS_HOME to one that is shared."
        )


def _is_seen(path: Path) -> bool:
    """Tell whether a file is there, in the time that a network's disk may take to show it."""
    until = time.monotonic() + _SEEN_WITHIN
    while not path.is_file():
        if time.monotonic() > until or not path.parents[1].is_dir():
            return False
        time.sleep(0.1)
    return True
