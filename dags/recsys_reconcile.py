"""Brings MLflow's aliases and the record of decisions together.

**Purpose.** A reviewer may decide in MLflow by moving the alias `champion` to a version. This notices it: a
version that passed the gate is approved and published; one that did not goes back, unless it has a tag `override`
that says why. Aliases that MLflow missed, while it was away, are written.

**Inputs.** The aliases and tags in MLflow, and `recsys.alias_projection`. Who moved an alias MLflow does not say:
a tag `reviewed_by` on the version does, and a tag `reason` why. It runs when MLflow's webhook says that something
changed, and every ten minutes in case that was lost.

**Outputs.** Rows in `recsys.decisions`, aliases and tags in MLflow. An approval announces the champion, which
starts the publication; *aliases* is skipped when nothing was approved, and says what it did instead.

**On failure.** MLflow or the warehouse can't be reached, as the message says; the next run looks again.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException
from recsys_wiring import CHAMPION, DEFAULT_ARGS, FIRST, RECONCILE, at, clock_of, task_settings


@task(outlets=[CHAMPION], **FIRST)
def aliases() -> dict[str, Any]:
    """Compare, write what MLflow missed, and let what a person moved go through the gate."""
    from recsys_stages import pipeline

    from recsys.moments import clock

    context = get_current_context()
    result = pipeline.reconcile(task_settings(), now=clock(), since=clock_of(context))
    if not result["approved"]:
        context["ti"].xcom_push("return_value", result)
        done = [
            *(f"taken back from version {one['version']} of {one['model']}: {one['why']}" for one in result["refused"]),
            *(f"{one['alias']} of {one['model']} restored" for one in result["restored"]),
            *(f"version {one['wanted']} of {one['model']} was deleted in MLflow" for one in result["lost"]),
            *([f"{result['written']} aliases and pages followed the ledger"] if result["written"] else []),
        ]
        raise AirflowSkipException(f"Nothing was approved in MLflow. {'; '.join(done) or 'All is as it should be.'}")
    context["outlet_events"][CHAMPION].extra = {"approved": result["approved"]}
    return result


@dag(
    dag_id=RECONCILE,
    dag_display_name="Follow decisions made in MLflow",
    description="MLflow's aliases and the record of decisions.",
    doc_md=__doc__,
    schedule=at("*/10 * * * *"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=30),
    default_args=DEFAULT_ARGS,
    tags=["recommendations", "decision"],
)
def reconcile() -> None:
    """Look once."""
    aliases()


reconcile()
