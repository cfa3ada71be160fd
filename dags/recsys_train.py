"""Trains the models of the shop's placements and decides whether a new one may serve.

**Purpose.** Takes a snapshot of the shop's events, builds features and candidates, trains a ranker,
measures it beside every simpler model on a time window that it has not seen, and registers it in MLflow
with the evidence. The gate then either promotes it or leaves it for a person, whom `recsys_approve` asks.

A scheduled run asks first whether a training is worth it: new events, drift, age (section `retraining` of the
settings). Otherwise everything is skipped, and *needed* says why. A run that a person starts always trains.

**Inputs.** The warehouse's `shop` schema, read once by the task *snapshot*; everything after reads that
snapshot. *As of* and *placements* are asked by the trigger form.

**Outputs.** A model version a placement in MLflow, its evaluation report, and rows in `recsys.decisions`. A
promotion announces the new champion, which starts the publication.

**On failure.** Clear the failed task: every task gives the same result again and leaves no debris. A
message that names a setting, a column or an empty table fails at once, since another try can't mend it.
*promotion* is skipped when nothing was promoted; its log says whose decision is awaited.
"""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException
from recsys_links import ArtifactLink, ReportLink, ReviewLink, RunLink, linked
from recsys_wiring import (
    APPROVE,
    CHAMPION,
    COMPUTE,
    DEFAULT_ARGS,
    FIRST,
    POOL,
    TRAIN,
    at,
    chain_params,
    clock_of,
    explained,
    snapshot,
    task_settings,
)

NAMED = "{{ task.op_kwargs['part']['name'] }}"


@task(pool=POOL)
def needed() -> dict[str, Any]:
    """Ask whether a training is worth it; one that a person started is."""
    from recsys_stages import pipeline

    context = get_current_context()
    if context["dag_run"].run_type != "scheduled":
        return {"needed": True, "reasons": ["A person started it."]}
    asked = pipeline.retraining_needed(task_settings(), now=clock_of(context))
    if not asked["needed"]:
        context["ti"].xcom_push("return_value", asked)
        raise AirflowSkipException(f"No training is needed. {' '.join(asked['reasons'])}")
    return asked


@task
def plan(snapshot: str, of: str) -> list[dict[str, Any]]:
    """Divide the work by training cuts, generators and rankers; it is one part where there are few customers."""
    from recsys_stages import pipeline

    context = get_current_context()
    placements = context["params"]["placements"]
    planned = pipeline.plan_training(task_settings(), snapshot=snapshot, placements=placements)[of]
    context["ti"].xcom_push("tasks", len(planned))
    return list(planned)


@task(pool=COMPUTE, map_index_template=NAMED)
def ingredients(snapshot: str, tasks: int, part: dict[str, Any]) -> dict[str, Any]:
    """Describe customers, items and their pairs, and let the generators propose items, at the training cuts."""
    from recsys_stages import pipeline

    return pipeline.make_ingredients(task_settings(tasks), snapshot=snapshot, **_without_name(part))


@task(pool=COMPUTE, map_index_template=NAMED)
def ranking_set(snapshot: str, tasks: int, part: dict[str, Any]) -> dict[str, Any]:
    """Fuse the candidates and join what the ranker learns from, at the training cuts."""
    from recsys_stages import pipeline

    placements = get_current_context()["params"]["placements"]
    asked = {"snapshot": snapshot, "placements": placements, **_without_name(part)}
    return pipeline.make_ranking_rows(task_settings(tasks), **asked)


@task(pool=COMPUTE, execution_timeout=timedelta(hours=2), map_index_template=NAMED)
def ranker(snapshot: str, tasks: int, part: dict[str, Any]) -> dict[str, Any]:
    """Train each placement's ranker: the evaluation twin and the release."""
    from recsys_stages import pipeline

    placements = get_current_context()["params"]["placements"]
    asked = {"snapshot": snapshot, "placements": placements, **_without_name(part)}
    return pipeline.learn_rankers(task_settings(tasks), **asked)


def _without_name(part: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != "name"}


@task(pool=POOL)
def champions() -> dict[str, Any]:
    """Fetch the models that serve now, to be compared with."""
    from recsys_stages import pipeline

    return pipeline.find_champions(task_settings(), placements=get_current_context()["params"]["placements"])


@task(pool=COMPUTE)
def evaluation(snapshot: str, champions: dict[str, Any]) -> dict[str, Any]:
    """Measure the twin beside the model that serves and every simpler one, on days that none of them has seen."""
    from recsys_stages import pipeline

    settings, placements = task_settings(), get_current_context()["params"]["placements"]
    joined = pipeline.join_training(settings, snapshot=snapshot, placements=placements)
    measured = pipeline.evaluate_models(settings, snapshot=snapshot, champions=champions, **joined)
    return {**measured, "rankers": joined["rankers"]}


@task
def registration(snapshot: str, rankers: str, evaluation: str) -> dict[str, Any]:
    """Log the run and register a model version a placement in MLflow, with the evidence."""
    from recsys_stages import pipeline

    run_name = get_current_context()["run_id"]
    return pipeline.register_models(
        task_settings(), snapshot=snapshot, rankers=rankers, evaluation=evaluation, run_name=run_name
    )


@task(pool=POOL)
def gate(evaluation: str, versions: list[dict[str, Any]]) -> dict[str, Any]:
    """Judge each version by the rules, and say whether a person has to decide."""
    from recsys_stages import pipeline

    return pipeline.apply_gate(task_settings(), evaluation=evaluation, versions=versions)


@task(pool=POOL, outlets=[CHAMPION])
def promotion(verdicts: list[dict[str, Any]]) -> dict[str, Any]:
    """Make a version the champion where the gate allows it; else say who has to decide."""
    from recsys_stages import pipeline

    from recsys.moments import clock

    context = get_current_context()
    result = pipeline.promote(task_settings(), verdicts=verdicts, now=clock(), channel="airflow")
    if not result["promoted"]:
        # A skipped task sends no asset event, so nothing downstream starts on silence.
        context["ti"].xcom_push("return_value", result)
        waiting = "; ".join(f"{v['model']} {v['version']}: {v['why']}" for v in result["waiting"])
        raise AirflowSkipException(f"Nothing was promoted. {waiting or 'No version passed the gate.'}")
    context["outlet_events"][CHAMPION].extra = {"promoted": result["promoted"]}
    return result


@task(trigger_rule="none_failed", **FIRST)
def waiting(promoted: dict[str, Any] | None, verdicts: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """List the versions that the gate passed and a person has to decide about."""
    if promoted is None or verdicts is None:
        raise AirflowSkipException("Nothing was trained, so there is nothing to decide.")
    asked = {(one["model"], one["version"]) for one in promoted["waiting"]}
    return [
        {"conf": {"model": model, "version": version}, "trigger_run_id": f"{model}-{version}"}
        for model, version in sorted(asked & {(v["model"], v["version"]) for v in verdicts if v["gate"] == "passed"})
    ]


def _divided(work: Any, snapshot: Any, of: str) -> Any:
    """Map a task over what a plan of its own says."""
    planned = plan.override(task_id=of)(snapshot, of)
    return explained(work).partial(snapshot=snapshot, tasks=planned["tasks"]).expand(part=planned)


@dag(
    dag_id=TRAIN,
    dag_display_name="Train recommendations",
    description="Snapshot, ingredients, ranking set, ranker, evaluation, registration, gate.",
    doc_md=__doc__,
    schedule=at("0 3 * * 1"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    default_args=DEFAULT_ARGS,
    params=chain_params(),
    tags=["recommendations", "training"],
)
def train() -> None:
    """Wire the stages from the snapshot to the promotion."""
    taken = snapshot()
    needed() >> taken
    made = _divided(ingredients, taken["snapshot"], "parts")
    ranked = _divided(ranking_set, taken["snapshot"], "rows")
    trained = _divided(ranker, taken["snapshot"], "learners")
    serving = champions()
    # Late, so that what was decided while the ranker learned counts.
    made >> ranked >> trained >> serving
    measured = evaluation(taken["snapshot"], serving["champions"])
    linked(measured, [ReportLink()])
    registered = registration(taken["snapshot"], measured["rankers"], measured["evaluation"])
    linked(registered, [RunLink(), ArtifactLink()])
    verdicts = linked(gate(measured["evaluation"], registered["versions"]), [RunLink(), ArtifactLink(), ReviewLink()])[
        "verdicts"
    ]
    # A run of its own for each: a question that waits for days must not keep the next training from beginning.
    TriggerDagRunOperator.partial(
        task_id="approvals",
        trigger_dag_id=APPROVE,
        logical_date=None,
        skip_when_already_exists=True,
        doc_md="Ask a person about each version that waits, once.",
        **FIRST,
    ).expand_kwargs(waiting(promotion(verdicts), verdicts))


train()
