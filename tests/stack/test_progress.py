"""Following a run: order, what a failure says, what is printed."""

import json
from io import StringIO

import httpx
import pytest
from rich.console import Console

from recsys.errors import StackError
from recsys.stack.airflow_api import AirflowApi
from recsys.stack.progress import Follower, clock_text, failure_message, skip_reason, topological_order

TASKS = {"snapshot": ["features"], "features": []}


def instance(task_id: str, state: str | None, seconds: float | None = None) -> dict[str, object]:
    return {
        "task_id": task_id,
        "map_index": -1,
        "rendered_map_index": None,
        "state": state,
        "duration": seconds,
        "try_number": 1,
    }


def run_row(state: str) -> dict[str, object]:
    return {
        "dag_id": "recsys_train",
        "dag_run_id": "r1",
        "state": state,
        "run_type": "manual",
        "queued_at": "2025-01-01T00:00:00Z",
        "run_after": "2025-01-01T00:00:00Z",
        "start_date": "2025-01-01T00:00:01Z",
        "end_date": None if state == "running" else "2025-01-01T00:02:01Z",
    }


class Script:
    """Answers as Airflow does, one look after the other."""

    def __init__(self, looks: list[tuple[str, list[dict[str, object]]]], log: object = ()) -> None:
        self.looks = looks
        self.log = log
        self.tokens = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/auth/token":
            self.tokens += 1
            return httpx.Response(201, json={"access_token": f"t{self.tokens}"})
        if request.headers["authorization"] == "Bearer t1":
            return httpx.Response(401, json={"detail": "expired"})
        return httpx.Response(200, json=self.answer(path.rsplit("/", 1)[-1]))

    def answer(self, last: str) -> object:
        if last == "taskInstances":
            look = self.looks.pop(0)[1] if len(self.looks) > 1 else self.looks[0][1]
            return {"task_instances": look, "total_entries": len(look)}
        tasks = [{"task_id": task, "downstream_task_ids": after} for task, after in TASKS.items()]
        return {"tasks": {"tasks": tasks}, "r1": run_row(self.looks[0][0]), "1": {"content": self.log}}[last]


def follow(script: Script, expected: float | None = None) -> str:
    output = StringIO()
    api = AirflowApi("http://airflow", "admin", "pw", transport=httpx.MockTransport(script))
    console = Console(file=output, width=200)
    try:
        Follower(api, console).follow(api.run("recsys_train", "r1"), expected)
    finally:
        api.close()
    return output.getvalue()


def test_a_task_stands_after_all_that_it_waits_for() -> None:
    after = {"d": [], "b": ["d"], "a": ["b", "c"], "c": ["d"]}
    assert topological_order(after) == ["a", "b", "c", "d"]


def test_each_change_is_one_line_and_a_token_that_expired_is_asked_for_again() -> None:
    script = Script(
        [
            ("running", [instance("features", None), instance("snapshot", "running")]),
            ("running", [instance("features", "queued"), instance("snapshot", "success", 3.2)]),
            ("success", [instance("features", "success", 61.0), instance("snapshot", "success", 3.2)]),
        ]
    )
    lines = follow(script, expected=100.0).splitlines()
    assert [line.split("] ")[1] for line in lines] == [
        "snapshot: running",
        "snapshot: success after 3 s",
        "features: success after 61 s",
    ]
    assert "about 1:39 left" in lines[0] or "about 1:40 left" in lines[0]
    assert script.tokens == 2


def test_a_task_that_will_be_tried_again_says_why_once() -> None:
    error = {"exc_type": "WarehouseBusyError", "exc_value": "Process 7 holds the warehouse."}
    script = Script(
        [
            ("running", [instance("snapshot", "up_for_retry", 2.0)]),
            ("running", [instance("snapshot", "up_for_retry", 2.0)]),
            ("success", [instance("snapshot", "success", 2.0)]),
        ],
        [{"event": "Task failed with exception", "error_detail": [error]}],
    )
    assert follow(script).count("snapshot failed and will be tried again: Process 7 holds the warehouse.") == 1


def test_a_failed_run_names_the_task_and_says_what_it_said() -> None:
    log = [
        {"event": "reading"},
        {
            "event": "Task failed with exception",
            "error_detail": [{"exc_type": "SettingsError", "exc_value": "as_of 1999-01-01 is too early."}],
        },
    ]
    script = Script([("failed", [instance("snapshot", "failed"), instance("features", "upstream_failed")])], log)
    with pytest.raises(StackError) as caught:
        follow(script)
    message = str(caught.value)
    assert "The task snapshot of recsys_train failed.\nas_of 1999-01-01 is too early.\n" in message
    assert "http://airflow/dags/recsys_train/runs/r1" in message


def test_an_error_for_a_person_is_its_message_and_a_defect_keeps_its_kind() -> None:
    def log_of(kind: str) -> list[dict[str, object]]:
        return [{"event": "failed", "error_detail": [{"exc_type": kind, "exc_value": "the text"}]}]

    assert failure_message(log_of("WarehouseBusyError")) == "the text"
    assert failure_message(log_of("KeyError")) == "KeyError: the text"
    assert failure_message([{"event": "one"}, {"event": "two"}], lines=1) == "two"


def test_what_airflow_refuses_is_told_in_its_words() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "t"})
        assert json.loads(request.content)["conf"] == {"as_of": "soon"}
        return httpx.Response(400, json={"detail": "Invalid input for param as_of"})

    api = AirflowApi("http://airflow", "admin", "pw", transport=httpx.MockTransport(answer))
    with pytest.raises(StackError, match="Invalid input for param as_of"):
        api.trigger("recsys_train", {"as_of": "soon"}, "note")
    api.close()


def test_a_wrong_log_in_and_a_silent_server_are_told_apart() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json={"detail": "Invalid credentials"})

    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    for handler, said in ((refuse, "refused the log-in of 'admin'"), (silent, "doesn't answer")):
        api = AirflowApi("http://airflow", "admin", "pw", transport=httpx.MockTransport(handler))
        with pytest.raises(StackError, match=said):
            api.runs("recsys_train")
        assert set(api.health().values()) == {None}
        api.close()


def test_a_skipped_task_gives_its_sentence() -> None:
    log = [{"event": "start"}, {"event": "Skipping task.", "reason": "A person has to approve."}, {"event": "end"}]
    assert skip_reason(log) == "A person has to approve."
    assert skip_reason([{"event": "start", "reason": "none"}]) is None


def test_seconds_are_shown_as_minutes() -> None:
    assert [clock_text(seconds) for seconds in (0, 59.9, 60, 754)] == ["0:00", "0:59", "1:00", "12:34"]
