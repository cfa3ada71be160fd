"""What the page's buttons do: they start a run in the name of whom Airflow knows, for whoever may, and nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from recsys.settings import Settings
from tests.support.airflow_home import ADDRESS

ROOT = "/recommendations"
TOKEN = "0123456789abcdef"
DECIDE, ROLLBACK, SUPPRESS = "recsys_decide", "recsys_rollback", "recsys_suppress"
BUTTONS = [DECIDE, ROLLBACK, SUPPRESS]
DECISION = {"model": "recsys_for_you", "version": "7", "verdict": "approved", "reason": " seen it ", "token": TOKEN}
RETURN = {"placement": "for_you", "publication": "p7", "reason": "too sweet", "sure": "yes", "token": TOKEN}
OURS = {"origin": ADDRESS, "sec-fetch-site": "same-origin"}


@pytest.fixture
def browser(server: FastAPI, tokens: dict[str, str], published: Settings) -> Iterator[TestClient]:
    """A browser in which somebody has logged in who may trigger DAGs."""
    forget_runs()
    with TestClient(server, cookies={"_token": tokens["uma"]}, base_url=ADDRESS, follow_redirects=False) as opened:
        yield opened


def runs() -> list[Any]:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return list(session.scalars(select(DagRun).where(DagRun.dag_id.in_(BUTTONS))))


def forget_runs() -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.dag_id.in_(BUTTONS)))


def finish(run: Any, state: str) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.id == run.id).values(state=state))


def post(client: TestClient, path: str, told: dict[str, str], headers: dict[str, str] = OURS) -> Any:
    return client.post(f"{ROOT}{path}", data=told, headers=headers)


def test_a_decision_is_a_run_in_the_name_of_whom_airflow_knows(browser: TestClient) -> None:
    answer = post(browser, "/decide", {**DECISION, "decided_by": "somebody else"})
    [run] = runs()
    assert (run.dag_id, run.triggering_user_name, str(run.state)) == (DECIDE, "uma", "queued")
    told = {"model": "recsys_for_you", "version": "7", "verdict": "approved", "reason": "seen it", "override": False}
    assert run.conf == told
    assert (answer.status_code, answer.headers["location"]) == (303, f"run?dag={DECIDE}&run={run.run_id}")


def test_a_rollback_names_what_was_seen_live(browser: TestClient) -> None:
    assert post(browser, "/rollback", RETURN).status_code == 303
    [run] = runs()
    assert (run.dag_id, run.triggering_user_name) == (ROLLBACK, "uma")
    assert run.conf == {"placement": "for_you", "publication": "p7", "reason": "too sweet"}


def test_a_product_is_hidden_and_shown_again_by_forms(browser: TestClient) -> None:
    hidden = {"item": " i003 ", "where": "for_you", "reason": "recalled", "token": TOKEN}
    assert post(browser, "/suppress", hidden).status_code == 303
    assert post(browser, "/unsuppress", {"rule": "r1", "reason": "it is safe", "token": TOKEN}).status_code == 303
    assert {run.triggering_user_name for run in runs()} == {"uma"}
    assert sorted((run.conf for run in runs()), key=lambda conf: str(conf["action"])) == [
        {"action": "end a rule", "rule": "r1", "reason": "it is safe"},
        {"action": "hide products", "item": "i003", "placement": "for_you", "reason": "recalled"},
    ]
    shown = browser.get(f"{ROOT}/customer", params={"user": "*", "placement": "for_you", "hide": "i003"}).text
    assert 'action="suppress"' in shown and 'name="item" value="i003"' in shown


def test_two_presses_of_a_button_are_one_run_and_another_decision_is_another(browser: TestClient) -> None:
    first, second = (post(browser, "/decide", DECISION) for _ in range(2))
    assert first.headers["location"] == second.headers["location"]
    assert len(runs()) == 1
    post(browser, "/decide", {**DECISION, "verdict": "rejected"})
    assert len(runs()) == 2


def test_an_override_is_only_said_with_an_approval(browser: TestClient) -> None:
    for verdict in ("approved", "rejected"):
        post(browser, "/decide", {**DECISION, "verdict": verdict, "override": "yes"})
    assert sorted((run.conf["verdict"], run.conf["override"]) for run in runs()) == [
        ("approved", True),
        ("rejected", False),
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"{ADDRESS}:8081"},
        {"origin": f"{ADDRESS}.evil.example", "sec-fetch-site": "same-origin"},
        {"origin": ADDRESS, "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
def test_what_another_sites_page_sends_is_refused(browser: TestClient, headers: dict[str, str]) -> None:
    for path, told in (("/decide", DECISION), ("/rollback", RETURN)):
        answer = post(browser, path, told, headers)
        assert answer.status_code == 403
        assert "another site's page" in answer.json()["detail"]
    assert runs() == []


def test_a_program_with_a_token_of_its_own_needs_no_origin(browser: TestClient, tokens: dict[str, str]) -> None:
    answer = post(browser, "/decide", DECISION, {"authorization": f"Bearer {tokens['ada']}"})
    assert answer.status_code == 303
    assert [run.triggering_user_name for run in runs()] == ["ada"]


def test_a_viewer_may_look_and_not_decide(browser: TestClient, client: TestClient, published: Settings) -> None:
    hidden = {"item": "i003", "reason": "recalled", "token": TOKEN}
    ended = {"rule": "r1", "reason": "it is safe", "token": TOKEN}
    all_forms = (("/decide", DECISION), ("/rollback", RETURN), ("/suppress", hidden), ("/unsuppress", ended))
    for path, told in all_forms:
        answer = post(client, path, told)
        assert answer.status_code == 403
        assert "doesn't let vera trigger the DAG" in answer.json()["detail"]
    assert runs() == []
    for path in ("/", "/history"):
        assert 'action="rollback"' not in client.get(f"{ROOT}{path}").text
        assert 'action="rollback"' in browser.get(f"{ROOT}{path}").text


def test_an_anonymous_write_is_refused_wherever_it_comes_from(server: FastAPI, browser: TestClient) -> None:
    with TestClient(server, base_url=ADDRESS) as anonymous:
        assert post(anonymous, "/decide", DECISION).status_code == 401
    assert runs() == []


@pytest.mark.parametrize(
    "change",
    [
        {"reason": "  "},
        {"reason": ""},
        {"version": "seven"},
        {"verdict": "rolled_back"},
        {"model": "../x"},
        {"token": "short"},
    ],
)
def test_what_says_too_little_or_too_much_is_refused(browser: TestClient, change: dict[str, str]) -> None:
    assert post(browser, "/decide", {**DECISION, **change}).status_code == 422
    assert runs() == []


def test_a_rollback_wants_a_yes_and_a_placement_that_exists(browser: TestClient) -> None:
    assert post(browser, "/rollback", {**RETURN, "sure": ""}).status_code == 422
    answer = post(browser, "/rollback", {**RETURN, "placement": "nowhere"})
    assert answer.status_code == 400
    assert "'nowhere'" in answer.json()["detail"]
    assert runs() == []


def test_a_paused_dag_is_told_rather_than_started(browser: TestClient) -> None:
    pause(DECIDE, True)
    try:
        answer = post(browser, "/decide", DECISION)
    finally:
        pause(DECIDE, False)
    assert answer.status_code == 409
    assert "unpause it in Airflow" in answer.json()["detail"]
    assert runs() == []


def pause(dag_id: str, is_paused: bool) -> None:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagModel).where(DagModel.dag_id == dag_id).values(is_paused=is_paused))


def test_a_run_is_followed_to_its_end(browser: TestClient) -> None:
    location = post(browser, "/rollback", RETURN).headers["location"]
    [run] = runs()
    state = f"{ROOT}/run-state?dag={ROLLBACK}&run={run.run_id}"
    told = {"state": "queued", "told": "Waiting for Airflow to begin.", "lists": ""}
    assert browser.get(state).json() == {**told, "is_done": False, "is_settled": False}
    assert 'data-state="run-state?' in browser.get(f"{ROOT}/{location}").text
    finish(run, "success")
    assert browser.get(state).json()["is_settled"]
    page = browser.get(f"{ROOT}/{location}").text
    assert "data-state" not in page
    assert "triggered by uma" in page
    assert "Live on for_you:" in page


def test_an_approval_is_followed_until_its_lists_are_live(browser: TestClient) -> None:
    post(browser, "/decide", DECISION)
    [run] = runs()
    finish(run, "success")
    state = f"{ROOT}/run-state?dag={DECIDE}&run={run.run_id}"
    # Version 7 is the champion, and its lists are live.
    assert browser.get(state).json()["is_settled"]


@pytest.mark.parametrize("asked", [{"dag": DECIDE, "run": "none"}, {"dag": "somebody_elses", "run": "page__1"}])
def test_a_run_that_is_not_there_or_not_ours_is_not_shown(browser: TestClient, asked: dict[str, str]) -> None:
    for path in ("/run", "/run-state"):
        assert browser.get(f"{ROOT}{path}", params=asked).status_code == 404


def test_the_page_writes_nothing_itself(browser: TestClient, published: Settings) -> None:
    before = tree(published.resolved_home)
    for path in ("/", "/history", "/customer?user=u000"):
        assert browser.get(f"{ROOT}{path}").status_code == 200
    post(browser, "/decide", DECISION)
    post(browser, "/rollback", RETURN)
    assert tree(published.resolved_home) == before


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
