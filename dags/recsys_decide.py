"""Records a person's decision about a model version, by a form.

**Purpose.** Approves a version, which makes it the champion, or rejects it, so that no policy promotes it. A
version that the gate did not pass is approved only with *override*, and the record says so.

**Inputs.** Model, version, verdict and reason from the form. Who decides is the user who triggers the run;
*decided by* counts only where Airflow knows none, and is added to the name of who triggered it otherwise.

**Outputs.** A row in `recsys.decisions`, aliases and tags in MLflow. An approval announces the champion, which
starts the publication; *decision* is skipped after a rejection, since there is nothing to publish.

**On failure.** The message says what can't be done and what to do instead. Clear the task to try again: the same
decision is not recorded twice. Where MLflow is away after the decision was recorded, its aliases follow by
`recsys_reconcile`.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException
from recsys_wiring import (
    CHAMPION,
    DECIDE,
    DEFAULT_ARGS,
    FIRST,
    MODEL,
    VERSION,
    decision_params,
    person_of,
    task_settings,
)

SECTION = "What to decide"


@task(outlets=[CHAMPION], **FIRST)
def decision() -> dict[str, Any]:
    """Record the decision, and announce the champion if it is an approval."""
    from recsys_stages import pipeline

    from recsys.moments import clock

    context = get_current_context()
    asked = context["params"]
    result = pipeline.decide(
        task_settings(),
        model=asked["model"],
        version=asked["version"],
        verdict=asked["verdict"],
        override=asked["override"],
        reason=asked["reason"],
        decided_by=person_of(context),
        now=clock(),
        channel="airflow",
    )
    if result["verdict"] != "approved":
        # A skipped task sends no asset event.
        context["ti"].xcom_push("return_value", result)
        raise AirflowSkipException(f"Recorded as {result['decision_id']}: rejected. There is nothing to publish.")
    context["outlet_events"][CHAMPION].extra = {"approved": [result]}
    return result


@dag(
    dag_id=DECIDE,
    dag_display_name="Decide about a model",
    description="Approve or reject a model version.",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    # Decisions wait for the warehouse's own lock, not for each other's runs.
    max_active_runs=16,
    dagrun_timeout=timedelta(hours=1),
    default_args=DEFAULT_ARGS,
    params={
        "model": Param(**MODEL, title="Model", description="Such as recsys_for_you.", section=SECTION),
        "version": Param(**VERSION, title="Version", description="Its number in MLflow.", section=SECTION),
        "verdict": Param(
            type="string",
            enum=["approved", "rejected"],
            title="Verdict",
            description="An approved version is the champion at once and live with the next publication.",
            section=SECTION,
        ),
        "override": Param(
            False,
            type="boolean",
            title="Override",
            description="Approve although the gate did not pass it; the record says so.",
            section=SECTION,
        ),
        **decision_params(SECTION),
    },
    tags=["recommendations", "decision"],
)
def decide() -> None:
    """Record one decision."""
    decision()


decide()
