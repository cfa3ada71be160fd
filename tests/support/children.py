"""Processes of a test's own that begin with the libraries loaded: an interpreter that imports them takes seconds.

A process loads them once and uses none of them; every child is forked from it.
"""

import gc
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Final

LOADED: Final = ("pytest", "mlflow", "mlflow.store.tracking.sqlalchemy_store", "fastapi", "flask", "uvicorn")
OURS: Final = ("recsys.pipeline", "recsys.registry", "recsys.load", "tests.support.publications")

_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([*LOADED, *OURS])


@dataclass(frozen=True)
class Ended:
    """How a child ended: minus a signal, or the code of an exit; and what it printed, errors included."""

    code: int | None
    printed: str


def run(folder: Path, work: Callable[..., object], *arguments: Any) -> Ended:
    """Let a child do work of a module, and wait for its end.

    Args:
        folder: a test's own, for the file of what it prints.
        work: a function of a module, which the child imports.
        arguments: of the function; they are pickled.
    """
    log = folder / "child.log"
    child = start(work, *arguments, log=log)
    child.join()
    return Ended(child.exitcode, log.read_text(encoding="utf-8"))


def start(
    work: Callable[..., object], *arguments: Any, log: Path, environment: Mapping[str, str] | None = None
) -> BaseProcess:
    """Start a child with this process's environment, or another one; it leads a session of its own."""
    told = dict(os.environ if environment is None else environment)
    log.touch()  # who looks for the reason of an early end finds it empty, not missing
    child = _CONTEXT.Process(target=_begin, args=(told, str(log), work, arguments), daemon=True)
    child.start()
    return child


def barrier(parties: int) -> Barrier:
    """Return where so many children wait for each other."""
    return _CONTEXT.Barrier(parties)


def _begin(environment: dict[str, str], log: str, work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    gc.freeze()  # garbage collections would go through all that was loaded, and copy it
    # What it was forked from began with the environment of some other test.
    os.environ.clear()
    os.environ.update(environment)
    os.setsid()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(file, stream.fileno())
    work(*arguments)
