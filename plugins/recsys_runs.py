"""What the plugins share: may a user do something to a DAG, and the start of a run in somebody's name.

Airflow puts the plugins folder on the import path before it loads plugins. Nothing of Airflow's is imported before it
is needed, since every Airflow process imports this file.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

READ = "GET"
TRIGGER = "POST"
RUNS, LOGS = "RUN", "TASK_LOGS"
SUCCESS, FAILED = "success", "failed"


@dataclass(frozen=True)
class RunState:
    """A run as Airflow knows it now.

    ``conf`` are its parameters, ``by`` is who triggered it, as far as is known, ``asked_at`` and ``ended_at`` (None
    while it goes on) have a time zone.
    """

    run_id: str
    state: str
    conf: Mapping[str, Any]
    by: str
    asked_at: datetime
    ended_at: datetime | None

    @property
    def is_done(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in (SUCCESS, FAILED)


class NotReadyError(Exception):
    """A DAG that can't run now, and what to do."""


def may(user: Any, method: str, dag_id: str, entity: str = RUNS) -> bool:
    """Tell whether Airflow lets a user read (GET) or trigger (POST) runs of a DAG, or read the logs of its tasks."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
    from airflow.models.dag import DagModel

    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return get_auth_manager().is_authorized_dag(
        method=method, access_entity=DagAccessEntity[entity], details=details, user=user
    )


def is_there(dag_id: str) -> bool:
    """Tell whether Airflow has such a DAG."""
    from airflow.models.dag import DagModel

    model = DagModel.get_current(dag_id)
    return model is not None and not model.is_stale


def start_run(dag_id: str, *, run_id: str, by: str, note: str, conf: Mapping[str, Any] | None = None) -> bool:
    """Start a run in somebody's name, once: a run of that id that is there already is left alone.

    Args:
        dag_id: the DAG.
        run_id: of the run; it makes the run start once, also where several API servers are asked the same.
        by: whom Airflow records as the one who triggered it.
        note: why, for whoever looks at the run.
        conf: its parameters; none if None.

    Returns:
        Whether it was started now.

    Raises:
        DagNotFound: if Airflow doesn't know the DAG.
        ParamValidationError: if a parameter can't be used.
    """
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.exceptions import DagRunAlreadyExists
    from airflow.utils.types import DagRunTriggeredByType

    try:
        trigger_dag(
            dag_id,
            run_id=run_id,
            conf=dict(conf or {}),
            triggered_by=DagRunTriggeredByType.REST_API,
            triggering_user_name=by,
            note=note,
        )
    except DagRunAlreadyExists:
        return False
    return True


def require_ready(dag_id: str) -> None:
    """Refuse to start what would not run.

    Raises:
        NotReadyError: if the DAG isn't there, has import errors or is paused.
    """
    from airflow.models.dag import DagModel

    model = DagModel.get_current(dag_id)
    if model is None or model.is_stale:
        raise NotReadyError(f"Airflow has no DAG {dag_id}: look at its import errors, and whether dags/ is deployed.")
    if model.has_import_errors:
        raise NotReadyError(f"The DAG {dag_id} can't be imported; Airflow's list of import errors says why.")
    if model.is_paused:
        raise NotReadyError(f"The DAG {dag_id} is paused, so nothing would happen: unpause it in Airflow first.")


def run_state(dag_id: str, run_id: str) -> RunState | None:
    """Return a run as it is now, or None if there is no such run."""
    from airflow.models.dagrun import DagRun

    return _newest(DagRun.dag_id == dag_id, DagRun.run_id == run_id)


def newest_since(dag_id: str, moment: datetime) -> RunState | None:
    """Return the newest run of a DAG that was asked for at a moment or later, or None if there is none."""
    from airflow.models.dagrun import DagRun

    return _newest(DagRun.dag_id == dag_id, DagRun.run_after >= moment)


def failure_of(dag_id: str, run_id: str) -> str:
    """Return what the failed task of a run said in its log last, empty if there is no such task or message."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.log.log_reader import TaskLogReader
    from airflow.utils.session import create_session
    from sqlalchemy import select

    failed = (TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.state == FAILED)
    with create_session() as session:
        task = session.scalar(select(TaskInstance).where(*failed).limit(1))
        if task is None:
            return ""
        lines = [json.loads(line) for line in TaskLogReader().read_log_stream(task, task.try_number, {})]
    errors = [error for line in lines for error in line.get("error_detail") or []]
    return str(errors[-1].get("exc_value") or "") if errors else ""


def _newest(*conditions: Any) -> RunState | None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        run = session.scalar(select(DagRun).where(*conditions).order_by(DagRun.run_after.desc()).limit(1))
        if run is None:
            return None
        return RunState(
            run_id=run.run_id,
            state=str(run.state),
            conf=dict(run.conf or {}),
            by=run.triggering_user_name or "",
            asked_at=run.run_after,
            ended_at=run.end_date,
        )
