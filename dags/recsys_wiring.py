"""What the DAG files share: names, retries, parameters, and the settings of a task.

Everything of Airflow that differs between its versions stands here. Parsing a DAG file imports this
module, so it must stay light: stages are imported inside the task that runs them.
"""

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import (
    Asset,
    BaseHook,
    CronTriggerTimetable,
    DeadlineAlert,
    DeadlineReference,
    ExceptionRetryPolicy,
    Param,
    RetryAction,
    RetryRule,
    SyncCallback,
    get_current_context,
    task,
)
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret
from recsys_notify import Notifier

from recsys.settings import Settings, load_settings

# A folder of DAGs may have settings of its own: so one Airflow runs several shops, each in a namespace. Airflow reads a
# DAG file and runs a task in a process of its own, and so do stages in another environment, which inherit this.
_OWN = Path(__file__).with_name("recsys.toml")
if _OWN.is_file():
    os.environ["RECSYS_CONFIG"] = str(_OWN)

_SETTINGS = load_settings()

NAMESPACE = _SETTINGS.namespace
PLACEMENTS = list(_SETTINGS.placements)

TRAIN = f"{NAMESPACE}_train"
PUBLISH = f"{NAMESPACE}_publish"
APPROVE = f"{NAMESPACE}_approve"
DECIDE = f"{NAMESPACE}_decide"
RECONCILE = f"{NAMESPACE}_reconcile"
ROLLBACK = f"{NAMESPACE}_rollback"
DEADLINE = timedelta(hours=_SETTINGS.review.deadline_hours)
SUPPRESS = f"{NAMESPACE}_suppress"
CANARY = f"{NAMESPACE}_canary"
MONITOR = f"{NAMESPACE}_monitor"
BACKFILL = f"{NAMESPACE}_backfill"
ERASE = f"{NAMESPACE}_erase"
POOL = f"{NAMESPACE}_warehouse"  # one slot: an embedded warehouse has one writer
COMPUTE = f"{NAMESPACE}_compute"  # as many slots as tasks may compute at a time: RECSYS_AIRFLOW__SLOTS
CONNECTION = f"{NAMESPACE}_warehouse"

CHAMPION = Asset(
    name=f"{NAMESPACE}_champion",
    uri=f"x-recsys://{NAMESPACE}/champion",
    group="recommendations",
)
LIVE_LISTS = Asset(name=f"{NAMESPACE}_live", uri=f"x-recsys://{NAMESPACE}/live", group="recommendations")

# Another try can't mend these: a person has to change a setting, the data or a decision.
_PERSON_NEEDED = RetryRule(
    exception=[
        f"recsys.errors.{kind}"
        for kind in (
            "SettingsError",
            "SourceError",
            "ContractError",
            "NotFoundError",
            "AlteredError",
            "AuditError",
            "RefusedError",
            "BreachError",
        )
    ],
    action=RetryAction.FAIL,
    reason="another try can't help: a setting, the data or a decision has to change first",
)

# What a form takes. A pattern's end is told twice: in Python "$" also stands before a last line break.
END = r"$(?!\n)"
MODEL: dict[str, Any] = {"type": "string", "pattern": rf"^[A-Za-z][A-Za-z0-9_]*{END}", "maxLength": 127}
VERSION: dict[str, Any] = {"type": "string", "pattern": rf"^[0-9]+{END}", "maxLength": 9}
# Ids of the shop's and names of people may hold anything that can be seen: they are bound, never part of a statement.
LINE: dict[str, Any] = {"type": "string", "pattern": rf"^[^\x00-\x1f\x7f]*{END}", "maxLength": 200}
# An id that this platform gave; a publication's is also the name of a folder.
GIVEN_ID: dict[str, Any] = {
    "type": "string",
    "pattern": rf"^([A-Za-z0-9_][A-Za-z0-9._-]*)?{END}",
    "maxLength": 200,
}
REASON: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 500,
    "pattern": r"^(?=[\s\S]*\S)[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$",
}
NOTE: dict[str, Any] = {**LINE, "maxLength": 500}

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "recommendations",
    "retries": 2,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=15),
    "retry_policy": ExceptionRetryPolicy(rules=[_PERSON_NEEDED]),
    "execution_timeout": timedelta(hours=1),
}

# A decision doesn't queue behind what computes: it goes first, and outside of the pool, since it holds the warehouse
# for a moment only, under the warehouse's own lock.
FIRST: dict[str, Any] = {"priority_weight": 1000, "weight_rule": "absolute"}


def at(cron: str) -> CronTriggerTimetable:
    """Return a schedule in UTC. A DAG first seen shortly after its hour waits for the next one."""
    return CronTriggerTimetable(cron, timezone="UTC", run_immediately=timedelta(0))


def publish_in_time() -> DeadlineAlert | None:
    """Return the alert that tells when a publication takes longer than the settings allow; None if there is none.

    It counts from when the run was queued, since a run that was started by hand or by a champion has no logical date.
    """
    hours = _SETTINGS.monitoring.publish_within_hours
    if hours is None:
        return None
    what = f"The publication isn't done {hours:g} hours after it began: customers see older lists."
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=hours),
        # By the executor, since the triggerer can't import what stands in a DAG bundle.
        callback=SyncCallback(Notifier, kwargs={"what": what}),
        name="publication in time",
    )


def chain_params() -> dict[str, Param]:
    """Return the trigger form of both DAGs: as of when, and for which places in the shop."""
    return {
        "as_of": Param(
            "latest",
            type="string",
            pattern=rf"^(latest|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}})?)?){END}",
            maxLength=19,
            title="As of",
            description="Use only what was known before this moment: 'latest' (just after the newest event), "
            "a date such as 2017-12-05, or a UTC time such as 2017-12-05T06:00.",
            section="What to compute",
        ),
        "placements": Param(
            PLACEMENTS,
            type="array",
            items={"type": "string", "enum": PLACEMENTS},
            minItems=1,
            maxItems=len(PLACEMENTS),
            uniqueItems=True,
            examples=PLACEMENTS,
            title="Placements",
            description="The places in the shop to do this for; each has its own rule and its own model.",
            section="What to compute",
        ),
    }


def decision_params(section: str) -> dict[str, Param]:
    """Return what every form of a decision asks: why, and for whom if it isn't for who triggers it."""
    return {
        "reason": Param(**REASON, title="Reason", description="For whoever reads the record.", section=section),
        "decided_by": Param(
            "",
            **LINE,
            title="Decided by",
            description="Only where it is somebody else than who triggers this.",
            section=section,
        ),
    }


def task_settings(tasks: int = 1) -> Settings:
    """Return the settings of the running task; the warehouse may be a connection of Airflow's.

    One of several ``tasks`` that divide a stage gets its part of the threads and of the memory.

    ``RECSYS_WAREHOUSE_URL`` wins; then the connection ``<namespace>_warehouse``, whose URI goes to SQLAlchemy;
    without either it is the embedded warehouse. The URL never passes through XCom.

    Raises:
        SettingsError: if a setting can't be used.
    """
    settings = load_settings()
    if not settings.warehouse_url:
        try:
            uri = BaseHook.get_connection(CONNECTION).get_uri()
        except AirflowNotFoundException:
            uri = None
        if uri is not None:
            # Airflow writes postgres://, a scheme that SQLAlchemy doesn't know.
            settings = load_settings(warehouse_url=re.sub(r"^postgres://", "postgresql://", uri))
    for secret in settings.secrets:
        # Whatever prints it, the task's log and its rendered fields show stars.
        mask_secret(secret)
    return settings.for_one_of(tasks)


def as_of_of(context: Mapping[str, Any]) -> str:
    """Return a run's ``as_of``: the form's; in a backfill that leaves it at latest, the logical date."""
    chosen = str(context["params"].get("as_of", "latest"))
    run = context["dag_run"]
    if chosen == "latest" and is_backfill(context) and run.logical_date is not None:
        return _naive_utc(run.logical_date).isoformat()
    return chosen


def is_backfill(context: Mapping[str, Any]) -> bool:
    """Return whether a run belongs to a backfill of Airflow's."""
    return bool(context["dag_run"].run_type == "backfill")


def clock_of(context: Mapping[str, Any]) -> datetime:
    """Return the one reading of the clock that a run uses: when it started, naive UTC.

    It is the same in every retry, so the run's snapshot is. Decisions and going live have the time they happen at.
    """
    run = context["dag_run"]
    return _naive_utc(run.start_date or run.run_after)


def person_of(context: Mapping[str, Any]) -> str:
    """Return who decides by a form: the user whom Airflow knows, not what anybody can type into a field.

    The field ``decided_by`` is added where it names another, and counts alone only where no user is known.
    """
    user = (context["dag_run"].triggering_user_name or "").strip()
    named = str(context["params"]["decided_by"]).strip()
    if user and named and named != user:
        return f"{user} (for {named})"
    return user or named


def _naive_utc(moment: datetime) -> datetime:
    aware = datetime.fromtimestamp(moment.timestamp(), UTC)
    return aware.replace(tzinfo=None)


def explained(mapped: Any) -> Any:
    """Return a task that shows its docstring in the UI also when it is mapped, which Airflow leaves out."""
    return mapped.override(doc_md=mapped.function.__doc__)


@task(pool=POOL)
def snapshot() -> dict[str, Any]:
    """Copy what was known before the chosen moment out of the warehouse, once."""
    from recsys_stages import pipeline

    context = get_current_context()
    return pipeline.take_snapshot(task_settings(), as_of=as_of_of(context), now=clock_of(context))
