"""Log lines that say which run, snapshot and publication they are about.

Rooms log with :mod:`logging` as ever. What a line is about is bound around it (:func:`bound`, :func:`logged_stage`) and
is added by the formatters of :func:`set_up`. A host with log lines of its own, as Airflow is, gets the same ids by
:func:`follow`.
"""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from time import monotonic
from types import MappingProxyType
from typing import Any, Final, TextIO

from recsys.settings import Settings

RUN_ID: Final = "run_id"
SNAPSHOT_ID: Final = "snapshot_id"
PUBLICATION_ID: Final = "publication_id"
STAGE: Final = "stage"
IDS: Final = (RUN_ID, SNAPSHOT_ID, PUBLICATION_ID, STAGE)

LOG = logging.getLogger(__name__)
_BOUND: ContextVar[Mapping[str, str]] = ContextVar("recsys_log_ids", default=MappingProxyType({}))
_MARK: Final = "recsys"
Follower = Callable[..., AbstractContextManager[Any]]
_followers: list[Follower] = []


def bound_ids() -> dict[str, str]:
    """Return what the present lines are about."""
    return dict(_BOUND.get())


def follow(follower: Follower) -> None:
    """Let a host's own log lines carry what is bound: ``follower(**ids)`` is entered around each block, once known."""
    if follower not in _followers:
        _followers.append(follower)


@contextmanager
def bound(**ids: str | None) -> Iterator[None]:
    """Say what the log lines of a block are about; an id that is None or empty is left as it is."""
    told = {name: value for name, value in ids.items() if value}
    token = _BOUND.set({**_BOUND.get(), **told})
    try:
        with ExitStack() as stack:
            for follower in _followers:
                stack.enter_context(follower(**told))
            yield
    finally:
        _BOUND.reset(token)


@contextmanager
def logged_stage(name: str, arguments: Mapping[str, Any]) -> Iterator[Callable[..., None]]:
    """Log that a stage begins and ends, and bind what its arguments tell.

    Yields a function that takes the stage's result, and ids that are known by then, so that the last line names what
    the stage made. A ``run_id`` in a result is not this run's: MLflow has runs of its own.
    """
    made: dict[str, str | None] = {}

    def told(result: Any, **ids: str | None) -> None:
        found = ids_of(result)
        found.pop(RUN_ID, None)
        made.update(found, **ids)

    began = monotonic()
    with bound(**{STAGE: name}, **ids_of(arguments)):
        LOG.info("%s begins.", name)
        try:
            yield told
        except BaseException as error:
            LOG.error("%s failed after %.1f s: %s", name, monotonic() - began, type(error).__name__)
            raise
        with bound(**made):
            LOG.info("%s is done in %.1f s.", name, monotonic() - began)


def ids_of(facts: Any) -> dict[str, str | None]:
    """Return the ids that the arguments or the result of a stage tell; an artifact's URI ends in its id."""
    if not isinstance(facts, Mapping):
        return {}
    found = {name: facts.get(name) for name in (RUN_ID, SNAPSHOT_ID, PUBLICATION_ID)}
    uri = facts.get("snapshot")
    if not found[SNAPSHOT_ID] and isinstance(uri, str):
        found[SNAPSHOT_ID] = uri.rstrip("/").rpartition("/")[2]
    return {name: value for name, value in found.items() if isinstance(value, str)}


class TextFormatter(logging.Formatter):
    """A line for a person, with the ids at its end."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        ids = " ".join(f"{name}={value}" for name, value in _BOUND.get().items())
        line = super().format(record)
        return f"{line} [{ids}]" if ids else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, the ids, and the trace of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told = {
            "time": at,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_BOUND.get(),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told)


def set_up(settings: Settings, stream: TextIO | None = None, *, lowest: str | None = None) -> None:
    """Write this process's log lines to a stream, stderr if none is given, as the settings say.

    For entry points that own their process. It may be called again: the last call holds. ``lowest`` is a level that
    takes the place of the settings' one.
    """
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if handler.get_name() == _MARK]:
        root.removeHandler(handler)
    chosen = settings.logging
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.set_name(_MARK)
    handler.setFormatter(JsonFormatter() if chosen.format == "json" else TextFormatter())
    root.addHandler(handler)
    # Libraries have their say only when something is wrong.
    logging.getLogger(_MARK).setLevel(lowest or chosen.lowest)
