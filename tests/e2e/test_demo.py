"""What `make run` does, with real Airflow, a real MLflow server and the real demo shop (600 households)."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import duckdb
import psutil
import pytest

from recsys.settings import ShapingSettings, load_settings
from recsys.shaping.sensitive import sensitive_groups
from tests.support.mlflow_server import free_port, mlflow_server

CUSTOMERS = 600
ROOT = Path(__file__).resolve().parents[2]

RECOMMEND = """
import json, sys
import mlflow, pandas as pd
uri, model_uri, placement, snapshot, users = sys.argv[1:]
mlflow.set_tracking_uri(uri)
model = mlflow.pyfunc.load_model(model_uri)
asked = pd.DataFrame({"subject_id": json.loads(users), "placement": placement, "k": 10, "events": snapshot})
print("ANSWER" + model.predict(asked)[["subject_id", "item_id", "rank", "reason"]].to_json(orient="values"))
"""


def run_demo(home: Path, ports: tuple[int, int]) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "RECSYS_HOME": str(home),
        "RECSYS_AIRFLOW_PORT": str(ports[0]),
        "RECSYS_MLFLOW_PORT": str(ports[1]),
        "RECSYS_SHARDS": "2",
        "RECSYS_RANKER__TREES": "60",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        [sys.executable, "-m", "recsys", "demo", "--exit", "--customers", str(CUSTOMERS)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory):
    home = tmp_path_factory.mktemp("e2e") / "home"
    ports = (free_port(), free_port())
    first = run_demo(home, ports)
    assert first.returncode == 0, first.stdout[-6000:] + first.stderr[-3000:]
    return home, ports, first.stdout


def query(home: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_the_end_says_what_was_published_for_whom_and_where_to_look(demo) -> None:
    _, ports, output = demo
    for expected in ("for_you", "discover", f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}", "admin"):
        assert expected in output


def test_every_task_succeeded_and_they_are_few(demo) -> None:
    home, _, _ = demo
    with sqlite3.connect(home / "airflow" / "airflow.db") as connection:
        query = "select dag_id, task_id, map_index, state from task_instance where dag_id <> 'recsys_reconcile'"
        states = connection.execute(query).fetchall()
    assert {dag for dag, *_ in states} == {"recsys_train", "recsys_publish"}
    # The policy lets the first champions go live, so nobody is asked.
    assert {(task, state) for _, task, _, state in states if state != "success"} == {
        ("approvals", "skipped"),
        ("canaries", "skipped"),
    }
    assert len(states) <= 25
    assert sum(task == "scoring" for _, task, *_ in states) == 2
    assert sum(task == "ingredients" for _, task, *_ in states) == 1


def test_all_months_and_households_went_in(demo) -> None:
    home, _, _ = demo
    counted = "select count(distinct month(occurred_at)), count(distinct user_id) from shop.events"
    assert query(home, counted) == [(12, CUSTOMERS)]


def test_every_customer_sees_ten_products_in_both_placements(demo) -> None:
    home, _, _ = demo
    lists = query(
        home,
        "select placement, count(distinct user_id), min(n), max(n), max(top) from (select placement, user_id, "
        "count(*) as n, max(rank) as top from recsys.live_recommendations where user_id <> '*' "
        "and user_id not like 'segment:%' group by all) group by placement order by placement",
    )
    for (placement, users, least, most, top), expected in zip(lists, ("discover", "for_you"), strict=True):
        assert placement == expected
        assert users >= 0.95 * CUSTOMERS
        assert (least, most, top) == (10, 10, 10)
    assert query(home, "select count(*) from recsys.live_recommendations where user_id = '*'") == [(20,)]


def test_discover_shows_nothing_that_the_customer_bought(demo) -> None:
    home, _, _ = demo
    assert query(
        home,
        "select count(*) from recsys.live_recommendations l where placement = 'discover' and exists "
        "(select 1 from shop.events e where e.user_id = l.user_id and e.item_id = l.item_id)",
    ) == [(0,)]


def test_reasons_of_repeats_are_true(demo) -> None:
    home, _, _ = demo
    others = query(
        home,
        "with bought as (select user_id, item_id, count(*) as times, max(occurred_at) as last_at from shop.events "
        "where event_type = 'purchase' group by all) "
        "select distinct l.reason, i.category from recsys.live_recommendations l "
        "join bought b using (user_id, item_id) join shop.items i using (item_id) "
        "where regexp_replace(l.reason, ', about every [0-9]+ days', '') <> "
        "case when b.times = 1 then 'You bought this on ' "
        "else 'You bought this ' || b.times || ' times, last on ' end || strftime(b.last_at, '%-d %B %Y') || '.'",
    )
    # Of a product that is nobody's business the reason says nothing, even to those who bought it.
    assert {reason for reason, _ in others} <= {"This is part of our range."}
    groups = sensitive_groups([category for _, category in others], ShapingSettings())
    assert (groups >= 0).all()


def test_the_ledger_and_the_registry_agree(demo) -> None:
    from recsys import registry

    home, _, _ = demo
    decisions = query(home, "select placement, model_version, verdict, channel from recsys.decisions order by 1")
    assert decisions == [("discover", "1", "approved", "policy"), ("for_you", "1", "approved", "policy")]
    settings = load_settings(home=home)
    for placement in ("for_you", "discover"):
        model = settings.model_name(placement)
        assert registry.get_alias(settings, model, "champion") == "1"
        version = registry.get_version(settings, model, "1")
        assert version.tags["gate"] == "passed"
        assert version.tags["review"] == "approved"
        assert "|" in version.description


def test_the_model_in_a_clean_process_gives_the_published_lists(demo, tmp_path: Path) -> None:
    home, _, _ = demo
    with mlflow_server(home) as address:
        for placement in ("for_you", "discover"):
            snapshot_id, model, version = query(
                home,
                "select snapshot_id, model_name, model_version from recsys.publications "
                f"where status = 'live' and placement = '{placement}'",
            )[0]
            published = query(
                home,
                "select user_id, item_id, rank, reason from recsys.live_recommendations "
                f"where placement = '{placement}' and user_id <> '*' and user_id not like 'segment:%'",
            )
            users = sorted({row[0] for row in published})[:100]
            assert len(users) == 100
            snapshot = (home / "snapshots" / snapshot_id).as_uri()
            arguments = (address, f"models:/{model}/{version}", placement, snapshot, json.dumps(users))
            answer = recommend_in_a_clean_process(arguments, tmp_path)
            assert answer == sorted(row for row in published if row[0] in set(users))


def recommend_in_a_clean_process(arguments: tuple[str, ...], folder: Path) -> list[tuple]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RECSYS_", "PYTHON"))}
    answer = subprocess.run(
        [sys.executable, "-c", RECOMMEND, *arguments],
        cwd=folder,
        env={**environment, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    rows = json.loads(next(line for line in answer.stdout.splitlines() if line.startswith("ANSWER"))[6:])
    return sorted(map(tuple, rows))


def test_nothing_is_left_running(demo) -> None:
    home, _, _ = demo
    left = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("RECSYS_HOME") == str(home):
                left.append(process.cmdline())
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    assert left == []


def test_a_second_run_uses_what_is_there(demo) -> None:
    home, ports, _ = demo
    before = query(home, "select publication_id, status from recsys.publications order by 1")
    again = run_demo(home, ports)
    assert again.returncode == 0, again.stdout[-6000:] + again.stderr[-3000:]
    assert "unchanged, it was live already" in again.stdout
    assert query(home, "select publication_id, status from recsys.publications order by 1") == before
    assert query(home, "select count(*) from recsys.decisions") == [(2,)]
