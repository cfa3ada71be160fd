"""Makes the lists that would have been published on past days, and keeps them in the archive.

**Purpose.** To look back: what a day's customers would have seen, from data as of that day's 05:00 UTC, by the champion
that the ledger had then. Where there was none, a model is trained from what was known then; it is not registered.
Start it by Airflow's backfill (in the DAG's *Trigger* dialogue, or
`airflow backfill create --dag-id recsys_backfill --from-date 2017-11-01 --to-date 2017-12-01 --reprocess-behavior
completed`). The daily run of the schedule, without which Airflow offers no backfill, does nothing and is skipped.

**Inputs.** The warehouse's `shop` schema as of each day, `recsys.decisions`, and the champions' files in MLflow.

**Outputs.** Archived rows in `recsys.publications` and `recsys.published_rows`. No pointer and no alias moves, nothing
is announced, and customers see none of it.

**On failure.** Clear the failed task. A day before which there is too little history to train on fails at once.
A day that was archived before is skipped, and *archive* says so. Days with a skipped daily run need
*reprocess completed*.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException
from recsys_wiring import (
    BACKFILL,
    COMPUTE,
    DEFAULT_ARGS,
    PLACEMENTS,
    POOL,
    as_of_of,
    at,
    chain_params,
    explained,
    is_backfill,
    snapshot,
    task_settings,
)


@task(pool=POOL)
def champions() -> dict[str, Any]:
    """Find out what served each placement on that day; a run that is no backfill ends here."""
    from recsys_stages import pipeline

    context = get_current_context()
    if not is_backfill(context):
        raise AirflowSkipException(
            f"Nothing to do: {BACKFILL} makes the lists of past days, by Airflow's backfill only (airflow backfill "
            f"create --dag-id {BACKFILL} --from-date ... --to-date ... --reprocess-behavior completed)."
        )
    placements = context["params"]["placements"]
    return pipeline.find_past_champions(task_settings(), as_of=as_of_of(context), placements=placements)


@task(pool=COMPUTE, execution_timeout=timedelta(hours=2), max_active_tis_per_dag=1)
def models(snapshot: str, champions: dict[str, Any]) -> dict[str, Any]:
    """Fetch the champions of that day; train as of then where there was none."""
    from recsys_stages import pipeline

    return pipeline.fetch_past_models(task_settings(), snapshot=snapshot, champions=champions)


@task(pool=COMPUTE, max_active_tis_per_dag=1)
def recipes(snapshot: str, models: dict[str, Any]) -> list[dict[str, int]]:
    """Fit the models' recipes to that day's snapshot, and plan the shards."""
    from recsys_stages import pipeline

    fitted = pipeline.fit_past_models(task_settings(), snapshot=snapshot, models=models)
    context = get_current_context()
    context["ti"].xcom_push("state", fitted["state"])
    context["ti"].xcom_push("tasks", len(fitted["shards"]))
    return fitted["shards"]


@task(pool=COMPUTE, map_index_template="buckets from {{ task.op_kwargs['shard']['bucket_from'] }}")
def scoring(state: str, tasks: int, shard: dict[str, int]) -> dict[str, Any]:
    """Score one range of customers for all placements."""
    from recsys_stages import pipeline

    return pipeline.score_shard(task_settings(tasks), state=state, **shard)


@task(pool=POOL, map_index_template="{{ task.op_kwargs['placement'] }}")
def archive(state: str, models: dict[str, Any], lists: list[dict[str, Any]], placement: str) -> dict[str, Any]:
    """Stage, audit and keep one placement's lists."""
    from recsys_stages import pipeline

    from recsys.moments import clock

    if placement not in models:
        raise AirflowSkipException(f"{placement}: not asked for.")
    context = get_current_context()
    result = pipeline.archive_lists(
        task_settings(),
        state=state,
        lists=[lists[i]["lists"] for i in range(len(lists))],
        placement=placement,
        decision_id=models[placement]["decision_id"],
        run_id=context["run_id"],
        now=clock(),
    )
    if result["skipped"]:
        context["ti"].xcom_push("return_value", result)
        raise AirflowSkipException(f"{placement}: {result['publication_id']} is in the archive already.")
    return result


@dag(
    dag_id=BACKFILL,
    dag_display_name="Backfill recommendations",
    description="What would have been published on past days, archived.",
    doc_md=__doc__,
    schedule=at("0 5 * * *"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    default_args=DEFAULT_ARGS,
    params={"placements": chain_params()["placements"]},
    tags=["recommendations", "publication"],
)
def backfill() -> None:
    """Wire the stages from the champions of then to the archive."""
    serving, taken = champions(), snapshot()
    serving >> taken
    found = models(taken["snapshot"], serving["champions"])["models"]
    shards = recipes(taken["snapshot"], found)
    scored = explained(scoring).partial(state=shards["state"], tasks=shards["tasks"]).expand(shard=shards)
    explained(archive).partial(state=shards["state"], models=found, lists=scored).expand(placement=PLACEMENTS)


backfill()
