"""Looks at the shop's data, at drift and at what customers get, and says when something is wrong.

**Purpose.** Measures how fresh and complete the data is, how far customers and scores have drifted since the
champion was trained, how old the lists are and whom they reach, and, once the days that they were made for have passed,
how good published lists turned out to be.

**Inputs.** The warehouse's `shop` schema (by a snapshot) and what is published. It runs daily, after the publication,
and by hand. The section `monitoring` of the settings has every limit.

**Outputs.** Rows in `recsys.measurements`, a run of the experiment `<namespace>_monitoring` in MLflow, and
`monitoring/latest.json` below the home folder, which the review page and the Prometheus endpoint read.

**On failure.** *check* fails where a figure is a breach; its message lists each and says what to do, and so does the
notification (`RECSYS_MONITORING__NOTIFY`). Mend it and trigger the DAG again, or change the limit.
*measurements* fails only where nothing could be measured: clear it. MLflow being away fails nothing.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, get_current_context, task
from recsys_notify import Notifier
from recsys_wiring import DEFAULT_ARGS, MONITOR, POOL, at, clock_of, task_settings


@task(pool=POOL)
def measurements() -> dict[str, Any]:
    """Measure and record every figure."""
    from recsys_stages import pipeline

    context = get_current_context()
    return pipeline.monitor(task_settings(), now=clock_of(context), run_id=context["run_id"])


@task
def check(measured: dict[str, Any]) -> dict[str, Any]:
    """Fail if a figure is a breach, and say what to do."""
    from recsys_stages import pipeline

    return pipeline.check_measured(task_settings(), measured=measured)


@dag(
    dag_id=MONITOR,
    dag_display_name="Monitor recommendations",
    description="Freshness, volume, drift, coverage and realised quality.",
    doc_md=__doc__,
    schedule=at("0 7 * * *"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=2),
    default_args={**DEFAULT_ARGS, "on_failure_callback": [Notifier()]},
    tags=["recommendations", "monitoring"],
)
def monitor() -> None:
    """Wire the look and the check."""
    check(measurements())


monitor()
