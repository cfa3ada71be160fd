"""What Airflow adds to the chain: seconds, DAG parsing and XCom; and what a second worker takes away.

    python -m tests.benchmarks.overhead                                     the demo shop: one process, then Airflow
    python -m tests.benchmarks.overhead --customers 20000 --shard-customers 2500    a made shop: one worker, then two

Each run has a home of its own below a temporary folder, with a copy of one loaded warehouse. Seconds under Airflow are
those from the training's start to the publication's end; its servers are up by then. Memory is the peak of the whole
process tree, servers included, beside what they hold while nothing runs, shared pages counted once; RECSYS_* variables
such as RECSYS_MEMORY_LIMIT_GB go to all runs. Prints JSON.
"""

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from recsys.assets import assets_root
from recsys.settings import Settings, load_settings
from recsys.stack.demo import load_demo_shop, run_chain
from recsys.stack.stack import Stack
from recsys.stack.up import make_ready
from tests.benchmarks.made_shop import MadeShop, load_made_shop
from tests.benchmarks.scale import Sampler
from tests.support.mlflow_server import free_port

DIVIDED = ("ingredients", "ranking_set", "ranker", "scoring")
# Each file in a process of its own that knows Airflow already, as the DAG processor reads it.
PARSE = """
import json, multiprocessing, sys, time
from pathlib import Path
import airflow.sdk
from airflow.dag_processing.dagbag import BundleDagBag
folder = Path(sys.argv[1])
ignored = (folder / ".airflowignore").read_text().split()
def read(path):
    began = time.perf_counter()
    bag = BundleDagBag(dag_folder=str(path), bundle_path=folder, load_op_links=False)
    assert len(bag.dags) == 1, bag.import_errors
    return path.name, round(time.perf_counter() - began, 3)
files = sorted(path for path in folder.glob("*.py") if path.name not in ignored)
with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
    print(json.dumps(dict(pool.map(read, files, chunksize=1))))
"""
# Windows of each task over all of its instances, and of the two runs together.
TASKS = """
    select dag_id || '.' || task_id, count(*), coalesce(sum(duration), 0),
        coalesce(86400 * (julianday(max(end_date)) - julianday(min(start_date))), 0)
    from task_instance where dag_id in ('recsys_train', 'recsys_publish') and start_date is not null
    group by 1 order by min(start_date)
"""
SPAN = """
    select 86400 * (julianday(max(end_date)) - julianday(min(start_date)))
    from dag_run where dag_id in ('recsys_train', 'recsys_publish')
"""
XCOM = "select count(*), sum(length(value)), max(length(value)) from xcom"


def load(home: Path, customers: int | None) -> Path:
    """Load the demo shop, or a made one, and return the warehouse's file."""
    settings = load_settings(home=home)
    if customers is None:
        load_demo_shop(settings, Console(file=sys.stderr))
    else:
        made = home / "made"
        made.mkdir(parents=True)
        MadeShop(customers, namespace=settings.namespace).write(made, settings)
        load_made_shop(settings, made)
    return home / "warehouse.duckdb"


def in_one_process(home: Path) -> dict[str, Any]:
    """Run the chain by the command line."""
    began = time.monotonic()
    environment = {**os.environ, "RECSYS_HOME": str(home)}
    subprocess.run([sys.executable, "-m", "recsys", "run"], check=True, env=environment, stdout=sys.stderr)
    return {"seconds": round(time.monotonic() - began, 1)}


def under_airflow(home: Path, **given: Any) -> dict[str, Any]:
    """Run the chain by both DAGs, with an Airflow and an MLflow of their own."""
    settings = load_settings(home=home, airflow_port=free_port(), mlflow_port=free_port(), **given)
    sampler = Sampler(os.getpid())
    sampler.start()
    try:
        with Stack(settings, Console(file=sys.stderr)) as stack:
            make_ready(stack)
            idle = sampler.pss
            sampler.reset()
            run_chain(stack)
    finally:
        sampler.end()
    memory = {"idle": idle, "peak": sampler.pss}
    return read(settings) | {f"{name}_pss_mib": held // 2**20 for name, held in memory.items()}


def read(settings: Settings) -> dict[str, Any]:
    """Return what Airflow's database tells of the two runs."""
    with sqlite3.connect(settings.resolved_home / "airflow" / "airflow.db") as connection:
        tasks = {name: (count, spent, window) for name, count, spent, window in connection.execute(TASKS)}
        [(span,)] = connection.execute(SPAN)
        [(values, total, largest)] = connection.execute(XCOM)
    divided = sum(window for name, (_, _, window) in tasks.items() if name.rpartition(".")[2] in DIVIDED)
    return {
        "seconds": round(span, 1),
        "seconds_of_divided_tasks": round(divided, 1),
        "task_instances": sum(count for count, *_ in tasks.values()),
        "xcom": {"values": values, "bytes": total, "largest": largest},
        "tasks": {
            name: {"instances": count, "busy": round(spent, 1), "window": round(window, 1)}
            for name, (count, spent, window) in tasks.items()
        },
    }


def parse_seconds(home: Path) -> dict[str, float]:
    """Return the seconds that each DAG file takes to be read."""
    environment = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    command = [sys.executable, "-c", PARSE, str(assets_root() / "dags")]
    done = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, help="of a made shop; the demo shop if absent")
    parser.add_argument("--shard-customers", type=int, default=2500, help="customers of a shard of the made shop")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        warehouse = load(folder / "loaded", asked.customers)

        def home(kind: str) -> Path:
            (folder / kind).mkdir()
            shutil.copy2(warehouse, folder / kind)
            return folder / kind

        found: dict[str, Any] = {"parse_seconds": parse_seconds(folder / "parsing")}
        if asked.customers is None:
            found |= {"one_process": in_one_process(home("process")), "airflow": under_airflow(home("airflow"))}
            found["overhead_seconds"] = round(found["airflow"]["seconds"] - found["one_process"]["seconds"], 1)
        else:
            told = {"threads": 1, "shard_customers": asked.shard_customers}
            for workers in (1, 2):
                found[f"workers_{workers}"] = under_airflow(home(str(workers)), airflow={"slots": workers}, **told)
            one, two = found["workers_1"], found["workers_2"]
            for figure in ("seconds", "seconds_of_divided_tasks"):
                found[f"ratio_of_{figure}"] = round(two[figure] / one[figure], 3)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
