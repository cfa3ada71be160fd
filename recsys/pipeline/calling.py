"""Calls stages by name, with arguments and results as JSON: for a host that runs them in another environment.

A host there needs no library of the platform's; see ``dags/recsys_stages.py``.
"""

import inspect
import json
import os
import signal
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from recsys import logs, pipeline
from recsys.errors import RecsysError, SettingsError
from recsys.moments import clock
from recsys.settings import load_settings

MOMENT: Final = "$moment"
WATCH_SECONDS: Final = 1.0


def answer(name: str, question: str) -> str:
    """Call a stage of :mod:`recsys.pipeline`, with this environment's settings.

    Args:
        name: the stage's.
        question: JSON with ``given`` (the arguments; a moment is ``{"$moment": ISO 8601}``), ``ids`` (what log lines
            are about), ``parent`` (the process to end with) and ``seconds`` (after which to end; None: never).

    Returns:
        JSON with ``result``, or with ``error`` (the class) and ``message`` of what the platform reports on purpose.
        Anything else is raised, and so ends the process with its trace in the log.
    """
    asked = json.loads(question)
    _end_with(int(asked["parent"]), asked["seconds"])
    settings = load_settings()
    # A task's log has room for more than a terminal.
    logs.set_up(settings, lowest=(settings.logging.level or "info").upper())
    try:
        with logs.bound(**asked["ids"]):
            return json.dumps({"result": call(name, settings, asked["given"])})
    except RecsysError as error:
        return json.dumps({"error": type(error).__name__, "message": str(error)})


def call(name: str, settings: Any, given: Mapping[str, Any]) -> Any:
    """Call a stage with arguments as they came through JSON; one that asks for a clock gets this machine's.

    Raises:
        SettingsError: if there is no such stage.
    """
    if name not in pipeline.__all__:
        raise SettingsError(f"There is no stage {name!r} here: is it another version of recsys than Airflow's?")
    stage = getattr(pipeline, name)
    arguments = {key: _moment(value) for key, value in given.items()}
    if "clock" in inspect.signature(stage).parameters:
        arguments["clock"] = clock
    return stage(settings, **arguments)


def _moment(value: Any) -> Any:
    return datetime.fromisoformat(value[MOMENT]) if isinstance(value, dict) and set(value) == {MOMENT} else value


def _end_with(parent: int, seconds: float | None) -> None:
    """End this process when its time is over or its parent is gone, whatever it computes.

    Who waits for it can do neither: Airflow ends a task, and would leave what the task had started.
    """
    if seconds is not None:
        # The signal's default action needs no turn of the interpreter.
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def watch() -> None:
        while os.getppid() == parent:
            waiting.wait(WATCH_SECONDS)
        os._exit(1)

    waiting = threading.Event()
    threading.Thread(target=watch, daemon=True).start()
