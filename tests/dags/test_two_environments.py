"""The shop's Airflow can't take the ML libraries: it has the wiring alone, and stages run in another environment."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from recsys.publication import live_list, live_publications
from recsys.settings import Settings, load_settings
from recsys.warehouse import open_warehouse
from tests.support.environments import Environment, build_wheel, make_environment
from tests.support.warehouse import user_id, write_small_shop

# Two environments are built and a chain of stages is run, each in a process of its own.
pytestmark = pytest.mark.soak
# Enough to go through every stage; how good the model is, is measured elsewhere.
QUICK = {
    "RECSYS_RANKER__TREES": "20",
    "RECSYS_RANKER__CUTS": "2",
    "RECSYS_RANKER__MIN_ROWS_IN_LEAF": "20",
    "RECSYS_GATE__BOOTSTRAP": "100",
    "RECSYS_GATE__MARGIN": "0.5",
    "RECSYS_CANDIDATES__GENERATORS": '["repurchase", "popularity", "item_cf"]',
    "RECSYS_PUBLICATION__MIN_ITEM_PURCHASES": "3",
    "RECSYS_PLACEMENTS__discover": "false",
    "RECSYS_THREADS": "1",
    "RECSYS_SHARDS": "1",
}
ML = ("duckdb", "lightgbm", "implicit", "mlflow", "numpy", "pandas", "pyarrow", "sklearn", "psycopg")
MISSING = f"""
import importlib.util, json
print(json.dumps([name for name in {(*ML, "airflow")!r} if importlib.util.find_spec(name) is None]))
"""
RUN = """
import json, sys
from datetime import UTC, datetime
from airflow.dag_processing.dagbag import BundleDagBag
from recsys.assets import assets_root
folder = assets_root() / "dags"
bag = BundleDagBag(dag_folder=str(folder), bundle_path=folder, load_op_links=False)
assert not bag.import_errors, bag.import_errors
states = {}
for name, conf in json.loads(sys.argv[1]):
    bag.dags[name].deadline = []  # dag.test can't end a run that has one
    run = bag.dags[name].test(run_conf=conf, logical_date=datetime.now(UTC))
    states[name] = {f"{ti.task_id} {ti.map_index}": str(ti.state) for ti in run.get_task_instances()}
heavy = sorted({name.partition(".")[0] for name in sys.modules} & set(json.loads(sys.argv[2])))
print("RESULT" + json.dumps({"states": states, "heavy": heavy, "dags": sorted(bag.dags)}))
"""


@dataclass(frozen=True)
class TwoEnvironments:
    """Airflow's and the stages', and the home that they share."""

    airflow: Environment
    stages: Environment
    home: Path

    def run(self, *dags: tuple[str, dict[str, Any]], **variables: str) -> tuple[dict[str, Any], str]:
        """Run DAGs in Airflow's environment; return what became of them, and the log."""
        told = {"RECSYS_STAGE_PYTHON": str(self.stages.python), **variables}
        printed = self.airflow.run("-c", RUN, json.dumps(dags), json.dumps(ML), **told)
        [result] = [line for line in printed.splitlines() if line.startswith("RESULT")]
        return json.loads(result.removeprefix("RESULT")), printed

    def settings(self) -> Settings:
        return load_settings(home=self.home, placements={"discover": False})


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoEnvironments]:
    folder = tmp_path_factory.mktemp("two")
    home, airflow_home = folder / "home", folder / "airflow"
    variables = {
        **QUICK,
        "RECSYS_HOME": str(home),
        "AIRFLOW_HOME": str(airflow_home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    wheel = build_wheel(folder / "dist")
    packages = ("apache-airflow", "apache-airflow-providers-standard", "pydantic-settings")
    airflow = make_environment(folder / "a", *packages, bare=wheel, **variables)
    [shipped] = airflow.folder.glob("venv/lib/python*/site-packages/recsys/_shipped/dags")
    airflow.variables["AIRFLOW__CORE__DAGS_FOLDER"] = str(shipped)
    stages = make_environment(folder / "b", str(wheel), **variables)
    with open_warehouse(load_settings(home=home), purpose="test") as warehouse:
        write_small_shop(warehouse, users=120)
    airflow.run("-m", "airflow", "db", "migrate")
    yield TwoEnvironments(airflow, stages, home)


def test_neither_environment_has_what_belongs_to_the_other(two: TwoEnvironments) -> None:
    assert json.loads(two.airflow.run("-c", MISSING)) == list(ML)
    assert json.loads(two.stages.run("-c", MISSING)) == ["airflow"]


def test_the_chain_runs_and_lists_are_published(two: TwoEnvironments) -> None:
    ran, log = two.run(("recsys_train", {}), ("recsys_publish", {}))
    assert len(ran["dags"]) >= 9
    trained, published = ran["states"]["recsys_train"], ran["states"]["recsys_publish"]
    assert {name for name, state in trained.items() if state != "success"} == {"approvals -1"}, log[-4000:]
    assert {name for name, state in published.items() if state != "success"} == {"canaries -1"}, log[-4000:]
    assert ran["heavy"] == []
    settings = two.settings()
    [live] = live_publications(settings)
    shown = live_list(settings, user_id(0), "for_you")
    assert (shown.is_default, len(shown.rows)) == (False, 10)
    # The lines of the other environment are in the task's log, with the ids.
    [line] = [line for line in log.splitlines() if f"{live.publication_id} is live on for_you" in line]
    assert f"publication_id={live.publication_id}" in line


def test_what_a_stage_reports_is_that_very_error_and_retries_know_it(two: TwoEnvironments) -> None:
    ran, log = two.run(("recsys_rollback", {"placement": "for_you", "reason": "a test", "publication": "p-nowhere"}))
    assert ran["states"]["recsys_rollback"] == {"rollback -1": "failed"}
    assert "recsys.errors.RefusedError: p-nowhere is not live on for_you" in log
    assert "another try can't help" in log
