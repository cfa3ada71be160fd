"""Erases a customer from everything that the platform keeps, and removes what is kept no longer.

**Purpose.** A customer asks to be forgotten: rows, snapshots, lists and examples go, and they are not processed again.
Every day, without a form, what is older than the settings of `privacy` keep is removed, and whoever was erased and came
back with a restored back-up is erased again.

**Inputs.** The form: the customer's pseudonym, as the review page and `recsys pseudonym USER` show it, and why. Airflow
keeps what is entered in a form for good, so it takes no ids.

**Outputs.** A proof below `RECSYS_HOME/erasures/` and in `recsys.erasures` (what, where, how many, when, by whom, and
which models had learned from it), without the id; the do-not-process list.

**On failure.** Clear the failed task: the erasure goes on where it was. A pseudonym that nobody has is told.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from recsys_wiring import DEFAULT_ARGS, END, ERASE, NOTE, POOL, at, clock_of, task_settings

PARAMS = {
    "customer": Param(
        "",
        type="string",
        pattern=rf"^(c-[0-9a-f]{{20}})?{END}",
        maxLength=22,
        title="Customer",
        description="Their pseudonym, such as c-0123456789abcdef0123; nobody is erased if it stays empty.",
        section="Whom and why",
    ),
    "reason": Param(
        "",
        **NOTE,
        title="Why",
        description="Such as the number of the request; it is kept, so don't name the customer.",
        section="Whom and why",
    ),
}


@task(pool=POOL, priority_weight=100)
def erasure() -> dict[str, Any]:
    """Erase the customer of the form, then remove what is kept no longer; the result names nobody."""
    from recsys_stages import pipeline

    context = get_current_context()
    form, settings, now = context["params"], task_settings(), clock_of(context)
    by = context["dag_run"].triggering_user_name or "airflow"
    told: dict[str, Any] = {}
    if form["customer"]:
        told = pipeline.erase(settings, user=form["customer"], by=by, reason=form["reason"], now=now)
    return {**told, "retention": pipeline.retain(settings, by=by, now=now)}


@dag(
    dag_id=ERASE,
    dag_display_name="Erase a customer",
    description="Erasure on request by a form, and retention every day.",
    doc_md=__doc__,
    schedule=at("30 2 * * *"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    default_args=DEFAULT_ARGS,
    params=PARAMS,
    tags=["recommendations", "privacy"],
)
def erase() -> None:
    """Wire the one task."""
    erasure()


erase()
