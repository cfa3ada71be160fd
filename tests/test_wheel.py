"""An installed copy works outside the checkout: built, installed elsewhere, and the chain run with it."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from recsys.assets import assets_root
from recsys.publication import live_list, live_publications
from recsys.settings import load_settings
from recsys.warehouse import open_warehouse
from tests.support.warehouse import user_id, write_small_shop

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(sys.executable).parent
FOLDERS = ("sql", "dags", "plugins", "mlflow")
# Enough to go through every stage; how good the model is, is measured elsewhere.
QUICK = {
    "RECSYS_RANKER__TREES": "20",
    "RECSYS_RANKER__CUTS": "2",
    "RECSYS_RANKER__MIN_ROWS_IN_LEAF": "20",
    "RECSYS_GATE__BOOTSTRAP": "100",
    "RECSYS_GATE__MARGIN": "0.5",
    "RECSYS_CANDIDATES__ALS_ITERATIONS": "2",
    "RECSYS_CANDIDATES__ALS_FACTORS": "8",
    "RECSYS_PUBLICATION__MIN_ITEM_PURCHASES": "3",
    "RECSYS_THREADS": "1",
}
LOADED = """
import json, sys
from recsys import __file__, assets
print(json.dumps({"package": __file__, "assets": str(assets.assets_root()), "path": sys.path}))
"""
PARSED = """
import json
from airflow.dag_processing.dagbag import BundleDagBag
from airflow import plugins_manager
from recsys.assets import assets_root
folder = assets_root() / "dags"
bag = BundleDagBag(dag_folder=str(folder), bundle_path=folder, load_op_links=False)
apps = [app["name"] for app in plugins_manager.get_fastapi_plugins()[0]]
faults = {**bag.import_errors, **plugins_manager.get_import_errors()}
print(json.dumps({"dags": {name: dag.fileloc for name, dag in bag.dags.items()}, "apps": apps, "faults": faults}))
"""


@dataclass(frozen=True)
class Installed:
    """A Python environment that has the wheel, and a folder to work in; neither is near the checkout."""

    environment: Path
    work: Path

    @property
    def package(self) -> Path:
        [found] = self.environment.glob("lib/python*/site-packages/recsys")
        return found

    def run(self, program: str, *arguments: str, **variables: str) -> str:
        """Run one of the environment's programs and return what it printed."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RECSYS_", "AIRFLOW", "MLFLOW_", "PYTHON"))
        }
        done = subprocess.run(
            [self.environment / "bin" / program, *arguments],
            cwd=self.work,
            env={**inherited, **QUICK, "RECSYS_HOME": str(self.work / "home"), **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built with what is installed here: nothing is downloaded."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [PROGRAMS / "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True, capture_output=True
    )
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A new environment that borrows this one's packages, but not the link to the checkout among them."""
    made = Installed(tmp_path_factory.mktemp("elsewhere") / "venv", tmp_path_factory.mktemp("work"))
    venv.create(made.environment, symlinks=True)
    python = made.environment / "bin" / "python"
    subprocess.run(
        [PROGRAMS / "uv", "pip", "install", "--offline", "--no-deps", "--no-cache", "--python", python, wheel],
        check=True,
        capture_output=True,
    )
    # A folder that a .pth file adds is searched, while the .pth files in it (editable installs) are not read.
    (made.package.parent / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"])
    return made


def test_the_wheel_holds_every_file_that_is_not_python(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name.removeprefix("recsys/_shipped/") for name in archive.namelist() if "/_shipped/" in name}
        names = archive.namelist()
    files = {path for folder in FOLDERS for path in (assets_root() / folder).rglob("*") if path.is_file()}
    wanted = {str(path.relative_to(assets_root())) for path in files if "__pycache__" not in path.parts}
    assert shipped == wanted
    for folder in ("evaluation/templates", "review/templates", "review/static"):
        there = (assets_root() / "recsys" / folder).iterdir()
        assert {f"recsys/{folder}/{path.name}" for path in there} <= set(names)
    assert not [name for name in names if name.startswith("tests") or "__pycache__" in name]


def test_the_installed_copy_uses_its_own_files(installed: Installed) -> None:
    loaded = json.loads(installed.run("python", "-c", LOADED))
    assert Path(loaded["package"]).parent == installed.package
    assert Path(loaded["assets"]) == installed.package / "_shipped"
    assert str(ROOT) not in loaded["path"]
    for folder in FOLDERS:
        assert (installed.package / "_shipped" / folder).is_dir()


def test_airflow_reads_the_installed_dags_and_the_page(installed: Installed) -> None:
    shipped = installed.package / "_shipped"
    home = str(installed.work / "airflow")
    told = {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    printed = installed.run("python", "-c", PARSED, AIRFLOW__CORE__PLUGINS_FOLDER=str(shipped / "plugins"), **told)
    parsed = json.loads(printed.splitlines()[-1])
    assert parsed["faults"] == {}
    assert sorted(parsed["apps"]) == ["MLflow's webhook", "Recommendation metrics", "Recommendations"]
    decisions = ("approve", "canary", "decide", "reconcile", "rollback", "suppress")
    names = sorted(["backfill", "erase", "monitor", "publish", "train", *decisions])
    assert sorted(parsed["dags"]) == [f"recsys_{name}" for name in names]
    assert all(Path(file).is_relative_to(shipped) for file in parsed["dags"].values())


def test_the_chain_runs_with_the_installed_copy(installed: Installed) -> None:
    settings = load_settings(home=installed.work / "home")
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=120)
    assert "recsys 0." in installed.run("recsys", "--version")
    installed.run("python", "-m", "recsys", "run", "--as-of", "2025-01-01")
    assert [one.placement for one in live_publications(settings)] == ["discover", "for_you"]
    for placement in settings.placements:
        shown = live_list(settings, user_id(0), placement)
        assert (shown.is_default, len(shown.rows)) == (False, 10)
        assert all(row.reason and row.title for row in shown.rows)
    assert shown.rows[0].title in installed.run("recsys", "recommend", user_id(0), "--placement", placement)
