"""Both DAGs run, on a small made shop, with the real stages: SQLite for Airflow, files for the rest."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from recsys import pipeline, registry
from recsys.assets import assets_root
from recsys.errors import NotFoundError
from recsys.moments import clock
from recsys.publication import (
    Canary,
    PublicationRecord,
    customer_list,
    find_publication,
    live_publication,
    running_canary,
)
from recsys.settings import Settings, load_settings
from recsys.warehouse import open_warehouse
from tests.support.airflow_home import migrate_database
from tests.support.planted import Event, add_events
from tests.support.warehouse import item_id, user_id, write_small_shop

# Enough to go through every stage; how good the model is, is measured elsewhere.
QUICK = {
    "RECSYS_RANKER__TREES": "20",
    "RECSYS_RANKER__CUTS": "2",
    "RECSYS_GATE__BOOTSTRAP": "100",
    "RECSYS_CANDIDATES__ALS_ITERATIONS": "2",
    "RECSYS_CANDIDATES__ALS_FACTORS": "8",
    "RECSYS_THREADS": "1",
}
DIVIDED = {
    "RECSYS_SHARD_CUSTOMERS": "100",
    "RECSYS_RANKER__CUTS": "1",
    "RECSYS_CANDIDATES__GENERATORS": '["popularity", "repurchase"]',
}
MOST_BYTES = 16_384  # of one value in XCom


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a loaded shop, and an Airflow database, for the tasks of this process."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**QUICK, "RECSYS_HOME": str(home)}.items():
            patch.setenv(name, value)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with open_warehouse(load_settings(), purpose="test") as warehouse:
            write_small_shop(warehouse)
        migrate_database()
        yield home


@pytest.fixture(scope="module")
def dags(shop: Path) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import BundleDagBag

    folder = assets_root() / "dags"
    return dict(BundleDagBag(dag_folder=str(folder), bundle_path=folder, load_op_links=False).dags)


def run_dag(dag: Any, **conf: object) -> dict[tuple[str, int], str]:
    """Run a DAG in this process and return the states of its task instances."""
    run = dag.test(run_conf=conf, logical_date=datetime.now(UTC))
    return {(ti.task_id, ti.map_index): str(ti.state) for ti in run.get_task_instances()}


def on_trial(settings: Settings) -> Canary:
    with open_warehouse(settings, purpose="test") as warehouse:
        found = running_canary(warehouse, "for_you")
    assert found is not None
    return found


def test_training_then_publication(shop: Path, dags: dict[str, Any]) -> None:
    trained = run_dag(dags["recsys_train"])
    # The policy lets the first champions go live, so nobody is asked.
    assert {task for (task, _), state in trained.items() if state != "success"} == {"approvals"}
    work = ("ingredients", "ranking_set", "ranker")
    assert [index for task, index in trained if task in work] == [0, 0, 0]  # it is a small shop
    published = run_dag(dags["recsys_publish"])
    assert published.pop(("canaries", -1)) == "skipped"  # nothing is on trial
    assert set(published.values()) == {"success"}
    assert len(trained) + len(published) <= 21
    settings = load_settings()
    with open_warehouse(settings, purpose="test") as warehouse:
        for placement in settings.placements:
            user = "select min(user_id) as user_id from recsys.live_recommendations where user_id > 'a'"
            shown = customer_list(warehouse, settings, warehouse.query(user)[0]["user_id"], placement)
            assert len(shown.rows) == settings.publication.items
            assert all(row.reason for row in shown.rows)


def test_publishing_again_is_a_skip(dags: dict[str, Any]) -> None:
    again = run_dag(dags["recsys_publish"], whole=True)
    assert {state for (task, _), state in again.items() if task == "publication"} == {"skipped"}


def test_between_whole_publications_customers_with_news_alone_get_new_lists(
    dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSYS_WHOLE_EVERY_DAYS", "7")
    settings, buyer = load_settings(), user_id(7)
    before = {name: publication_of(settings, name) for name in settings.placements}
    with open_warehouse(settings, purpose="test") as warehouse:
        add_events(warehouse, [Event(buyer, item_id(3), datetime(2025, 1, 1, 12), name="news")])
    states = run_dag(dags["recsys_publish"], whole=False)  # a DAG keeps what it was given before in this process
    assert [state for (task, _), state in states.items() if task == "publication"] == ["success"] * len(before)
    now = {name: publication_of(settings, name) for name in before}
    assert {name: one.base_publication_id for name, one in now.items()} == {
        name: one.publication_id for name, one in before.items()
    }
    with open_warehouse(settings, purpose="test") as warehouse:
        query = "select distinct subject_id from recsys.publication_lists where publication_id = :id and bucket >= 0"
        assert warehouse.query(query, {"id": now["for_you"].publication_id}) == [{"subject_id": buyer}]


def publication_of(settings: Settings, placement: str) -> PublicationRecord:
    with open_warehouse(settings, purpose="test") as warehouse:
        found = live_publication(warehouse, placement)
    assert found is not None
    return found


def test_only_the_placements_that_were_asked_for_are_published(dags: dict[str, Any]) -> None:
    states = run_dag(dags["recsys_publish"], placements=["discover"], as_of="2024-12-20")
    assert sorted(state for (task, _), state in states.items() if task == "publication") == ["skipped", "success"]


def test_a_version_on_trial_gets_newer_lists_for_the_same_customers(dags: dict[str, Any]) -> None:
    settings = load_settings()
    with registry.connected(settings) as client:
        first = client.get_model_version("recsys_for_you", "1")
        client.create_model_version("recsys_for_you", source=first.source, run_id=first.run_id, tags=first.tags)
    told: dict[str, Any] = {"share": 0.0, "decided_by": "ada", "reason": "look", "override": True}
    pipeline.try_version(
        settings, model="recsys_for_you", version="2", now=clock(), progress=lambda *_: None, as_of="2024-12-20", **told
    )
    before = on_trial(settings)
    asked = {"placements": ["for_you"], "as_of": "latest"}
    states = run_dag(dags["recsys_publish"], **asked)
    assert states["canaries", -1] == "success"
    after = on_trial(settings)
    assert after.publication_id != before.publication_id
    # Nothing else of it is another: its share, and the salt and the bound that decide who is in it.
    assert replace(after, publication_id=before.publication_id, fence=before.fence) == before
    with open_warehouse(settings, purpose="test") as warehouse:
        older, newer = (find_publication(warehouse, one.publication_id) for one in (before, after))
    assert older is not None and newer is not None
    assert (older.status, newer.status) == ("superseded", "staged")  # a shadow is seen by nobody
    assert older.as_of < newer.as_of
    # Once more on the same data: the lists are shown already.
    run_dag(dags["recsys_publish"], **asked)
    assert on_trial(settings) == after


def test_an_as_of_before_any_event_fails_at_once_and_leaves_nothing(shop: Path, dags: dict[str, Any]) -> None:
    before = sorted(path.name for path in (shop / "snapshots").iterdir())
    states = run_dag(dags["recsys_train"], as_of="1999-01-01")
    assert states.pop(("needed", -1)) == "success"  # A person started it.
    assert states.pop(("snapshot", -1)) == "failed"
    assert set(states.values()) <= {"upstream_failed", "None"}
    assert sorted(path.name for path in (shop / "snapshots").iterdir()) == before


def test_a_run_that_is_no_backfill_makes_nothing_and_says_what_it_is_for(shop: Path, dags: dict[str, Any]) -> None:
    before = sorted(path.name for path in (shop / "snapshots").iterdir())
    states = run_dag(dags["recsys_backfill"])
    assert set(states.values()) == {"skipped"}
    assert sorted(path.name for path in (shop / "snapshots").iterdir()) == before
    assert not (shop / "backfills").exists()


def fail_once(patch: pytest.MonkeyPatch, stage: str, which: Callable[[dict[str, Any]], bool]) -> Counter[str]:
    """Let a stage fail at the first call of those that are asked for; return how often each was called."""
    called: Counter[str] = Counter()
    real = getattr(pipeline, stage)

    def failing(settings: Any, **given: Any) -> Any:
        key = str(sorted((name, str(value)) for name, value in given.items()))
        called[key] += 1
        if which(given) and called[key] == 1:
            raise OSError("the machine went away")
        return real(settings, **given)

    patch.setattr(pipeline, stage, failing)
    return called


def tries_of(dag: Any, task: str, **conf: object) -> dict[int, tuple[str, int]]:
    """Run a DAG without pauses before retries; return state and tries of a task's instances."""
    dag.get_task(task).partial_kwargs["retry_delay"] = timedelta(0)
    run = dag.test(run_conf=conf, logical_date=datetime.now(UTC))
    return {ti.map_index: (str(ti.state), ti.try_number) for ti in run.get_task_instances() if ti.task_id == task}


def test_one_part_of_a_training_that_fails_is_tried_again_alone(
    dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in DIVIDED.items():
        monkeypatch.setenv(name, value)
    called = fail_once(monkeypatch, "make_ingredients", lambda given: given["generators"] == ["popularity"])

    def end(*_: object, **__: object) -> None:
        raise NotFoundError("What comes after the ingredients takes long, and isn't asked for here.")

    monkeypatch.setattr(pipeline, "make_ranking_rows", end)
    tries = tries_of(dags["recsys_train"], "ingredients", as_of="latest")
    # Features and two generators, each at two cuts.
    assert sorted(tries.values()) == [("success", 1)] * 4 + [("success", 2)] * 2
    assert sorted(called.values()) == [1, 1, 1, 1, 2, 2]


def test_one_shard_that_fails_is_scored_again_alone(dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_SHARD_CUSTOMERS", "100")
    called = fail_once(monkeypatch, "score_shard", lambda given: given["bucket_from"] > 2000)
    tries = tries_of(dags["recsys_publish"], "scoring", as_of="2024-12-27", placements=["discover"])
    assert tries == {0: ("success", 1), 1: ("success", 1), 2: ("success", 2)}
    assert sorted(called.values()) == [1, 1, 2]


def test_nothing_but_small_values_went_through_xcom(dags: dict[str, Any]) -> None:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        sizes = [(len(str(one.value)), one.dag_id, one.task_id, one.key) for one in session.scalars(select(XComModel))]
    assert {task for _, _, task, _ in sizes} >= {"parts", "ingredients", "ranker", "state", "scoring"}
    assert max(sizes)[0] < MOST_BYTES, max(sizes)
