"""Asks a person whether a model version may serve, and records the answer.

**Purpose.** The question waits under *Required actions* with the evidence in its body. There is a run for each
version, apart from the training that made it: a question may wait for days, and the next training, of which one
runs at a time, must not wait with it.

**Inputs.** Model and version, from `recsys_train` for what the gate passed and the policy leaves to a person;
triggering it by hand asks again.

**Outputs.** A row in `recsys.decisions` with the name of who answered. Nobody's answer by the deadline
(`RECSYS_REVIEW__DEADLINE_HOURS`) is a rejection, unless somebody has decided elsewhere. An approval announces the
champion, which starts the publication; *decision* is skipped otherwise.

**On failure.** The message says what is wrong. Clear *decision* to record the answer again: it isn't recorded
twice. *evidence* is skipped where there is nothing to ask.
"""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException
from recsys_wiring import APPROVE, CHAMPION, DEADLINE, DEFAULT_ARGS, FIRST, MODEL, NOTE, VERSION, task_settings

YES, NO = "Approve", "Reject"


@task(**FIRST)
def evidence() -> dict[str, Any]:
    """Fetch what the reviewer is shown; there is no question where somebody has decided already."""
    from recsys_stages import pipeline

    asked = get_current_context()["params"]
    result = pipeline.request_review(task_settings(), model=asked["model"], version=asked["version"])
    if result["settled"]:
        raise AirflowSkipException(result["settled"])
    return result


@task(outlets=[CHAMPION], **FIRST)
def decision(placement: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Record the answer, or that there was none, and announce the champion if it is an approval."""
    from recsys_stages import pipeline

    from recsys.moments import clock

    context = get_current_context()
    asked, user = context["params"], answer["responded_by_user"]
    result = pipeline.answer_review(
        task_settings(),
        model=asked["model"],
        version=asked["version"],
        placement=placement,
        is_approved=answer["chosen_options"] == [YES],
        answered_by=user["name"] if user else None,
        reason=answer["params_input"].get("reason", ""),
        now=clock(),
    )
    if result["verdict"] != "approved" or not result["serves"]:
        context["ti"].xcom_push("return_value", result)
        raise AirflowSkipException(f"{result['why']} There is nothing to publish.")
    context["outlet_events"][CHAMPION].extra = {"approved": [result]}
    return result


@dag(
    dag_id=APPROVE,
    dag_display_name="Approve a model",
    description="Ask a person, with the evidence; no answer is a rejection.",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=64,
    dagrun_timeout=DEADLINE + timedelta(hours=6),
    default_args=DEFAULT_ARGS,
    params={
        "model": Param(**MODEL, title="Model", description="Such as recsys_for_you."),
        "version": Param(**VERSION, title="Version", description="Its number in MLflow."),
    },
    tags=["recommendations", "decision"],
)
def approve() -> None:
    """Wire the evidence to the question, and the question to the record."""
    shown = evidence()
    # Not Airflow's ApprovalOperator: that skips what follows a rejection, and a rejection is recorded as well.
    approval = HITLOperator(
        task_id="approval",
        subject=shown["subject"],
        body=shown["body"],
        options=[YES, NO],
        defaults=NO,
        response_timeout=DEADLINE,
        params={"reason": Param("", **NOTE, title="Reason", description="For whoever reads the record.")},
        doc_md="Wait for a person's answer; none by the deadline counts as Reject.",
    )
    decision(shown["placement"], approval.output)


approve()
