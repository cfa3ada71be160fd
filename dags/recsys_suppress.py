"""Hides products or a customer's own lists at once, or shows them again.

**Purpose.** A recall, a brand that must go, a customer who asked to be forgotten: what is hidden here is out of all
live lists from this moment on, without a new publication, and stays so after a rollback.

**Inputs.** The form: what to do, and a product, brand or category, or a rule to end, or a customer; and why.

**Outputs.** Rows in `shop.suppressions` or the consent in `shop.users`, who and why in `recsys.suppression_changes`
and `recsys.consent_changes`, and the live files. Spare rows keep the lists at their length.

**On failure.** Nothing was changed, and the message says what can't be used, with names that come close. Clearing
the failed task tries the same again; what was done already is not done twice.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from recsys_wiring import DEFAULT_ARGS, END, GIVEN_ID, LINE, PLACEMENTS, POOL, REASON, SUPPRESS, clock_of, task_settings

HIDE, SHOW, WITHDRAW, GRANT = "hide products", "end a rule", "withdraw consent", "grant consent"
ACTIONS = [HIDE, SHOW, WITHDRAW, GRANT]
DAY = rf"^([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}})?)?)?{END}"


def text(title: str, description: str, section: str, **schema: Any) -> Param:
    """Return a line of the form that may stay empty."""
    return Param("", **{**LINE, **schema}, title=title, description=description, section=section)


PARAMS = {
    "action": Param(
        HIDE, type="string", enum=ACTIONS, title="What to do", description="At once.", section="What and why"
    ),
    "reason": Param(**REASON, title="Why", description="For whoever looks later.", section="What and why"),
    "item": text("Product", "Its id.", HIDE),
    "brand": text("Brand", "All its products.", HIDE),
    "category": text("Category", "A path or its beginning, such as 'GROCERY > SNACKS'.", HIDE),
    "placement": text("Placement", "Only there; everywhere if empty.", HIDE, enum=["", *PLACEMENTS]),
    "until": text("Until", "A date or UTC time; until it is ended if empty.", HIDE, pattern=DAY, maxLength=19),
    "rule": text("Rule", "The id of the rule to end, as recsys suppressions shows it.", SHOW, **GIVEN_ID),
    "customer": text(
        "Customer",
        "Their pseudonym, as reports and the review page show it (recsys pseudonym USER gives it, too). Airflow keeps "
        "what is entered here, so ids are refused.",
        "consent",
        pattern=rf"^(c-[0-9a-f]{{20}})?{END}",
        maxLength=22,
    ),
}


@task(pool=POOL, priority_weight=100)
def withholding() -> dict[str, Any]:
    """Enter what the form says; the person who triggered the run is answerable for it."""
    from recsys_stages import pipeline

    context = get_current_context()
    form, run = context["params"], context["dag_run"]
    who = {"by": run.triggering_user_name or "airflow", "reason": form["reason"], "now": clock_of(context)}
    if form["action"] == HIDE:
        chosen = {name: form[name] for name in ("item", "brand", "category", "placement", "until")}
        return pipeline.suppress(task_settings(), **chosen, **who)
    if form["action"] == SHOW:
        return pipeline.unsuppress(task_settings(), suppression_id=form["rule"], **who)
    return pipeline.set_consent(task_settings(), user_id=form["customer"], is_granted=form["action"] == GRANT, **who)


@dag(
    dag_id=SUPPRESS,
    dag_display_name="Hide from recommendations",
    description="Suppression rules and consent, at once, by a form.",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=30),
    default_args=DEFAULT_ARGS,
    params=PARAMS,
    tags=["recommendations", "decisions"],
)
def suppress() -> None:
    """Wire the one task."""
    withholding()


suppress()
