"""Tries a version on a share of the customers, or in shadow, by a form; widens the trial and ends it.

**Purpose.** Before a version is for everybody, a share of the customers sees its lists, always the same ones, or
nobody does (a shadow). *Widen* keeps who is in. *Promote* and *withdraw* end it: for everybody, or for nobody.

**Inputs.** What to do, placement and reason from the form; *start* and *shadow* take the version, *start* and
*widen* the share in percent. *Canary*, if given, is which trial is meant, so that a late click does not move another
one. Who decides is the user who triggers the run; *decided by* is added to their name.

**Outputs.** `recsys.live_recommendations`, rows in `recsys.canaries`, `recsys.canary_moves` and `recsys.decisions`;
after an end the aliases in MLflow, which follow by `recsys_reconcile` where MLflow is away.

**On failure.** Nothing was changed, or all of it was: clear the failed task, and what was done is not done twice.
The message says what can't be done, such as a version that the gate did not pass (*override* allows it).
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException
from recsys_wiring import (
    CANARY,
    DEFAULT_ARGS,
    END,
    FIRST,
    GIVEN_ID,
    LIVE_LISTS,
    PLACEMENTS,
    POOL,
    chain_params,
    clock_of,
    decision_params,
    person_of,
    snapshot,
    task_settings,
)

SECTION = "What to try"
MAKES_LISTS = ("start", "shadow", "refresh")
ACTIONS = [*MAKES_LISTS, "widen", "promote", "withdraw"]
PARAMS = {
    "action": Param(
        type="string",
        enum=ACTIONS,
        title="What to do",
        description="Start it, or start it in shadow; bring newer lists; widen it; end it for everybody or for nobody.",
        section=SECTION,
    ),
    "placement": Param(
        type="string", enum=PLACEMENTS, title="Placement", description="The place in the shop.", section=SECTION
    ),
    "version": Param(
        "",
        type="string",
        pattern=rf"^[0-9]*{END}",
        maxLength=9,
        title="Version",
        description="To start: its number in MLflow, of the placement's model.",
        section=SECTION,
    ),
    "share": Param(
        10.0,
        type="number",
        minimum=0.01,
        maximum=100,
        title="Share in percent",
        description="To start or to widen: of all customers.",
        section=SECTION,
    ),
    **decision_params(SECTION),
    "canary": Param(
        "",
        **GIVEN_ID,
        title="Canary",
        description="To widen or to end: its id, as recsys canary status shows it; empty: the one that runs.",
        section=SECTION,
    ),
    "override": Param(
        False,
        type="boolean",
        title="Override",
        description="Start it although the gate did not pass it; the record says so.",
        section=SECTION,
    ),
    "as_of": chain_params()["as_of"],
}


@task.branch(**FIRST)
def action() -> str:
    """Choose the way: what makes lists first takes its time, what moves a canary is done at once."""
    from recsys.errors import SettingsError

    form = get_current_context()["params"]
    if form["action"] in ("start", "shadow") and not form["version"]:
        raise SettingsError("To start a canary, say which version: its number in MLflow.")
    return "snapshot" if form["action"] in MAKES_LISTS else "move"


@task(pool=POOL, outlets=[LIVE_LISTS], execution_timeout=timedelta(hours=2))
def trial(snapshot: str) -> Any:
    """Make the version's lists and show them: to its share, to nobody, or to those who see older ones."""
    from recsys_stages import pipeline

    from recsys.moments import clock

    context = get_current_context()
    form, settings, run_id = context["params"], task_settings(), context["run_id"]
    placement, override = form["placement"], form["override"]
    if form["action"] == "refresh":
        shown = pipeline.renew_canaries(settings, snapshot=snapshot, placements=[placement], run_id=run_id, clock=clock)
        if [one["status"] for one in shown] != ["running"]:
            raise AirflowSkipException(f"No canary runs on {placement}, so there is nothing to refresh.")
        return shown[0]
    made = pipeline.make_canary_lists(
        settings, snapshot=snapshot, placement=placement, version=form["version"], override=override
    )
    return pipeline.start_canary(
        settings,
        **made,
        share=0.0 if form["action"] == "shadow" else form["share"] / 100,
        decided_by=person_of(context),
        channel="airflow",
        reason=form["reason"],
        override=override,
        run_id=run_id,
        now=clock(),
        since=clock_of(context),
    )


@task(outlets=[LIVE_LISTS], **FIRST)
def move() -> dict[str, Any]:
    """Widen the canary or end it, in one transaction."""
    import logging

    from recsys_stages import pipeline

    from recsys.moments import clock

    context = get_current_context()
    form = context["params"]
    moved = pipeline.move_canary(
        task_settings(),
        placement=form["placement"],
        move=form["action"],
        share=form["share"] / 100,
        canary_id=form["canary"] or None,
        decided_by=person_of(context),
        channel="airflow",
        reason=form["reason"],
        now=clock(),
        since=clock_of(context),
    )
    if moved["mlflow_later"]:
        logging.getLogger(__name__).warning("MLflow follows by recsys_reconcile: %s", moved["mlflow_later"])
    return moved


@dag(
    dag_id=CANARY,
    dag_display_name="Try a version",
    description="Canary and shadow: start, widen, refresh and end, by a form.",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    # To end a canary doesn't wait until another one's lists are made.
    max_active_runs=16,
    dagrun_timeout=timedelta(hours=3),
    default_args=DEFAULT_ARGS,
    params=PARAMS,
    tags=["recommendations", "decision"],
)
def canary() -> None:
    """Wire the choice to the two ways."""
    taken = snapshot()
    action() >> [taken, move()]
    trial(taken["snapshot"])


canary()
