"""Work that is divided over task instances: how many there are, that one which fails is tried again alone, XCom."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from recsys import pipeline
from recsys.assets import assets_root
from recsys.settings import load_settings
from recsys.warehouse import open_warehouse
from tests.support.warehouse import write_small_shop

# Three shards and two cuts: enough that each generator at each cut is a task.
SETTINGS = {
    "RECSYS_RANKER__TREES": "20",
    "RECSYS_RANKER__CUTS": "1",
    "RECSYS_GATE__BOOTSTRAP": "100",
    "RECSYS_GATE__MARGIN": "0.2",
    "RECSYS_CANDIDATES__GENERATORS": '["popularity", "repurchase"]',
    "RECSYS_SHARD_CUSTOMERS": "100",
    "RECSYS_THREADS": "1",
}
MOST_BYTES = 16_384  # of one value


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**SETTINGS, "RECSYS_HOME": str(home)}.items():
            patch.setenv(name, value)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with open_warehouse(load_settings(), purpose="test") as warehouse:
            write_small_shop(warehouse)
        airflow = Path(sys.executable).with_name("airflow")
        subprocess.run([airflow, "db", "migrate"], check=True, capture_output=True, env=os.environ)
        yield home


@pytest.fixture(scope="module")
def dags(home: Path) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import BundleDagBag

    folder = assets_root() / "dags"
    return dict(BundleDagBag(dag_folder=str(folder), bundle_path=folder, load_op_links=False).dags)


def fail_once(patch: pytest.MonkeyPatch, stage: str, which: Callable[[dict[str, Any]], bool]) -> Counter[str]:
    """Let a stage fail the first time that it is called for what is asked; return how often each was called."""
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


def run_dag(dag: Any, mapped: str) -> dict[tuple[str, int], tuple[str, int]]:
    """Run a DAG in this process; return state and tries of each task instance."""
    dag.get_task(mapped).partial_kwargs["retry_delay"] = timedelta(0)
    run = dag.test(logical_date=datetime.now(UTC))
    return {(ti.task_id, ti.map_index): (str(ti.state), ti.try_number) for ti in run.get_task_instances()}


def test_one_part_that_fails_is_tried_again_alone(
    home: Path, dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    called = fail_once(monkeypatch, "make_ingredients", lambda given: given["generators"] == ["popularity"])
    trained = run_dag(dags["recsys_train"], "ingredients")
    tries = {index: tried for (task, index), (_, tried) in trained.items() if task == "ingredients"}
    assert sorted(tries.values()) == [1, 1, 1, 1, 2, 2]  # features and two generators, at two cuts
    assert sorted(called.values()) == sorted(tries.values())
    assert sorted(index for task, index in trained if task == "ranking_set") == [0, 1]
    assert trained["promotion", -1][0] == "success"

    called = fail_once(monkeypatch, "score_shard", lambda given: given["bucket_from"] > 2000)
    published = run_dag(dags["recsys_publish"], "scoring")
    tries = {index: tried for (task, index), (_, tried) in published.items() if task == "scoring"}
    assert tries == {0: 1, 1: 1, 2: 2}
    assert sorted(called.values()) == [1, 1, 2]
    assert {state for (task, _), (state, _) in published.items() if task == "publication"} == {"success"}


def test_nothing_but_small_values_went_through_xcom(home: Path, dags: dict[str, Any]) -> None:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        found = {(one.dag_id, one.task_id, one.map_index, one.key): one for one in session.scalars(select(XComModel))}
        sizes = {key: len(str(one.value)) for key, one in found.items()}
    assert {key[:2] for key in sizes} >= {("recsys_train", "ingredients"), ("recsys_publish", "scoring")}
    assert max(sizes.values()) < MOST_BYTES, max(sizes, key=lambda key: sizes[key])
