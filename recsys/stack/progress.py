"""Shows a run's tasks while they run: a live table on a terminal, a line a change elsewhere."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from recsys.errors import RecsysError, StackError
from recsys.stack.airflow_api import DONE, FAILED, AirflowApi, Run, TaskState

_POLL_SECONDS: Final = 1.0
_MARKS: Final[Mapping[str | None, tuple[str, str]]] = {
    "success": ("✓", "green"),
    "failed": ("✗", "red"),
    "upstream_failed": ("-", "red"),
    "skipped": ("-", "yellow"),
    "running": ("▶", "cyan"),
    "up_for_retry": ("↻", "yellow"),
}
_WAITING: Final = ("·", "dim")
# States that a person need not see one by one: the task is on its way.
_ON_THE_WAY: Final = frozenset({None, "scheduled", "queued"})


@dataclass(frozen=True)
class Follower:
    """Follows runs of one Airflow.

    Attributes:
        api: the Airflow.
        console: where to show.
        check: called at each look; raises when a part of the stack has ended.
    """

    api: AirflowApi
    console: Console
    check: Callable[[], None] = lambda: None

    def follow(self, run: Run, expected: float | None = None) -> Run:
        """Show a run until it ends.

        Args:
            run: the run; it may have ended already.
            expected: seconds that such a run took before, for the estimate of what is left.

        Returns:
            The run in its final state, which is success.

        Raises:
            StackError: if the run fails: the failed task and what it said; or if Airflow stops answering.
        """
        order = topological_order(self.api.downstream(run.dag_id))
        view = _LiveView(self.console) if self.console.is_terminal else _LineView(self.console)
        began = time.monotonic()
        told: set[TaskState] = set()
        with view:
            while True:
                run, tasks = self._look(run, order)
                self._tell_retries(run, tasks, told)
                view.show(run, tasks, time.monotonic() - began, expected)
                if run.state in DONE:
                    break
                time.sleep(_POLL_SECONDS)
        if run.state == FAILED:
            raise StackError(self._why_failed(run, tasks))
        return run

    def _look(self, run: Run, order: Sequence[str]) -> tuple[Run, list[TaskState]]:
        self.check()
        try:
            run = self.api.run(run.dag_id, run.run_id)
            tasks = self.api.task_states(run)
        except StackError:
            self.check()  # a part that has just ended is the better explanation
            raise
        place = {task_id: index for index, task_id in enumerate(order)}
        return run, sorted(tasks, key=lambda task: (place.get(task.task_id, len(place)), task.map_index))

    def _tell_retries(self, run: Run, tasks: Sequence[TaskState], told: set[TaskState]) -> None:
        for task in tasks:
            if task.state == "up_for_retry" and task not in told:
                told.add(task)
                said = failure_message(self.api.log(run, task))
                self.console.print(Text(f"{task.label} failed and will be tried again: {said}", "yellow"))

    def _why_failed(self, run: Run, tasks: Sequence[TaskState]) -> str:
        failed = [task for task in tasks if task.state == FAILED]
        if not failed:
            return f"The run {run.run_id} of {run.dag_id} failed, though no task of it did: was it cancelled?"
        said = failure_message(self.api.log(run, failed[0]))
        page = f"{self.api.url}/dags/{run.dag_id}/runs/{run.run_id}"
        return f"The task {failed[0].label} of {run.dag_id} failed.\n{said}\nAll about this run: {page}"


def skip_reason(log: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the sentence with which a task skipped itself, None where its log has none."""
    reasons = [line["reason"] for line in log if line.get("event") == "Skipping task." and line.get("reason")]
    return str(reasons[-1]) if reasons else None


def failure_message(log: Sequence[Mapping[str, Any]], lines: int = 8) -> str:
    """Return what a failed task's log says: the message of its last error, else its last lines.

    An error that the platform reports on purpose is for a person, and is given without a trace.
    """
    errors = [error for line in log for error in _errors(line)]
    if errors:
        kind, value = str(errors[-1].get("exc_type")), str(errors[-1].get("exc_value"))
        return value if kind in _reported_kinds() else f"{kind}: {value}"
    return "\n".join(str(line.get("event", "")) for line in list(log)[-lines:])


def _errors(line: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = line.get("error_detail") or []
    return [error for error in found if isinstance(error, Mapping)]


def _reported_kinds() -> set[str]:
    def below(kind: type[Exception]) -> set[str]:
        return {kind.__name__}.union(*(below(child) for child in kind.__subclasses__()))

    return below(RecsysError)


def topological_order(downstream: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the tasks in an order in which each stands after all that it waits for."""
    waits = dict.fromkeys(downstream, 0)
    for followers in downstream.values():
        for follower in followers:
            waits[follower] += 1
    ready = [task for task, count in waits.items() if count == 0]
    order: list[str] = []
    while ready:
        task = ready.pop(0)
        order.append(task)
        for follower in downstream[task]:
            waits[follower] -= 1
            if waits[follower] == 0:
                ready.append(follower)
    return order


def clock_text(seconds: float) -> str:
    """Return seconds as minutes and seconds, 2:05."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _header(run: Run, elapsed: float, expected: float | None) -> str:
    text = f"{run.dag_id}  {run.state}, {clock_text(elapsed)}"
    if expected is None or run.state in DONE:
        return text
    left = expected - elapsed
    return f"{text}, about {clock_text(left)} left" if left > 0 else f"{text}, longer than usual"


class _LiveView:
    """A table that is drawn anew."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=4)

    def __enter__(self) -> "_LiveView":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, run: Run, tasks: Sequence[TaskState], elapsed: float, expected: float | None) -> None:
        """Draw the tasks."""
        table = Table(title=_header(run, elapsed, expected), title_justify="left", box=None)
        table.add_column("")
        table.add_column("task")
        table.add_column("state")
        table.add_column("seconds", justify="right")
        for task in tasks:
            mark, style = _MARKS.get(task.state, _WAITING)
            seconds = "" if task.seconds is None else f"{task.seconds:.0f}"
            state = "waiting" if task.state in _ON_THE_WAY else str(task.state)
            table.add_row(Text(mark, style), Text(task.label), Text(state, style), Text(seconds))
        self._live.update(table, refresh=True)


class _LineView:
    """A line for each task that starts or ends, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen: dict[tuple[str, int], str | None] = {}

    def __enter__(self) -> "_LineView":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, run: Run, tasks: Sequence[TaskState], elapsed: float, expected: float | None) -> None:
        """Print what is new."""
        for task in tasks:
            key = (task.task_id, task.map_index)
            if task.state in _ON_THE_WAY or self._seen.get(key) == task.state:
                continue
            self._seen[key] = task.state
            ended = "" if task.state == "running" or task.seconds is None else f" after {task.seconds:.0f} s"
            header = _header(run, elapsed, expected)
            self._console.print(Text(f"[{header}] {task.label}: {task.state}{ended}"), soft_wrap=True)
