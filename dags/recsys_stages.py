"""Calls the platform's stages from tasks: in Airflow's own environment, or in one of their own.

``from recsys_stages import pipeline`` in a task stands for ``from recsys import pipeline``. Where
``RECSYS_STAGE_PYTHON`` names a Python, a stage runs with that one, by Airflow's external Python: then Airflow's
environment holds neither the ML libraries nor a driver of the warehouse. This is the only place that knows which it is.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import structlog
from airflow.providers.standard.operators.python import ExternalPythonOperator
from airflow.sdk import DAG, get_current_context

from recsys import errors, logs
from recsys.settings import Settings

# Every line of a task's log carries what is bound; Airflow binds its own run_id.
logs.follow(structlog.contextvars.bound_contextvars)


class _Pipeline:
    """Looks like ``recsys.pipeline``: each stage takes settings and keywords."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def stage(settings: Settings, **given: Any) -> Any:
            with logs.logged_stage(name, given) as told:
                result = _outside(name, settings, given) if settings.stage_python else _here(name, settings, given)
                told(result)
            return result

        return stage


pipeline = _Pipeline()


class _Outside(ExternalPythonOperator):
    """Airflow's external Python, to which next to nothing of the task's context goes."""

    def _iter_serializable_context_keys(self) -> Iterator[str]:
        # An empty context would lose the arguments.
        return iter(("run_id",))


def _here(name: str, settings: Settings, given: Mapping[str, Any]) -> Any:
    from recsys import pipeline as stages

    return getattr(stages, name)(settings, **given)


def _outside(name: str, settings: Settings, given: Mapping[str, Any]) -> Any:
    """Run a stage with another Python.

    Raises:
        RecsysError: of the very class that the stage raised, so that retries are decided as ever.
        AirflowException: if the process ended otherwise; its trace is in the task's log.
    """
    context = get_current_context()
    task = context["task"]
    question = {
        # A clock is the other process's own.
        "given": {key: value for key, value in given.items() if key != "clock"},
        "ids": logs.bound_ids(),
        "parent": os.getpid(),
        "seconds": task.execution_timeout.total_seconds() if task.execution_timeout else None,
    }
    operator = _Outside(
        task_id="stage",
        # Not the task's own DAG, to which it would be added.
        dag=DAG(dag_id=f"{task.dag_id}_stage", schedule=None),
        python=str(settings.stage_python),
        python_callable=answer_stage,
        # Text alone goes in and comes out, so that the two may be of different versions of Python.
        op_kwargs={"name": name, "question": json.dumps(question, default=_as_json)},
        expect_airflow=False,
        env_vars=_told(settings),
    )
    answered = json.loads(operator.execute(context))
    if "error" in answered:
        kind = getattr(errors, answered["error"], errors.RecsysError)
        raise kind(answered["message"])
    return answered["result"]


def _told(settings: Settings) -> dict[str, str]:
    """Return what the other environment can't know; a password never goes through a file or XCom."""
    told = {"RECSYS_THREADS": str(settings.threads), "RECSYS_MEMORY_LIMIT_GB": str(settings.memory_limit_gb)}
    return told | ({"RECSYS_WAREHOUSE_URL": settings.warehouse_url} if settings.warehouse_url else {})


def answer_stage(name: str, question: str) -> str:
    """Answer in the other environment; this function's source is all of this file that goes there."""
    from recsys.pipeline.calling import answer

    return answer(name, question)


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"$moment": value.isoformat()}
    raise TypeError(f"{value!r} can't be handed to a stage in another environment")
