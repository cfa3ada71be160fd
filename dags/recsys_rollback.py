"""Returns a place in the shop to the lists that were live before.

**Purpose.** One warehouse transaction withdraws what is live and brings back the publication before it; readers
see it at once. Nothing is trained or scored. The model that made those lists is the champion again.

**Inputs.** Placement and reason from the form; *publication*, if given, is what is to be withdrawn, so that a
second click does not go back twice. Who wants it is the user who triggers the run.

**Outputs.** The pointer of `recsys.live_recommendations`, a row in `recsys.decisions`, and the aliases in MLflow:
where MLflow is away the rollback holds all the same, and they follow by `recsys_reconcile`.

**On failure.** Nothing was changed, or all of it was: clear the task, and what was done is not done twice.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from recsys_wiring import (
    DEFAULT_ARGS,
    FIRST,
    GIVEN_ID,
    LIVE_LISTS,
    PLACEMENTS,
    ROLLBACK,
    clock_of,
    decision_params,
    person_of,
    task_settings,
)

SECTION = "What to return to"


@task(outlets=[LIVE_LISTS], **FIRST)
def rollback() -> dict[str, Any]:
    """Bring the publication before back, and say what is live now."""
    import logging

    from recsys_stages import pipeline

    from recsys.moments import clock

    context = get_current_context()
    asked = context["params"]
    result = pipeline.roll_back(
        task_settings(),
        placement=asked["placement"],
        reason=asked["reason"],
        withdraw=asked["publication"],
        decided_by=person_of(context),
        channel="airflow",
        now=clock(),
        since=clock_of(context),
    )
    log = logging.getLogger(__name__)
    if result["repeated"]:
        log.warning("It was done already: %s is live. For another step back name it as the one to withdraw.", result)
    if result["mlflow_later"]:
        log.warning("MLflow's aliases follow by recsys_reconcile: %s", result["mlflow_later"])
    return result


@dag(
    dag_id=ROLLBACK,
    dag_display_name="Roll back recommendations",
    description="Back to the lists that were live before.",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=16,
    dagrun_timeout=timedelta(hours=1),
    default_args=DEFAULT_ARGS,
    params={
        "placement": Param(
            type="string",
            enum=PLACEMENTS,
            title="Placement",
            description="The place in the shop to return.",
            section=SECTION,
        ),
        "publication": Param(
            "",
            **GIVEN_ID,
            title="Publication to withdraw",
            description="As recsys publications shows it; empty: the one that is live.",
            section=SECTION,
        ),
        **decision_params(SECTION),
    },
    tags=["recommendations", "decision"],
)
def roll_back() -> None:
    """Return one placement."""
    rollback()


roll_back()
