"""Settings of a small shop in which all is well; each test breaks one thing in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys import ledger, registry
from recsys.publication import publish
from recsys.settings import Settings
from recsys.warehouse import open_warehouse
from tests.support.mlflow_server import served_mlflow
from tests.support.publications import ITEMS, MODEL, NOW, approve, made_lists, write_publication
from tests.support.warehouse import make_settings, write_small_shop


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real MLflow server that has two versions of the model."""
    home = tmp_path_factory.mktemp("mlflow")
    with served_mlflow(home) as server:
        asked = make_settings(home, tracking_uri=server.address)
        with registry.connected(asked) as client:
            client.create_registered_model(MODEL)
            run = client.create_run(client.create_experiment("made")).info
            for _ in range(2):
                client.create_model_version(MODEL, source=f"{run.artifact_uri}/model", run_id=run.run_id)
        yield server.address


@pytest.fixture
def settings(tmp_path: Path, served: str) -> Settings:
    """A shop on which version 1 of one placement was approved and is live, as MLflow says, too."""
    made = make_settings(tmp_path, placements={"discover": False}, tracking_uri=served)
    with open_warehouse(made, purpose="test") as warehouse:
        write_small_shop(warehouse, users=40, items=ITEMS, days=60)
        approve(warehouse, "1")
        publish(warehouse, made, write_publication(tmp_path / "files", "p1", made_lists()), now=NOW)
        ledger.mark_written(warehouse, model_name=MODEL, alias="champion", version="1", now=NOW)
    registry.set_alias(made, MODEL, "champion", "1")
    return made
