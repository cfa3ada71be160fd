"""The stack of docker-compose.yml, its services as plain processes: PostgreSQL below all, Celery by Redis, log-ins.

One start serves the tests, which build on each other: a shop is loaded, trained on and published, backed up by the very
commands of docs/operations.md, and restored into a fresh server.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis

from recsys.settings import Settings, load_settings
from recsys.stack.airflow_api import DONE, PARTS, SUCCESS, AirflowApi, Run
from recsys.warehouse import open_warehouse
from tests.support.composed import Project, install, ports
from tests.support.postgres import postgres_programs
from tests.support.searching import in_database, places
from tests.support.warehouse import write_small_shop

ROOT = Path(__file__).resolve().parents[2]
LATER = "2025-01-03"
DEADLINE = 900.0
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
# What a shop may write into .stack/recsys.env; how good the model is, is measured elsewhere: here it is to pass.
SETTINGS = {
    "RECSYS_SHARDS": "1",
    "RECSYS_THREADS": "1",
    "RECSYS_PLACEMENTS__discover": "false",
    "RECSYS_RANKER__TREES": "20",
    "RECSYS_RANKER__CUTS": "2",
    "RECSYS_CANDIDATES__GENERATORS": '["popularity", "repurchase"]',
    "RECSYS_GATE": json.dumps({"bootstrap": 100, "margin": 1.0, "slice_margin": 1.0, "min_release_overlap": 0.0}),
}
LIVE = "select placement, user_id, rank, item_id, score, reason from recsys.live_recommendations order by 1, 2, 3"


class Composed:
    """A checkout whose stack is run by `make stack-up` and the commands of the page."""

    def __init__(self, folder: Path) -> None:
        self.state, self.checkout, self.backup = folder / "state", folder / "shop", folder / "backup"
        self.checkout.mkdir()
        for name in ("Makefile", "docker-compose.yml"):
            shutil.copy(ROOT / name, self.checkout)
        for name in (".docker", "mlflow", "dags", "plugins", "recsys", "sql"):
            shutil.copytree(ROOT / name, self.checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
        self.environment = {**os.environ, **install(self.state), "BACKUP": str(self.backup)}
        (self.checkout / ".stack").mkdir()
        settings = "".join(f"{name}={value}\n" for name, value in SETTINGS.items())
        (self.checkout / ".stack" / "recsys.env").write_text(settings, encoding="utf-8")

    def do(self, commands: str) -> str:
        """Run commands in a shell, as a person does from the checkout; return what they print."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.checkout,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        return done.stdout

    def block(self, name: str) -> str:
        """Run the commands that the page has in the block of a name."""
        [commands] = re.findall(rf"^```sh {name}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
        return self.do(commands)

    @property
    def project(self) -> Project:
        return Project(self.checkout, self.state)

    def secret(self, name: str) -> str:
        return (self.checkout / ".stack" / "secrets" / name).read_text(encoding="utf-8").strip()

    def address(self, port: int) -> str:
        return f"http://127.0.0.1:{ports(self.state)[port]}"

    def database(self, role: str, name: str) -> str:
        return f"postgresql://{role}:{self.secret(f'{role}_password')}@127.0.0.1:{ports(self.state)[5432]}/{name}"

    @property
    def settings(self) -> Settings:
        return load_settings(home=self.state / "unused", warehouse_url=self.database("shop", "shop"))

    def api(self) -> AirflowApi:
        return AirflowApi(self.address(8080), "admin", self.secret("airflow_admin_password"))

    def lists(self) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database("shop", "shop")) as connection:
            return connection.execute(LIVE).fetchall()

    def publications(self) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database("shop", "shop")) as connection:
            return connection.execute("select publication_id, status from recsys.publications order by 1").fetchall()

    def versions(self) -> list[tuple[str, str]]:
        """Return the model versions that MLflow shows to its user."""
        path = f"{self.address(5000)}/api/2.0/mlflow/model-versions/search"
        answer = httpx.get(path, auth=("admin", self.secret("mlflow_admin_password")), trust_env=False, timeout=60)
        found = answer.raise_for_status().json()["model_versions"]
        return sorted((one["name"], one["version"]) for one in found)

    def log(self, service: str) -> str:
        return (self.state / "containers" / service / "log").read_text(encoding="utf-8", errors="replace")


def until(found: Callable[[], Any], what: str) -> Any:
    began, pause = time.monotonic(), threading.Event()
    while not (result := found()):
        assert time.monotonic() - began < DEADLINE, f"no {what} after {DEADLINE:.0f} s"
        pause.wait(1)
    return result


def finished(api: AirflowApi, run: Run) -> Run:
    def ended() -> Run | None:
        now = api.run(run.dag_id, run.run_id)
        return now if now.state in DONE else None

    found: Run = until(ended, f"end of {run.run_id}")
    assert found.state == SUCCESS, [(task.label, task.state) for task in api.task_states(found)]
    return found


@pytest.fixture(scope="module")
def stack() -> Iterator[Composed]:
    if postgres_programs() is None or shutil.which("redis-server") is None:
        pytest.skip("PostgreSQL or Redis is not installed here")
    # Outside pytest's folders, which are ours alone: PostgreSQL's server runs as another user.
    folder = Path(tempfile.mkdtemp(prefix="stack"))
    folder.chmod(0o711)
    started = Composed(folder)
    try:
        yield started
    finally:
        if (started.checkout / ".env").is_file():
            started.project.stop([])
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def running(stack: Composed) -> Composed:
    """The stack, started by the command of the README, with a shop in its warehouse."""
    stack.do("make stack-up")
    with open_warehouse(stack.settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=120)
    return stack


@pytest.fixture(scope="module")
def published(running: Composed) -> Composed:
    """The stack after its first training, whose champion went live by itself."""
    api = running.api()
    until(lambda: api.has_dag("recsys_train"), "DAG recsys_train")
    run = finished(api, api.trigger("recsys_train", {}, "test"))
    assert {task.state for task in api.task_states(run)} == {"success", "skipped"}
    until(running.lists, "live lists")
    [publication] = api.runs("recsys_publish")
    finished(api, publication)
    return running


def test_all_parts_are_healthy_and_the_pool_and_the_webhook_are_there(running: Composed) -> None:
    api = running.api()
    assert api.health() == dict.fromkeys(PARTS, "healthy")
    assert api.import_errors() == {}
    assert [api.pool_slots(f"recsys_{name}") for name in ("warehouse", "compute")] == [1, 2]
    assert all(service.ask_health() == 0 for service in running.project.services.values() if "ports" in service.given)
    with psycopg.connect(running.database("mlflow", "mlflow")) as connection:
        [(name, url, status)] = connection.execute("select name, url, status from webhooks").fetchall()
    assert (name, status) == ("recsys-decisions", "ACTIVE")
    assert url.endswith("/recommendations-webhook/mlflow")


def test_the_secrets_are_their_owners_alone_and_stay(running: Composed) -> None:
    secrets = running.checkout / ".stack" / "secrets"
    files = {path.name: path.read_bytes() for path in secrets.iterdir()}
    assert {path.stat().st_mode & 0o777 for path in secrets.iterdir()} == {0o600}
    assert secrets.stat().st_mode & 0o777 == 0o700
    running.do("bash .docker/prepare.sh celery")
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == files


@pytest.mark.parametrize("role", ["shop", "airflow", "mlflow"])
def test_a_role_enters_its_own_database_alone_by_its_password(running: Composed, role: str) -> None:
    with psycopg.connect(running.database(role, role)) as connection:
        rights = "select rolsuper or rolcreatedb or rolcreaterole from pg_roles where rolname = current_user"
        assert connection.execute(rights).fetchone() == (False,)
    for other in {"shop", "airflow", "mlflow"} - {role}:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(running.database(role, other))
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(running.database(role, role).replace(running.secret(f"{role}_password"), "guessed"))


def test_mlflow_asks_for_a_log_in_and_knows_its_own_names_only(running: Composed) -> None:
    path = f"{running.address(5000)}/api/2.0/mlflow/experiments/search?max_results=1"
    admin = ("admin", running.secret("mlflow_admin_password"))
    assert httpx.get(path, trust_env=False).status_code == 401
    assert httpx.get(path, auth=("admin", "password1234"), trust_env=False).status_code == 401
    assert httpx.get(path, auth=admin, trust_env=False).status_code == 200
    foreign = httpx.get(path, auth=admin, headers={"Host": "evil.example"}, trust_env=False)
    assert (foreign.status_code, "Invalid Host" in foreign.text) == (403, True)


def test_redis_asks_for_its_password(running: Composed) -> None:
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=ports(running.state)[6379]).ping()


def test_the_worker_trains_and_publishes_and_the_first_champion_is_live(published: Composed) -> None:
    lists = published.lists()
    assert len({user for _, user, *_ in lists}) > 100
    assert {rank for _, _, rank, *_ in lists} == set(range(1, 11))
    assert published.versions() == [("recsys_for_you", "1")]
    # Celery has a result for each task that its worker ran.
    results = redis.Redis(port=ports(published.state)[6379], db=1, password=published.secret("redis_password"))
    api = published.api()
    ran = [
        task
        for dag in ("recsys_train", "recsys_publish")
        for run in api.runs(dag)
        for task in api.task_states(run)
        if task.state == "success"
    ]
    assert len(list(results.scan_iter("celery-task-meta-*"))) >= len(ran) > 10


def test_no_secret_is_in_what_airflow_and_mlflow_keep_of_a_run(published: Composed) -> None:
    """XCom, rendered fields and logs, and what runs and models have."""
    names = [path.name for path in (published.checkout / ".stack" / "secrets").iterdir() if "pgpass" not in path.name]
    secrets = {name: published.secret(name) for name in names if not name.endswith(".json")}
    assert len(secrets) > 8
    with psycopg.connect(published.database("airflow", "airflow")) as connection:
        [(kept,)] = connection.execute("select count(*) from xcom where value is not null").fetchall()
    assert kept > 5
    logs = published.state / "volumes" / "logs"
    assert any(path.is_file() for path in logs.rglob("*"))
    for name, secret in secrets.items():
        for database in ("airflow", "mlflow"):
            assert in_database(secret, published.database(database, database)) == [], name
        assert places(secret, logs) == [], name


def test_the_worker_knows_no_database_but_the_warehouse(published: Composed) -> None:
    worker = published.project.services["airflow-worker"]
    environment = json.dumps(worker.environment())
    secrets = {path.name for path in (worker.box / "run" / "secrets").iterdir()}
    assert "SQL_ALCHEMY_CONN" not in environment
    assert "airflow@" not in environment
    assert secrets == {"shop_pgpass", "redis_password", "mlflow_admin_password", "webhook_secret"}


def test_no_log_holds_a_secret(published: Composed) -> None:
    folder = published.checkout / ".stack" / "secrets"
    # A file with passwords holds nothing but those of other files.
    planted = {path.name: path.read_bytes().strip() for path in folder.iterdir() if "pgpass" not in path.name}
    logs = [path for path in published.state.rglob("log") if path.is_file()]
    logs += [path for path in (published.state / "volumes" / "logs").rglob("*.log") if path.is_file()]
    assert len(logs) > 20
    assert [(log, name) for log in logs for name, secret in planted.items() if secret in log.read_bytes()] == []


def test_a_back_up_restores_into_a_fresh_server_and_the_chain_goes_on(published: Composed) -> None:
    lists, publications, versions = published.lists(), published.publications(), published.versions()
    published.block("backup")
    assert {path.name for path in published.backup.iterdir()} >= {"shop.dump", "airflow.dump", "mlflow.dump"}
    assert list(published.project.services["postgres"].dependencies) == []
    published.do("docker compose down --volumes && rm -rf .stack .env")

    published.block("restore")
    assert published.lists() == lists
    assert published.publications() == publications
    shown = published.block("check")
    assert publications[0][0] in shown
    assert published.versions() == versions
    # As of the newest event, as the training and the publication were: the chain finds what it had computed, and
    # neither trains nor publishes anything anew.
    done = published.do("docker compose run --rm --no-deps -T airflow-api recsys run")
    assert published.versions() == versions, done
    assert published.publications() == publications
    with psycopg.connect(published.database("airflow", "airflow")) as connection:
        runs = connection.execute("select dag_id, state from dag_run where dag_id = 'recsys_train'").fetchall()
    assert runs == [("recsys_train", "success")]


@pytest.mark.soak
def test_the_restored_stack_publishes_again_also_without_workers(published: Composed) -> None:
    """It follows the restoration, and is the profile for one machine: LocalExecutor."""
    before = published.publications()
    published.do("docker compose stop && make stack-up PROFILE=local")
    assert {"redis", "airflow-worker"}.isdisjoint(published.project.services)
    api = published.api()
    finished(api, api.trigger("recsys_publish", {"as_of": LATER}, "test"))
    after = published.publications()
    assert len(after) == len(before) + 1
    assert published.versions() == [("recsys_for_you", "1")]
