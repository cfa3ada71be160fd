"""Monitoring as a DAG: a quiet shop passes, a breach fails the check and is told; a training on schedule asks first."""

import email
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from recsys.assets import assets_root
from recsys.moments import clock
from recsys.monitoring import latest_figures, measured
from recsys.settings import load_settings
from recsys.warehouse import open_warehouse
from tests.support.airflow_home import migrate_database
from tests.support.monitored import put_live, trained
from tests.support.publications import ITEMS, approve
from tests.support.receivers import mail_server, web_hook
from tests.support.searching import places
from tests.support.warehouse import item_id, user_id, write_small_shop

SECRET = "token-that-nobody-may-see"
PASSWORD = "mail-password-that-nobody-may-see"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a shop whose lists are live on the one placement there is, and an Airflow database."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECSYS_HOME", str(home))
        patch.setenv("RECSYS_PLACEMENTS__discover", "false")
        patch.setenv("RECSYS_THREADS", "1")
        patch.setenv("RECSYS_TRACKING_URI", "http://127.0.0.1:9")
        settings = load_settings()
        with open_warehouse(settings, purpose="test") as warehouse:
            write_small_shop(warehouse, users=20, items=ITEMS, days=60)
            approve(warehouse, "1", now=clock())
            trained(warehouse, datetime(2024, 12, 25), now=clock())
            shown = [item_id(number) for number in range(20)]
            put_live(warehouse, settings, "p1", {user_id(number): shown for number in range(20)}, now=clock())
        migrate_database()
        yield home


@pytest.fixture(scope="module")
def dags(shop: Path) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import BundleDagBag

    folder = assets_root() / "dags"
    return dict(BundleDagBag(dag_folder=str(folder), bundle_path=folder, load_op_links=False).dags)


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, str]]]:
    """What arrives at a web hook whose address an Airflow connection holds."""
    with web_hook() as (address, messages):
        connection = {"conn_type": "http", "password": f"{address}/{SECRET}"}
        monkeypatch.setenv("AIRFLOW_CONN_RECSYS_NOTIFY", json.dumps(connection))
        yield messages


def airflow_home() -> Path:
    """Where Airflow keeps its database and the tasks' logs."""
    return Path(os.environ["AIRFLOW_HOME"])


def run_dag(dag: Any) -> dict[str, str]:
    run = dag.test(logical_date=datetime.now(UTC))
    return {ti.task_id: str(ti.state) for ti in run.get_task_instances()}


def test_a_quiet_shop_passes_and_nobody_is_told(
    shop: Path, dags: dict[str, Any], received: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSYS_MONITORING__NOTIFY", '["webhook"]')
    assert run_dag(dags["recsys_monitor"]) == {"measurements": "success", "check": "success"}
    assert received == []
    settings = load_settings()
    latest = latest_figures(settings)
    assert latest["breaches"] == []
    with open_warehouse(settings, purpose="test") as warehouse:
        kept = [one for one in measured(warehouse) if one.run_id == latest["run_id"]]
    assert len(kept) == len(latest["measurements"]) > 20


def test_a_breach_fails_the_check_and_is_told_by_every_way_that_works(
    shop: Path,
    dags: dict[str, Any],
    received: list[dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RECSYS_MONITORING__MAX_DATA_AGE_HOURS", "24")
    monkeypatch.setenv("RECSYS_MONITORING__NOTIFY", '["email", "log", "slack", "webhook"]')
    monkeypatch.setenv("RECSYS_MONITORING__EMAIL_TO", '["ada@example.com"]')
    mail = f"smtp://ada:{PASSWORD}@127.0.0.1:9/?from_email=r%40example.com&disable_ssl=true"
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", mail)
    assert run_dag(dags["recsys_monitor"]) == {"measurements": "success", "check": "failed"}
    slack, hook = received
    assert hook["subject"] == "recsys_monitor: check failed"
    assert "Monitoring found 1 breaches" in hook["text"]
    assert "data_age_hours: The newest event is of 2024-12-31" in hook["text"]
    assert "recsys load" in hook["text"]
    assert slack["text"].startswith("*recsys_monitor: check failed*\n")
    assert {one["path"] for one in received} == {f"/{SECRET}"}
    printed = "".join(capfd.readouterr())
    assert "Monitoring found 1 breaches" in printed
    assert SECRET not in printed and PASSWORD not in printed
    assert places("recsys_monitor", airflow_home())
    assert places(SECRET, shop, airflow_home()) == places(PASSWORD, shop, airflow_home()) == []


def test_the_address_of_a_web_hook_is_never_told(
    dags: dict[str, Any], received: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from recsys_notify import Notifier

    from recsys.errors import SettingsError

    url = json.loads(os.environ["AIRFLOW_CONN_RECSYS_NOTIFY"])["password"]
    context = {"dag_run": {"dag_id": "recsys_publish", "dag_run_id": "r1"}, "deadline": {"deadline_time": "08:00"}}
    monkeypatch.setenv("RECSYS_MONITORING__NOTIFY", '["webhook"]')
    Notifier(what="It is late.")(context)
    assert received[0]["subject"] == "recsys_publish is late"
    assert received[0]["text"] == "It is late.\nIt was due at 08:00. Look at the run r1 of recsys_publish in Airflow."
    for password, said in (
        (f"{url}/gone", "answered 404"),
        (f"http://127.0.0.1:9/{SECRET}", "webhook: ConnectError"),
        ("", "has no password"),
    ):
        monkeypatch.setenv("AIRFLOW_CONN_RECSYS_NOTIFY", json.dumps({"conn_type": "http", "password": password}))
        with pytest.raises(SettingsError, match=said) as caught:
            Notifier().notify(context)
        assert SECRET not in str(caught.value)


def test_a_mail_goes_to_everybody_who_is_named(dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from recsys_notify import Notifier

    monkeypatch.setenv("RECSYS_MONITORING__NOTIFY", '["email"]')
    monkeypatch.setenv("RECSYS_MONITORING__EMAIL_TO", '["ada@example.com", "bob@example.com"]')
    context = {"dag_run": {"dag_id": "recsys_monitor", "run_id": "r1"}, "exception": "age < 2 & more"}
    with mail_server() as (port, messages):
        extra = {"from_email": "shop@example.com", "disable_ssl": True, "disable_tls": True}
        connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))
        Notifier(what="It broke.")(context)
    [raw] = messages
    mail = email.message_from_string(raw)
    assert (mail["From"], mail["To"]) == ("shop@example.com", "ada@example.com, bob@example.com")
    assert mail["Subject"].startswith("recsys_monitor: ")
    [part] = [part for part in mail.walk() if part.get_content_type() == "text/html"]
    text = part.get_payload(decode=True).decode()
    assert text == "<pre>It broke.\nage &lt; 2 &amp; more\nRun r1 of recsys_monitor in Airflow.</pre>"


def test_a_publication_that_is_late_is_told(
    shop: Path, dags: dict[str, Any], received: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the scheduler does it, step by step: a deadline is laid with the run, missed, and its callback called."""
    import structlog
    from airflow.models.callback import ExecutorCallback
    from airflow.models.deadline import Deadline
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.sdk.execution_time.callback_supervisor import execute_callback
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    monkeypatch.setenv("RECSYS_MONITORING__NOTIFY", '["webhook"]')
    run_dag(dags["recsys_monitor"])  # It makes all DAGs of the folder known to the database.
    with create_session() as session:
        known = SerializedDagModel.get_dag("recsys_publish", session=session)
        now = datetime.now(UTC)
        told = {"run_type": DagRunType.MANUAL, "triggered_by": DagRunTriggeredByType.REST_API, "run_after": now}
        run = known.create_dagrun(run_id="late", state=DagRunState.QUEUED, session=session, **told)
        session.flush()
        [deadline] = session.scalars(select(Deadline).where(Deadline.dagrun_id == run.id))
        assert deadline.deadline_time - run.queued_at == timedelta(hours=3)
        assert isinstance(deadline.callback, ExecutorCallback)  # The triggerer could not import it.
        deadline.handle_miss(session)
        callback = dict(deadline.callback.data)
    folder = assets_root() / "dags"
    log = structlog.get_logger()
    done = execute_callback(callback["path"], callback["kwargs"], Path("recsys_publish.py"), folder, log)
    assert done == (True, None)
    [message] = received
    assert message["subject"] == "recsys_publish is late"
    assert "isn't done 3 hours after it began" in message["text"]
    assert "the run late of recsys_publish" in message["text"]


def as_scheduled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Airflow's test runner, which makes runs by hand, make scheduled ones."""
    from airflow.models import dagrun

    made = dagrun.get_or_create_dagrun

    def scheduled(**given: Any) -> Any:
        run = made(**given)
        run.run_type = "scheduled"
        given["session"].commit()
        return run

    monkeypatch.setattr(dagrun, "get_or_create_dagrun", scheduled)


def test_a_scheduled_training_that_is_not_needed_is_skipped_with_the_figures(
    shop: Path, dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    as_scheduled(monkeypatch)
    states = run_dag(dags["recsys_train"])
    assert set(states.values()) == {"skipped"}
    assert not (shop / "features").exists()
    with create_session() as session:
        [told] = session.scalars(select(XComModel).where(XComModel.task_id == "needed"))
        asked = XComModel.deserialize_value(told)
    assert asked["needed"] is False
    [why] = asked["reasons"]
    assert why.startswith("for_you: version 1 was trained as of 2024-12-25 00:00; ")
    assert "1,000 and 1.0% are asked for) since; no drift was found." in why


def test_a_training_by_hand_and_one_that_is_needed_go_on(
    shop: Path, dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A horizon that the shop's sixty days can't hold ends both at the features, soon after the question.
    by_hand = run_dag(dags["recsys_train"])
    assert (by_hand["needed"], by_hand["snapshot"], by_hand["parts"]) == ("success", "success", "failed")
    as_scheduled(monkeypatch)
    monkeypatch.setenv("RECSYS_PLACEMENTS__discover", '{"fused": 100}')
    needed = run_dag(dags["recsys_train"])
    assert (needed["needed"], needed["snapshot"]) == ("success", "success")


def test_missed_schedules_do_not_pile_up(dags: dict[str, Any]) -> None:
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    for name in ("recsys_train", "recsys_monitor"):
        dag = dags[name]
        assert (dag.catchup, dag.max_active_runs) == (False, 1)
        timetable = coerce_to_core_timetable(dag.timetable)
        began = datetime(2020, 1, 1, tzinfo=UTC)
        first = timetable.next_dagrun_info(
            last_automated_data_interval=None, restriction=TimeRestriction(began, None, catchup=False)
        )
        assert first is not None
        age = datetime.now(UTC) - first.run_after
        assert age.days < 7  # of six years of missed runs the newest at most
