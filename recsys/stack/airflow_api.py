"""A small client of Airflow's public HTTP interface: only what the local stack needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx

from recsys.errors import StackError

PARTS: Final = ("metadatabase", "scheduler", "dag_processor", "triggerer")
SUCCESS: Final = "success"
FAILED: Final = "failed"
DONE: Final = frozenset({SUCCESS, FAILED})


@dataclass(frozen=True)
class Run:
    """One run of a DAG."""

    dag_id: str
    run_id: str
    state: str
    run_type: str
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def seconds(self) -> float | None:
        """Return how long a finished run took."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True)
class TaskState:
    """One task of a run, or one of its mapped instances (then ``map_index`` is 0 or more)."""

    task_id: str
    map_index: int
    map_name: str | None
    state: str | None
    seconds: float | None
    try_number: int

    @property
    def label(self) -> str:
        """Return the task's name, with the name of its mapped instance."""
        if self.map_index < 0:
            return self.task_id
        return f"{self.task_id} [{self.map_name or self.map_index}]"


class AirflowApi:
    """Speaks to one Airflow as one user; asks for a token when it needs one."""

    def __init__(self, url: str, user: str, password: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url
        self._login = {"username": user, "password": password}
        # A proxy of the environment has no business with this machine's own addresses.
        self._http = httpx.Client(base_url=url, timeout=20, trust_env=False, transport=transport)
        self._token: str | None = None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def health(self) -> dict[str, str | None]:
        """Return the state of each part, all ``None`` while the server doesn't answer."""
        try:
            answer = self._http.get("/api/v2/monitor/health").raise_for_status().json()
        except (httpx.HTTPError, ValueError):
            return dict.fromkeys(PARTS)
        return {part: (answer.get(part) or {}).get("status") for part in PARTS}

    def set_pool(self, name: str, slots: int, description: str) -> None:
        """Make a pool, or set its size."""
        size = {"slots": slots, "description": description, "include_deferred": False}
        made = self._send("POST", "/pools", json={"name": name, **size}, allow=(409,))
        if made.status_code == httpx.codes.CONFLICT:
            self._send("PATCH", f"/pools/{name}", json={"pool": name, **size})

    def version(self) -> str:
        """Return Airflow's version."""
        return str(self._send("GET", "/version").json()["version"])

    def pool_slots(self, name: str) -> int | None:
        """Return the size of a pool, None if there is no such pool."""
        answer = self._send("GET", f"/pools/{name}", allow=(404,))
        return None if answer.status_code == httpx.codes.NOT_FOUND else int(answer.json()["slots"])

    def is_paused(self, dag_id: str) -> bool | None:
        """Say whether a DAG is paused, None if Airflow doesn't know it."""
        answer = self._send("GET", f"/dags/{dag_id}", allow=(404,))
        return None if answer.status_code == httpx.codes.NOT_FOUND else bool(answer.json()["is_paused"])

    def has_dag(self, dag_id: str) -> bool:
        """Say whether Airflow has read a DAG yet."""
        return self._send("GET", f"/dags/{dag_id}", allow=(404,)).status_code == httpx.codes.OK

    def import_errors(self) -> dict[str, str]:
        """Return the message of each DAG file that Airflow could not import."""
        found = self._send("GET", "/importErrors").json()["import_errors"]
        return {str(error["filename"]): str(error["stack_trace"]).strip() for error in found}

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run."""
        mask = {"update_mask": "is_paused"}
        self._send("PATCH", f"/dags/{dag_id}", json={"is_paused": False}, params=mask)

    def trigger(self, dag_id: str, conf: Mapping[str, Any], note: str) -> Run:
        """Start a run with the given parameters.

        Raises:
            StackError: if Airflow refuses a parameter, with its words.
        """
        body = {"logical_date": None, "conf": dict(conf), "note": note}
        return _run(self._send("POST", f"/dags/{dag_id}/dagRuns", json=body).json())

    def run(self, dag_id: str, run_id: str) -> Run:
        """Return the present state of a run."""
        return _run(self._send("GET", f"/dags/{dag_id}/dagRuns/{run_id}").json())

    def runs(self, dag_id: str, *states: str, limit: int = 20) -> list[Run]:
        """Return the newest runs of a DAG, newest first, of some states or of all."""
        params: dict[str, Any] = {"order_by": "-run_after", "limit": limit, "state": list(states)}
        answer = self._send("GET", f"/dags/{dag_id}/dagRuns", params=params).json()
        return [_run(row) for row in answer["dag_runs"]]

    def cancel(self, run: Run) -> None:
        """End a run as failed; its unfinished tasks are skipped."""
        mask = {"update_mask": "state"}
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}"
        self._send("PATCH", path, json={"state": FAILED}, params=mask)

    def downstream(self, dag_id: str) -> dict[str, list[str]]:
        """Return the tasks of a DAG, each with those that follow it directly."""
        answer = self._send("GET", f"/dags/{dag_id}/tasks").json()
        return {row["task_id"]: list(row["downstream_task_ids"]) for row in answer["tasks"]}

    def task_states(self, run: Run) -> list[TaskState]:
        """Return the tasks of a run as they are now."""
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances"
        rows: list[dict[str, Any]] = []
        while True:
            page = self._send("GET", path, params={"limit": 100, "offset": len(rows)}).json()
            rows += page["task_instances"]
            if not page["task_instances"] or len(rows) >= page["total_entries"]:
                break
        return [
            TaskState(
                task_id=row["task_id"],
                map_index=row["map_index"],
                map_name=row["rendered_map_index"],
                state=row["state"],
                seconds=row["duration"],
                try_number=row["try_number"],
            )
            for row in rows
        ]

    def log(self, run: Run, task: TaskState) -> list[dict[str, Any]]:
        """Return the log of a task's last try, a mapping with ``event`` and more a line."""
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task.task_id}/logs/{task.try_number}"
        params: dict[str, Any] = {"map_index": task.map_index, "full_content": True}
        headers = {"accept": "application/json"}
        content = self._send("GET", path, params=params, headers=headers).json()["content"]
        return [line if isinstance(line, dict) else {"event": str(line)} for line in content]

    def result(self, run: Run, task: TaskState) -> Any:
        """Return what a task returned, None where it returned nothing."""
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task.task_id}/xcomEntries/return_value"
        answer = self._send("GET", path, params={"map_index": task.map_index}, allow=(404,))
        return None if answer.status_code == httpx.codes.NOT_FOUND else answer.json()["value"]

    def _send(self, method: str, path: str, *, allow: tuple[int, ...] = (), **options: Any) -> httpx.Response:
        headers = options.pop("headers", {})
        try:
            answer = self._authorised(method, path, headers, options)
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                self._token = None  # it has expired; ask once more
                answer = self._authorised(method, path, headers, options)
        except httpx.HTTPError as error:
            raise StackError(f"Airflow at {self.url} doesn't answer ({error or type(error).__name__}).") from error
        if answer.is_error and answer.status_code not in allow:
            raise StackError(f"Airflow refused {method} {path} ({answer.status_code}): {_detail(answer)}")
        return answer

    def _authorised(
        self, method: str, path: str, headers: Mapping[str, str], options: Mapping[str, Any]
    ) -> httpx.Response:
        if self._token is None:
            answer = self._http.post("/auth/token", json=self._login)
            if answer.is_error:
                raise StackError(
                    f"Airflow at {self.url} refused the log-in of {self._login['username']!r} "
                    f"({answer.status_code}): is it the Airflow that this stack started?"
                )
            self._token = str(answer.json()["access_token"])
        bearer = {"Authorization": f"Bearer {self._token}"}
        return self._http.request(method, f"/api/v2{path}", headers={**headers, **bearer}, **options)


def _run(row: Mapping[str, Any]) -> Run:
    return Run(
        dag_id=row["dag_id"],
        run_id=row["dag_run_id"],
        state=row["state"],
        run_type=row["run_type"],
        queued_at=datetime.fromisoformat(row["queued_at"] or row["run_after"]),
        started_at=_moment(row["start_date"]),
        ended_at=_moment(row["end_date"]),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _detail(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return answer.text[:300]
    return detail if isinstance(detail, str) else str(detail)[:300]
