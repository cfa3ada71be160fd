"""One real MLflow server and one SQLite store for all tests of the registry."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import recsys
from recsys.assets import sql_path
from recsys.registry import (
    LoggedTraining,
    ModelVersion,
    Registration,
    TrainingRecord,
    log_training,
    register_version,
)
from recsys.settings import Settings, load_settings
from tests.support import standin_scoring
from tests.support.evaluations import evaluation
from tests.support.mlflow_server import mlflow_server
from tests.support.mlflow_store import DATABASE, ready_database

SNAPSHOT = "20171205T000000-0123456789abcdef"


@dataclass(frozen=True)
class Shared:
    """A training and a version that tests only read."""

    settings: Settings
    training: TrainingRecord
    logged: LoggedTraining
    registration: Registration
    version: ModelVersion


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The home and the address of a server."""
    home = tmp_path_factory.mktemp("served")
    with mlflow_server(home) as address:
        yield home, address


@pytest.fixture(scope="session", params=["server", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The home and the tracking URI of a server, or of a file without a server."""
    if request.param == "sqlite":
        home = tmp_path_factory.mktemp("unserved")
        ready_database(home / "mlflow" / DATABASE)
        return home, f"sqlite:///{home / 'mlflow' / DATABASE}"
    served: tuple[Path, str] = request.getfixturevalue("served")
    return served


@pytest.fixture
def settings(store: tuple[Path, str], request: pytest.FixtureRequest) -> Settings:
    """Settings on either store, under a name of the test's own."""
    name = "".join(c if c.isalnum() else "_" for c in request.node.originalname.lower())
    return load_settings(home=store[0], tracking_uri=store[1], namespace=name[:60])


@pytest.fixture
def training(tmp_path: Path) -> TrainingRecord:
    return make_training(tmp_path)


@pytest.fixture
def logged(settings: Settings, training: TrainingRecord) -> LoggedTraining:
    return log_training(settings, training)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library with the smallest scoring there can be."""
    folder = tmp_path_factory.mktemp("library") / "recsys"
    shutil.copytree(Path(recsys.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__", "scoring"))
    shutil.copy(standin_scoring.__file__, folder / "scoring.py")
    return folder


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the smallest scoring needs of the library: a file takes a request to the server, and the library has 600."""
    folder = tmp_path_factory.mktemp("package") / "recsys"
    (folder / "_shipped" / "sql" / "schema").mkdir(parents=True)
    for name in ("__init__.py", "assets.py"):
        shutil.copy(Path(recsys.__file__).with_name(name), folder)
    shutil.copy(standin_scoring.__file__, folder / "scoring.py")
    shutil.copy(sql_path("schema", "0001_shop.sql"), folder / "_shipped" / "sql" / "schema")
    return folder


@pytest.fixture
def registration(logged: LoggedTraining, bundle: Path, package: Path) -> Registration:
    return make_registration(logged, bundle, package)


@pytest.fixture(scope="session")
def shared(store: tuple[Path, str], library: Path, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    settings = load_settings(home=store[0], tracking_uri=store[1], namespace="shared")
    folder = tmp_path_factory.mktemp("shared")
    training = make_training(folder)
    logged = log_training(settings, training)
    registration = make_registration(logged, make_bundle(folder), library)
    return Shared(settings, training, logged, registration, register_version(settings, registration))


def make_training(folder: Path) -> TrainingRecord:
    report = folder / "report.html"
    report.write_text("<!doctype html><title>Report</title>", encoding="utf-8")
    return TrainingRecord(
        run_name="weekly",
        snapshot_id=SNAPSHOT,
        snapshot_uri=f"file:///data/snapshots/{SNAPSHOT}",
        as_of="2017-12-05T00:00:00",
        evaluation=evaluation(),
        rows={"events": 40, "items": 2},
        schema={"events": {"user_id": "string", "quantity": "double"}, "items": {"item_id": "string"}},
        files={"": (report,)},
        duration_seconds=12.5,
        note="Weekly training",
    )


def make_bundle(folder: Path) -> Path:
    bundle = folder / "learned"
    bundle.mkdir()
    (bundle / "items.json").write_text(json.dumps(["bread", "milk", "soap"]), encoding="utf-8")
    return bundle


def make_registration(logged: LoggedTraining, bundle: Path, package: Path) -> Registration:
    return Registration(
        placement="for_you",
        run_id=logged.run_id,
        bundle=bundle,
        snapshot_id=SNAPSHOT,
        as_of="2017-12-05T00:00:00",
        description="**For you**: better by 0.015",
        metrics={"ndcg@10": 0.42},
        package=package,
    )
