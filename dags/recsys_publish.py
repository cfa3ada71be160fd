"""Publishes today's recommendation lists of the champions back to the warehouse.

**Purpose.** Takes a fresh snapshot, fits the champion's recipe to it, scores all customers shard by
shard, and publishes each placement's lists: staged, audited, then live in one transaction. Versions on trial get
newer lists as well, for the same share of the customers. With `RECSYS_WHOLE_EVERY_DAYS` above 1 only customers of
whom something is new get new lists on the days between; all others keep those of the last whole publication.

**Inputs.** The warehouse's `shop` schema and the champions named by `recsys.decisions`. It runs daily,
whenever the champion changes, and by hand with *as of*, *placements* and *all lists*.

**Outputs.** `recsys.live_recommendations`, and the same lists as Parquet under the home folder's `live/`.

**On failure.** What is live stays live: lists that fail the audit are withdrawn and the message lists every
reason. Clear the failed task to try again; a publication that is already live is skipped, and says so.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import AssetOrTimeSchedule, Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException
from recsys_wiring import (
    CHAMPION,
    COMPUTE,
    DEFAULT_ARGS,
    LIVE_LISTS,
    PLACEMENTS,
    POOL,
    PUBLISH,
    at,
    chain_params,
    explained,
    publish_in_time,
    snapshot,
    task_settings,
)


@task(pool=POOL)
def state(snapshot: str) -> list[dict[str, int]]:
    """Fit the champions' recipes to the snapshot, and choose whose lists are made; without a champion nobody's."""
    from recsys_stages import pipeline

    context = get_current_context()
    placements, whole = context["params"]["placements"], context["params"]["whole"]
    fitted = pipeline.fit_state(task_settings(), snapshot=snapshot, placements=placements, whole=whole)
    if not fitted["placements"]:
        raise AirflowSkipException(f"No champion yet for {', '.join(placements)}: train and approve one first.")
    # Airflow maps over a task's return value only, so the shards are that and the rest goes beside it.
    context["ti"].xcom_push("state", fitted["state"])
    context["ti"].xcom_push("placements", fitted["placements"])
    context["ti"].xcom_push("tasks", len(fitted["shards"]))
    return fitted["shards"]


@task(pool=COMPUTE, map_index_template="buckets from {{ task.op_kwargs['shard']['bucket_from'] }}")
def scoring(state: str, tasks: int, shard: dict[str, int]) -> dict[str, Any]:
    """Score the chosen customers of one range for all placements."""
    from recsys_stages import pipeline

    return pipeline.score_shard(task_settings(tasks), state=state, **shard)


@task(pool=POOL, outlets=[LIVE_LISTS], map_index_template="{{ task.op_kwargs['placement'] }}")
def publication(state: str, placements: list[str], lists: list[dict[str, Any]], placement: str) -> dict[str, Any]:
    """Stage, audit and put one placement's lists live."""
    from recsys_stages import pipeline

    from recsys.moments import clock

    if placement not in placements:
        raise AirflowSkipException(f"{placement}: not asked for, or without a champion.")
    context = get_current_context()
    result = pipeline.publish_lists(
        task_settings(),
        state=state,
        lists=[lists[i]["lists"] for i in range(len(lists))],
        placement=placement,
        run_id=context["run_id"],
        now=clock(),
    )
    if result["skipped"]:
        context["ti"].xcom_push("return_value", result)
        raise AirflowSkipException(f"{placement}: publication {result['publication_id']} is live already.")
    return result


@task(pool=POOL, trigger_rule="none_failed", execution_timeout=timedelta(hours=2))
def canaries(snapshot: str) -> list[dict[str, Any]]:
    """Make newer lists of the versions on trial; skipped where there is none."""
    from recsys_stages import pipeline

    from recsys.moments import clock

    context = get_current_context()
    placements = context["params"]["placements"]
    shown = pipeline.renew_canaries(
        task_settings(), snapshot=snapshot, placements=placements, run_id=context["run_id"], clock=clock
    )
    if not shown:
        raise AirflowSkipException(f"No canary runs on {', '.join(placements)}.")
    if ended := [one for one in shown if one["status"] != "running"]:
        told = ", ".join(f"{one['canary_id']} is {one['status']}" for one in ended)
        context["ti"].xcom_push("return_value", shown)
        raise AirflowSkipException(f"Ended while newer lists were made: {told}.")
    return shown


@dag(
    dag_id=PUBLISH,
    dag_display_name="Publish recommendations",
    description="Snapshot, state, scoring by shard, publication, canaries.",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(timetable=at("0 5 * * *"), assets=[CHAMPION]),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    deadline=publish_in_time(),
    default_args=DEFAULT_ARGS,
    params={
        **chain_params(),
        "whole": Param(
            False,
            type="boolean",
            title="All lists",
            description="Make the lists of all customers, also where RECSYS_WHOLE_EVERY_DAYS would have only those "
            "of customers made of whom something is new.",
            section="What to compute",
        ),
    },
    tags=["recommendations", "publication"],
)
def publish() -> None:
    """Wire the stages from the snapshot to the live lists."""
    taken = snapshot()["snapshot"]
    shards = state(taken)
    scored = explained(scoring).partial(state=shards["state"], tasks=shards["tasks"]).expand(shard=shards)
    published = (
        explained(publication)
        .partial(state=shards["state"], placements=shards["placements"], lists=scored)
        .expand(placement=PLACEMENTS)
    )
    # Last, so that a version on trial never delays what everybody sees.
    published >> canaries(taken)


publish()
