"""Two shops in one Airflow: a folder of DAGs with settings of its own for each, and no name in common."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recsys import registry
from recsys.assets import assets_root
from recsys.errors import SettingsError
from recsys.publication import live_publication, publish
from recsys.settings import load_settings
from recsys.warehouse import open_warehouse
from tests.support.publications import ITEMS, NOW, approve, made_lists, write_publication
from tests.support.warehouse import make_settings, write_small_shop

ROOT = Path(__file__).parents[2]
# As Airflow reads a bundle: in a process of its own.
PARSED = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag
folder = Path(sys.argv[1])
bag = BundleDagBag(dag_folder=str(folder), bundle_path=folder, load_op_links=False)
import recsys_wiring as wiring
from recsys.settings import load_settings
outlets = {asset.uri for dag in bag.dags.values() for task in dag.tasks for asset in task.outlets}
triggered = {task.partial_kwargs["trigger_dag_id"] for dag in bag.dags.values() for task in dag.tasks
             if "trigger_dag_id" in getattr(task, "partial_kwargs", {})}
print("RESULT" + json.dumps({
    "faults": bag.import_errors,
    "dags": sorted(bag.dags),
    "pools": sorted({task.pool for dag in bag.dags.values() for task in dag.tasks} - {"default_pool"}),
    "assets": sorted(outlets), "triggered": sorted(triggered), "connection": wiring.CONNECTION,
    "models": [load_settings().model_name(name) for name in load_settings().placements],
    "home": str(load_settings().home),
}))
"""


def parsed(folder: Path) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RECSYS_")}
    done = subprocess.run(
        [sys.executable, "-c", PARSED, str(folder)],
        env={**environment, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])},
        capture_output=True,
        text=True,
        check=True,
    )
    [line] = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    found: dict[str, Any] = json.loads(line.removeprefix("RESULT"))
    return found


def test_two_folders_of_dags_share_no_name(tmp_path: Path) -> None:
    shops = {}
    for name in ("toys", "books"):
        folder = tmp_path / name
        shutil.copytree(assets_root() / "dags", folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "recsys.toml").write_text(f'namespace = "{name}"\nhome = "{tmp_path / "homes" / name}"\n')
        shops[name] = parsed(folder)
    for name, one in shops.items():
        assert one["faults"] == {}
        assert one["pools"] == [f"{name}_compute", f"{name}_warehouse"]
        assert one["connection"] == f"{name}_warehouse"
        assert one["triggered"] == [f"{name}_approve"]
        assert one["models"] == [f"{name}_for_you", f"{name}_discover"]
        assert one["home"] == str(tmp_path / "homes" / name)
        assert all(dag.startswith(f"{name}_") for dag in one["dags"])
        assert all(f"//{name}/" in uri for uri in one["assets"])
    assert len(shops["toys"]["dags"]) == len(shops["books"]["dags"]) >= 9
    for kind in ("dags", "pools", "assets", "models"):
        assert not set(shops["toys"][kind]) & set(shops["books"][kind])


def test_a_settings_file_that_a_variable_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "toys.toml"
    file.write_text('namespace = "toys"\n')
    monkeypatch.setenv("RECSYS_CONFIG", str(file))
    assert load_settings().namespace == "toys"
    file.write_text('namespace = "Toys!"\n')
    with pytest.raises(SettingsError, match="namespace"):
        load_settings()


def test_two_namespaces_on_one_mlflow_do_not_touch_each_other(tmp_path: Path) -> None:
    """What one writes, publishes and rolls its aliases to, the other has not; both use one MLflow."""
    uri = f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}"
    shops = {
        name: make_settings(tmp_path / name, namespace=name, tracking_uri=uri, placements={"discover": False})
        for name in ("toys", "books")
    }
    for name, settings in shops.items():
        model = settings.model_name("for_you")
        with registry.connected(settings) as client:
            run = client.create_run(registry.connection.experiment_id(client, settings)).info
            client.create_registered_model(model)
            client.create_model_version(model, source=f"{run.artifact_uri}/model", run_id=run.run_id)
        with open_warehouse(settings, purpose="test") as warehouse:
            write_small_shop(warehouse, users=40, items=ITEMS, days=60)
            approve(warehouse, "1", model_name=model)
            lists = write_publication(tmp_path / name / "files", f"p-{name}", made_lists(), model_name=model)
            publish(warehouse, settings, lists, now=NOW)
    registry.set_alias(shops["toys"], "toys_for_you", "champion", "1")
    assert registry.get_alias(shops["books"], "books_for_you", "champion") is None
    with registry.connected(shops["toys"]) as client:
        assert {one.name for one in client.search_experiments()} == {"Default", "toys", "books"}
        assert {one.name for one in client.search_registered_models()} == {"toys_for_you", "books_for_you"}
    for name, settings in shops.items():
        with open_warehouse(settings, purpose="test") as warehouse:
            live = live_publication(warehouse, "for_you")
        assert live is not None and live.publication_id == f"p-{name}"
