"""The ways to decide, canary, suppression, backfill and killed workers, with a real Airflow and MLflow on a small shop.

The tests build on each other: version 1 went live by the policy, version 2 comes from a training in Airflow.
"""

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from recsys import ledger, pipeline, registry
from recsys.moments import clock
from recsys.publication import (
    Canary,
    find_canary,
    list_publications,
    live_list,
    live_publication,
    running_canary,
)
from recsys.settings import Settings, load_settings
from recsys.stack import Stack
from recsys.stack.airflow_api import DONE, Run
from recsys.stack.up import make_ready
from recsys.warehouse import open_warehouse
from tests.support.backfills import KEPT, MOVED, registered, stored
from tests.support.killed_workers import Killer
from tests.support.mlflow_server import free_port
from tests.support.mlflow_store import ready_store
from tests.support.planted import debris
from tests.support.served import approved_only, check_arms, shown
from tests.support.warehouse import write_small_shop

DEADLINE = 600.0
FOR_YOU, DISCOVER = "recsys_for_you", "recsys_discover"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A shop on which version 1 of both models is live by the policy."""
    made = load_settings(
        home=tmp_path_factory.mktemp("decisions") / "home",
        airflow_port=free_port(),
        mlflow_port=free_port(),
        threads=1,
        shards=1,
        ranker={"trees": 20, "cuts": 2},
        # How good the model is, is measured elsewhere: here it is to pass.
        gate={
            "bootstrap": 100,
            "margin": 1.0,
            "slice_margin": 1.0,
            "max_guard_loss": 1.0,
            "max_new_products": 10.0,
            "max_slowdown": 1000.0,
            "min_release_overlap": 0.0,
            "max_score_distance": 1000.0,
        },
        candidates={"als_iterations": 2, "als_factors": 8, "per_generator": 40},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with open_warehouse(made, purpose="test") as warehouse:
            write_small_shop(warehouse)
        ready_store(made)
        done = pipeline.run_chain(
            made, as_of="2024-12-01", placements=list(made.placements), now=clock(), progress=lambda *_: None
        )
        assert done["waiting"] == []
        yield made


@pytest.fixture(scope="module")
def stack(settings: Settings) -> Iterator[Stack]:
    with Stack(settings, Console(file=StringIO(), width=200)) as started:
        make_ready(started)
        yield started


@pytest.fixture(scope="module")
def served(settings: Settings, stack: Stack) -> Settings:
    """What a person's own MLflow client uses."""
    return settings.model_copy(update={"tracking_uri": stack.layout.mlflow_url})


def until(stack: Stack, found: Callable[[], Any], what: str) -> Any:
    """Look until something is there, as a person would who waits for it."""
    began, pause = time.monotonic(), threading.Event()
    while not (result := found()):
        stack.check()
        assert time.monotonic() - began < DEADLINE, f"no {what} after {DEADLINE:.0f} s"
        pause.wait(0.5)
    return result


def finished(stack: Stack, run: Run) -> str:
    def state() -> str | None:
        now = stack.api.run(run.dag_id, run.run_id).state
        return now if now in DONE else None

    return str(until(stack, state, f"end of {run.run_id}"))


def live(settings: Settings, placement: str = "for_you") -> tuple[str, str]:
    """Return the version that is live, and its publication."""
    with open_warehouse(settings, purpose="test") as warehouse:
        found = live_publication(warehouse, placement)
    assert found is not None
    return found.model_version, found.publication_id


def goes_live(stack: Stack, version: str) -> None:
    """Wait until a version's lists are live: the publication follows by itself."""
    until(stack, lambda: live(stack.settings)[0] == version, f"publication of version {version}")
    assert {run.run_type for run in stack.api.runs("recsys_publish")} <= {"asset_triggered", "scheduled"}


def decisions(settings: Settings, placement: str = "for_you") -> list[ledger.Decision]:
    with open_warehouse(settings, purpose="test") as warehouse:
        return ledger.list_decisions(warehouse, placement)


def questions(stack: Stack) -> dict[str, dict[str, Any]]:
    """Return what waits under Airflow's required actions, by run."""
    path = "/dags/~/dagRuns/~/hitlDetails"
    rows = stack.api._send("GET", path, params={"response_received": False}).json()["hitl_details"]
    return {row["task_instance"]["dag_run_id"]: row for row in rows}


def answered(stack: Stack, run_id: str, option: str, reason: str) -> str:
    """Answer a question, and again if Airflow asks again; return how its run ended.

    An answer that comes before the scheduler has noted that the task waits makes it try the task once more.
    """
    path = f"/dags/recsys_approve/dagRuns/{run_id}/taskInstances/approval/-1/hitlDetails"

    def state() -> str | None:
        if run_id in questions(stack):
            stack.api._send("PATCH", path, json={"chosen_options": [option], "params_input": {"reason": reason}})
        now = approval(stack, run_id).state
        return now if now in DONE else None

    return str(until(stack, state, f"end of {run_id}"))


def links(stack: Stack, run: Run, task: str) -> dict[str, str]:
    """Return the buttons of a task's page, with where they lead."""
    path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task}/links"
    return dict(stack.api._send("GET", path).json()["extra_links"])


def pass_the_deadline(stack: Stack, run_id: str) -> None:
    """Let Airflow's scheduler find that the time for an answer is over."""
    with sqlite3.connect(stack.layout.airflow / "airflow.db", timeout=60) as connection:
        changed = connection.execute(
            "update task_instance set trigger_timeout = '2000-01-01 00:00:00' "
            "where dag_id = 'recsys_approve' and run_id = ? and task_id = 'approval'",
            (run_id,),
        )
    assert changed.rowcount == 1
    connection.close()


def approval(stack: Stack, run_id: str) -> Run:
    return stack.api.run("recsys_approve", run_id)


def test_the_policy_let_the_first_ones_go_live(settings: Settings) -> None:
    for placement in ("for_you", "discover"):
        assert live(settings, placement)[0] == "1"
        assert [(one.channel, one.verdict) for one in decisions(settings, placement)] == [("policy", "approved")]


def test_a_training_asks_an_answer_in_airflow_is_published_and_silence_is_not(stack: Stack, served: Settings) -> None:
    trained = stack.api.trigger("recsys_train", {"as_of": "latest"}, "test")
    assert finished(stack, trained) == "success"
    asked = until(stack, lambda: len(waiting := questions(stack)) == 2 and waiting, "two questions")
    assert sorted(asked) == [f"{DISCOVER}-2", f"{FOR_YOU}-2"]
    question = asked[f"{FOR_YOU}-2"]
    assert question["subject"] == f"Shall version 2 of {FOR_YOU} serve for_you?"
    assert f"({stack.layout.mlflow_url}/#/models/{FOR_YOU}/versions/2)" in question["body"]
    assert "| model | NDCG@10 |" in question["body"]
    assert live(served)[0] == "1"  # silence publishes nothing
    pages = {task: links(stack, trained, task) for task in ("evaluation", "registration", "gate")}
    run = registry.get_version(served, FOR_YOU, "2").run_id
    assert pages["registration"]["MLflow run"].startswith(f"{stack.layout.mlflow_url}/#/experiments/")
    assert pages["registration"]["MLflow run"].endswith(f"/runs/{run}")
    assert pages["gate"]["Report in MLflow"].endswith(f"/runs/{run}/artifacts/report.html")
    review = f"{stack.layout.airflow_url}/recommendations/version?model={FOR_YOU}&version=2"
    assert pages["gate"]["Review page"] == review
    assert stack.api._http.get(pages["evaluation"]["Report"]).status_code == 401  # it asks who looks
    pass_the_deadline(stack, f"{DISCOVER}-2")
    assert answered(stack, f"{FOR_YOU}-2", "Approve", "the bakery looks right") == "success"
    assert finished(stack, approval(stack, f"{DISCOVER}-2")) == "success"
    goes_live(stack, "2")
    last = decisions(served)[-1]
    assert (last.model_version, last.verdict, last.channel) == ("2", "approved", "airflow")
    assert (last.decided_by, last.reason) == ("admin", "the bakery looks right")
    refused = decisions(served, "discover")[-1]
    assert (refused.model_version, refused.verdict, refused.decided_by) == ("2", "rejected", "nobody")
    assert live(served, "discover")[0] == "1"
    assert registry.get_alias(served, FOR_YOU, "champion") == "2"


def test_a_move_in_mlflow_is_told_by_its_webhook_and_published(stack: Stack, served: Settings) -> None:
    with registry.connected(served) as client:
        client.set_model_version_tag(FOR_YOU, "1", "reviewed_by", "grace")
        client.set_registered_model_alias(FOR_YOU, "champion", "1")
    goes_live(stack, "1")
    last = decisions(served)[-1]
    assert (last.model_version, last.channel, last.decided_by) == ("1", "mlflow", "grace")
    runs = stack.api.runs("recsys_reconcile", limit=100)
    assert any(run.run_id.startswith("mlflow__") for run in runs)
    assert registry.get_alias(served, FOR_YOU, "previous") == "2"


def test_a_move_to_what_the_gate_failed_is_taken_back(stack: Stack, served: Settings) -> None:
    before = live(served, "discover")
    second = registry.get_version(served, DISCOVER, "2")
    registry.record_gate(served, second, {"gate": "failed", "kind": "changed", "why": "It lost."})
    registry.set_alias(served, DISCOVER, "champion", "2")
    until(stack, lambda: registry.get_alias(served, DISCOVER, "champion") == "1", "alias that went back")
    assert "taken back" in until(
        stack, lambda: registry.get_version(served, DISCOVER, "2").tags.get("refused"), "tag that says why"
    )
    assert live(served, "discover") == before
    assert decisions(served, "discover")[-1].decided_by == "gate"


def test_a_form_rolls_back_at_once_and_the_alias_follows(stack: Stack, served: Settings) -> None:
    version, publication = live(served)
    asked = {"placement": "for_you", "reason": "too many sweets", "publication": publication}
    run = stack.api.trigger("recsys_rollback", asked, "test")
    assert finished(stack, run) == "success"
    assert (version, live(served)[0]) == ("1", "2")
    last = decisions(served)[-1]
    assert (last.verdict, last.decided_by, last.channel) == ("rolled_back", "admin", "airflow")
    until(stack, lambda: registry.get_alias(served, FOR_YOU, "champion") == "2", "alias of the version before")


def test_a_form_decides_and_the_publication_follows(stack: Stack, served: Settings) -> None:
    known = {run.run_id for run in stack.api.runs("recsys_publish", limit=100)}
    asked = {"model": FOR_YOU, "version": "1", "verdict": "approved", "reason": "after all", "decided_by": "grace"}
    assert finished(stack, stack.api.trigger("recsys_decide", asked, "test")) == "success"
    last = decisions(served)[-1]
    assert (last.model_version, last.decided_by, last.channel) == ("1", "admin (for grace)", "airflow")
    begun = until(
        stack,
        lambda: [run for run in stack.api.runs("recsys_publish", limit=100) if run.run_id not in known],
        "publication that follows",
    )
    assert {run.run_type for run in begun} == {"asset_triggered"}
    assert {finished(stack, run) for run in begun} == {"success"}
    goes_live(stack, "1")


def backfill(stack: Stack, first: str, last: str) -> list[Run]:
    """Let Airflow make past days, and wait until it says that all are done."""
    asked = {
        "dag_id": "recsys_backfill",
        "from_date": f"{first}T00:00:00Z",
        "to_date": f"{last}T23:59:59Z",
        "reprocess_behavior": "completed",
        "dag_run_conf": {"placements": ["for_you"]},
    }

    def ask() -> int | None:
        """On SQLite, Airflow refuses while its scheduler writes, leaves nothing behind, and wants to be asked again."""
        answer = stack.api._send("POST", "/backfills", json=asked, allow=(503,))
        return int(answer.json()["id"]) if answer.is_success else None

    made = until(stack, ask, "backfill that Airflow accepts")
    until(stack, lambda: stack.api._send("GET", f"/backfills/{made}").json()["completed_at"], "end of the backfill")
    return [run for run in stack.api.runs("recsys_backfill", limit=100) if run.run_type == "backfill"]


def test_past_days_are_made_by_airflow_s_backfill_and_nobody_sees_them(stack: Stack, served: Settings) -> None:
    """Nothing was approved in 2024, so each day's lists are those of a model that was trained as of then."""
    before = (live(served), stored(served, *MOVED), registered(served))
    published = {run.run_id for run in stack.api.runs("recsys_publish", limit=100)}
    runs = backfill(stack, "2024-12-10", "2024-12-11")
    assert [run.state for run in runs] == ["success", "success"]
    with open_warehouse(served, purpose="test") as warehouse:
        archived = {one.as_of: one for one in list_publications(warehouse) if one.kind == "archive"}
    assert sorted(archived) == [datetime(2024, 12, 10, 5), datetime(2024, 12, 11, 5)]
    assert {(one.status, one.placement, one.model_name) for one in archived.values()} == {
        ("archived", "for_you", "recsys_for_you_backfill")
    }
    assert {one.run_id for one in archived.values()} == {run.run_id for run in runs}
    assert all(one.user_count > 200 for one in archived.values())

    kept = stored(served, *KEPT)
    again = backfill(stack, "2024-12-10", "2024-12-11")
    assert [run.run_id for run in again] == [run.run_id for run in runs]
    for run in again:
        states = {task.task_id: task.state for task in stack.api.task_states(run)}
        assert (run.state, states["scoring"], states["archive"]) == ("success", "success", "skipped")
    assert stored(served, *KEPT) == kept
    assert (live(served), stored(served, *MOVED), registered(served)) == before
    assert {run.run_id for run in stack.api.runs("recsys_publish", limit=100)} == published


def trial(settings: Settings) -> Canary:
    with open_warehouse(settings, purpose="test") as warehouse:
        found = running_canary(warehouse, "for_you")
    assert found is not None
    return found


def test_a_form_tries_a_version_on_a_share_widens_it_and_ends_it(stack: Stack, served: Settings) -> None:
    def done(action: str, **form: Any) -> str:
        asked = {"action": action, "placement": "for_you", "reason": f"to {action}", **form}
        return finished(stack, stack.api.trigger("recsys_canary", asked, "test"))

    version, main = live(served)
    assert version == "1"
    assert done("start", version="2", share=30) == "success"
    canary = trial(served)
    assert (canary.model_version, canary.share) == ("2", 0.3)
    inside = check_arms(served, canary, main)
    assert 0.15 < len(inside) / len(shown(served)) < 0.45
    started = decisions(served)[-1]
    assert (started.verdict, started.decided_by, started.channel) == ("canary", "admin", "airflow")

    assert done("widen", share=60, canary=canary.canary_id) == "success"
    wider = trial(served)
    assert wider.publication_id == canary.publication_id
    assert inside < check_arms(served, wider, main)

    assert done("withdraw", canary=canary.canary_id) == "success"
    with open_warehouse(served, purpose="test") as warehouse:
        assert find_canary(warehouse, canary.canary_id).status == "withdrawn"
    assert {publication for rows in shown(served).values() for publication, _ in rows} == {main}
    assert live_list(served, min(inside), "for_you").publication_id == main
    last = decisions(served)[-1]
    assert (last.verdict, last.model_version, last.reason) == ("rejected", "2", "canary withdrawn: to withdraw")
    assert registry.get_version(served, FOR_YOU, "2").tags["review"] == "rejected"


def test_a_form_hides_a_product_at_once_and_a_rollback_does_not_bring_it_back(stack: Stack, served: Settings) -> None:
    lists = shown(served)
    counts = Counter(item for rows in lists.values() for _, item in rows)
    item = counts.most_common(1)[0][0]
    customers = [user for user, rows in lists.items() if item in {one for _, one in rows}]
    before = live(served)

    def is_gone() -> bool:
        now = shown(served)
        assert {len(rows) for rows in now.values()} == {10}
        first = live_list(served, customers[0], "for_you")
        assert len(first.rows) == 10
        return item not in {one for rows in now.values() for _, one in rows} | {row.item_id for row in first.rows}

    assert not is_gone()
    asked = {"action": "hide products", "item": item, "reason": "recalled"}
    assert finished(stack, stack.api.trigger("recsys_suppress", asked, "test")) == "success"
    assert is_gone()
    assert live(served) == before
    back = {"placement": "for_you", "reason": "the one before", "publication": before[1]}
    assert finished(stack, stack.api.trigger("recsys_rollback", back, "test")) == "success"
    assert live(served)[1] != before[1]
    assert is_gone()


def test_a_killed_worker_leaves_nothing_and_the_next_try_publishes(stack: Stack, served: Settings) -> None:
    version, before = live(served)
    run = stack.api.trigger("recsys_publish", {"as_of": "2024-12-20", "placements": ["for_you"]}, "test")
    killer = Killer(stack, run, {"publication": ".lock"})
    killer.run()
    assert killer.killed == ["publication"]
    assert finished(stack, run) == "success"
    assert live(served)[0] == version and live(served)[1] != before
    with open_warehouse(served, purpose="test") as warehouse:
        made = [one for one in list_publications(warehouse, "for_you") if one.run_id == run.run_id]
    assert [(one.status, one.as_of) for one in made] == [("live", datetime(2024, 12, 20))]
    approved_only(served)
    assert {len(rows) for rows in shown(served).values()} == {10}
    assert debris(served.resolved_home) == []


@pytest.mark.soak
def test_a_worker_killed_in_every_stage_of_a_training_and_a_publication(stack: Stack, served: Settings) -> None:
    """Each stage that holds a lock is killed once in its midst; a training only ever makes a version that waits."""
    before, known = live(served), registered(served)
    trained = stack.api.trigger("recsys_train", {"as_of": "2024-12-28", "placements": ["for_you"]}, "test")
    stages = ("snapshot", "ingredients", "ranking_set", "ranker", "evaluation", "registration", "gate")
    killer = Killer(stack, trained, dict.fromkeys(stages, ".lock"))
    killer.run()
    assert sorted(killer.killed) == sorted(stages)
    assert finished(stack, trained) == "success"
    assert live(served) == before
    assert len(registered(served)) == len(known) + 1
    run = stack.api.trigger("recsys_publish", {"as_of": "2024-12-28", "placements": ["for_you"]}, "test")
    killer = Killer(stack, run, dict.fromkeys(("state", "scoring", "publication"), ".lock"))
    killer.run()
    assert killer.killed == ["state", "scoring", "publication"]
    assert finished(stack, run) == "success"
    assert live(served)[0] == before[0] and live(served)[1] != before[1]
    approved_only(served)
    assert debris(served.resolved_home) == []
