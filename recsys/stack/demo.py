"""The demo: from nothing to published recommendations, by the same DAGs that a shop runs."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console

from recsys.load import TerminalProgress, load_source
from recsys.settings import Settings
from recsys.stack.airflow_api import DONE, Run, TaskState
from recsys.stack.progress import Follower, clock_text, skip_reason
from recsys.stack.stack import Stack
from recsys.stack.summary import show_summary
from recsys.stack.up import addresses, dag_ids, make_ready, wait_for_ctrl_c
from recsys.warehouse import migrate, open_warehouse

SOURCE: Final = "completejourney"
_ASSET_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 1.0
# What the runs took on two cores with the whole demo shop; used until a run here has taken its own time.
_FIRST_ESTIMATE: Final[Mapping[str, float]] = {"train": 300.0, "publish": 90.0}


@dataclass(frozen=True)
class ChainResult:
    """What the two runs returned.

    Attributes:
        versions: registered model versions, each with placement, model, version and run_id.
        metrics: NDCG@10 by placement and model.
        waiting: why nothing was promoted; None when something was.
        publications: what the publication's tasks returned, one a placement.
    """

    versions: list[dict[str, Any]]
    metrics: dict[str, dict[str, float]]
    waiting: str | None
    publications: list[dict[str, Any]]


def run_demo(
    settings: Settings,
    *,
    exit_after: bool = False,
    customers: int | None = None,
    promotions: bool = False,
    console: Console | None = None,
) -> None:
    """Start the stack, load the demo shop where the warehouse is empty, train, publish, show what came of it.

    What is there is reused: a running stack, loaded data, and every stage whose inputs are the same.

    Args:
        settings: where, and on which ports.
        exit_after: end after the job; else the servers stay up until Ctrl-C.
        customers: load only so many customers, for a quick look.
        promotions: load the 20.9 million promotion rows too.
        console: where to show.

    Raises:
        RecsysError: what went wrong and what to do, from the stack, the load, or a failed task.
    """
    console = console or Console()
    began = time.monotonic()
    with Stack(settings, console) as stack:
        load_demo_shop(settings, console, customers=customers, promotions=promotions)
        make_ready(stack)
        console.print(addresses(stack))
        result = run_chain(stack)
        show_summary(stack, result.versions, result.metrics, result.publications)
        console.print(f"All done in {clock_text(time.monotonic() - began)}.")
        if not exit_after:
            console.print(addresses(stack))
            wait_for_ctrl_c(stack)
    if exit_after and not stack.attached:
        console.print("Airflow and MLflow are stopped; recsys up starts them again, with all that was made.")


def load_demo_shop(
    settings: Settings, console: Console, *, customers: int | None = None, promotions: bool = False
) -> None:
    """Load the demo shop, unless the warehouse holds events already.

    Raises:
        RecsysError: if the warehouse can't be opened or the package's data can't be mapped.
    """
    with open_warehouse(settings, purpose="recsys demo") as warehouse:
        migrate(warehouse)
        events = int(warehouse.query("select count(*) as events from shop.events")[0]["events"])
    if events:
        console.print(f"The warehouse holds {events:,} events already; using them.")
        return
    console.print("Loading the demo shop: a year of a real grocer's purchases.")
    with TerminalProgress(console) as progress:
        report = load_source(settings, SOURCE, customers=customers, promotions=promotions, progress=progress)
    console.print(", ".join(f"{rows:,} {table}" for table, rows in report.rows.items() if rows))


def run_chain(stack: Stack) -> ChainResult:
    """Run the training, then the publication that follows from it, and show both.

    Raises:
        StackError: if a run fails or a part of the stack ends.
    """
    train, publish = dag_ids(stack.settings)
    follower = Follower(stack.api, stack.console, stack.check)
    _cancel_abandoned(stack, train, publish)
    known = {run.run_id for run in stack.api.runs(publish)}
    trained = follower.follow(_started(stack, train), _expected(stack, train, "train"))
    tasks = _by_task(stack, trained)
    waiting = _why_waiting(stack, trained, tasks["promotion"][0])
    if waiting is None:
        run = _announced(stack, publish, known) or _started(stack, publish)
    else:
        stack.console.print(waiting)
        run = _started(stack, publish)
    published = follower.follow(run, _expected(stack, publish, "publish"))
    registered = stack.api.result(trained, tasks["registration"][0]) or {}
    evaluated = stack.api.result(trained, tasks["evaluation"][0]) or {}
    results = [stack.api.result(published, task) for task in _by_task(stack, published)["publication"]]
    return ChainResult(
        versions=registered.get("versions", []),
        metrics=evaluated.get("metrics", {}),
        waiting=waiting,
        publications=[result for result in results if result],
    )


def _cancel_abandoned(stack: Stack, *dag_ids: str) -> None:
    """End the runs of an earlier stack that was stopped in the middle: nobody works on them any more."""
    if stack.attached:
        return
    for dag_id in dag_ids:
        for run in _active(stack, dag_id):
            if run.queued_at < stack.launched_at:
                stack.api.cancel(run)


def _active(stack: Stack, dag_id: str) -> list[Run]:
    return stack.api.runs(dag_id, "running", "queued")


def _started(stack: Stack, dag_id: str) -> Run:
    """Return the run that is under way, else a new one."""
    active = _active(stack, dag_id)
    return active[-1] if active else stack.api.trigger(dag_id, {"as_of": "latest"}, "started by recsys demo")


def _announced(stack: Stack, dag_id: str, known: set[str]) -> Run | None:
    """Return the run that the new champion started; None if Airflow's hint did not come."""
    deadline = time.monotonic() + _ASSET_SECONDS
    with stack.console.status("Waiting for the new champion to start the publication"):
        while time.monotonic() < deadline:
            stack.check()
            for run in stack.api.runs(dag_id):
                if run.run_id not in known and run.run_type == "asset_triggered":
                    return run
            time.sleep(_POLL_SECONDS)
    return None


def _expected(stack: Stack, dag_id: str, kind: str) -> float:
    times = [run.seconds for run in stack.api.runs(dag_id, *DONE) if run.state == "success" and run.seconds]
    return times[0] if times else _FIRST_ESTIMATE[kind]


def _by_task(stack: Stack, run: Run) -> dict[str, list[TaskState]]:
    tasks: dict[str, list[TaskState]] = {}
    for task in sorted(stack.api.task_states(run), key=lambda task: task.map_index):
        tasks.setdefault(task.task_id, []).append(task)
    return tasks


def _why_waiting(stack: Stack, run: Run, promotion: TaskState) -> str | None:
    if promotion.state != "skipped":
        return None
    return skip_reason(stack.api.log(run, promotion)) or "Nothing was promoted; see the promotion task's log."
