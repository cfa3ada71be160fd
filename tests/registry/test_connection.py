"""The way into MLflow: which store, what it says when it can't, and what it leaves as it was."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mlflow
from recsys.errors import RegistryError
from recsys.redaction import redact
from recsys.registry import (
    Registration,
    TrainingRecord,
    connected,
    download_bundle,
    log_training,
    register_version,
    set_alias,
)
from recsys.registry.bundles import tree_hash
from recsys.settings import Settings, load_settings
from tests.support.mlflow_server import free_port


def train_and_register(settings: Settings, training: TrainingRecord, bundle: Path, package: Path) -> str:
    """Log and register, download what was registered, and return the version."""
    run = log_training(settings, training)
    registration = Registration(
        placement="for_you",
        run_id=run.run_id,
        bundle=bundle,
        snapshot_id=training.snapshot_id,
        as_of=training.as_of,
        package=package,
    )
    version = register_version(settings, registration)
    set_alias(settings, version.model, "champion", version.version)
    return version.version


@pytest.mark.parametrize("made_by", ["sqlite", "server"])
def test_a_server_and_the_file_below_it_see_the_same_models(
    made_by: str,
    served: tuple[Path, str],
    training: TrainingRecord,
    bundle: Path,
    package: Path,
    tmp_path: Path,
) -> None:
    home, address = served
    name = f"made_by_{made_by}"
    direct = load_settings(home=home, namespace=name, tracking_uri=f"sqlite:///{home / 'mlflow' / 'mlflow.db'}")
    through_server = load_settings(home=home, namespace=name, tracking_uri=address)
    maker, other = (direct, through_server) if made_by == "sqlite" else (through_server, direct)
    assert train_and_register(maker, training, bundle, package) == "1"
    # The other way in reads it, and continues the same experiment.
    reader = other.model_copy(update={"home": tmp_path / "elsewhere"})
    assert tree_hash(download_bundle(reader, f"{name}_for_you", "1")) == tree_hash(bundle)
    (bundle / "items.json").write_text('["soap"]', encoding="utf-8")
    assert train_and_register(other, training, bundle, package) == "2"
    assert tree_hash(download_bundle(maker, f"{name}_for_you", "2")) == tree_hash(bundle)
    # Nothing was written beside the folder that both know.
    assert not (tmp_path / "elsewhere" / "mlflow").exists()


def test_a_server_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    address = f"http://somebody:hunter2@127.0.0.1:{free_port()}"
    with (
        pytest.raises(RegistryError, match="can't be reached") as caught,
        connected(load_settings(home=tmp_path, tracking_uri=address)),
    ):
        pytest.fail("connected without a server")
    assert redact(address) in str(caught.value)
    assert "recsys up" in str(caught.value)
    assert "RECSYS_TRACKING_URI" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlflow").write_text("a file where a folder should be", encoding="utf-8")
    with (
        pytest.raises(RegistryError, match=r"mlflow\.db can't be used"),
        connected(load_settings(home=tmp_path, tracking_uri=f"sqlite:///{tmp_path}/mlflow/mlflow.db")),
    ):
        pytest.fail("connected without a store")


def test_an_experiment_that_somebody_deleted_is_named(settings: Settings, training: TrainingRecord) -> None:
    run = log_training(settings, training)
    with connected(settings) as client:
        client.delete_experiment(run.experiment_id)
    with pytest.raises(RegistryError, match=f"experiments restore --experiment-id {run.experiment_id}"):
        log_training(settings, training)


def test_the_process_is_left_as_it_was(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://shop.example:5000")
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    with connected(settings):
        assert mlflow.get_tracking_uri() == settings.mlflow_uri
        assert mlflow.get_registry_uri() == settings.mlflow_uri
    assert mlflow.get_tracking_uri() == "http://shop.example:5000"
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://shop.example:5000"
    assert "MLFLOW_REGISTRY_URI" not in os.environ
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert mlflow.get_tracking_uri() != "http://shop.example:5000"


def test_importing_the_room_does_not_import_mlflow() -> None:
    code = "import sys, recsys.registry; sys.exit('mlflow' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql+psycopg://u:p@host:5432/db", "postgresql+psycopg://host:5432/db"),
        ("postgresql://host/db?password=p", "postgresql://host/db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("duckdb:////data/warehouse.duckdb", "duckdb:////data/warehouse.duckdb"),
    ],
)
def test_user_names_passwords_and_queries_are_left_out(uri: str, shown: str) -> None:
    assert redact(uri) == shown
