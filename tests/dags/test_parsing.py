"""Reading a DAG file is cheap: Airflow does it every half minute."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recsys.assets import assets_root

HEAVY = ["mlflow", "lightgbm", "pandas", "implicit", "sklearn", "scipy", "pyarrow", "duckdb"]
SHARED = {"recsys_links.py", "recsys_notify.py", "recsys_stages.py", "recsys_wiring.py"}
DAG_FILES = sorted(p.name for p in (assets_root() / "dags").glob("*.py") if p.name not in SHARED)


def run_in_clean_process(code: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    dags = assets_root() / "dags"
    paths = os.pathsep.join([str(dags), str(assets_root())])
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "AIRFLOW_HOME": str(home), "PYTHONPATH": paths, **environment},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )


def test_all_dags_are_there() -> None:
    decisions = ("approve", "canary", "decide", "reconcile", "rollback", "suppress")
    names = sorted(["backfill", "erase", "monitor", "publish", "train", *decisions])
    assert [f"recsys_{name}.py" for name in names] == DAG_FILES


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What heavy libraries each DAG file brings in that those read before it, in the same process, had not."""
    code = (
        "import importlib, json, sys\n"
        "found, known = {}, set()\n"
        f"for name in {[Path(name).stem for name in DAG_FILES]}:\n"
        "    importlib.import_module(name)\n"
        f"    found[name], known = sorted(set({HEAVY}) & set(sys.modules) - known), set(sys.modules)\n"
        "print(json.dumps(found))"
    )
    done = run_in_clean_process(code, tmp_path_factory.mktemp("parsing"))
    assert done.returncode == 0, done.stderr
    read: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return read


@pytest.mark.parametrize("name", DAG_FILES)
def test_a_dag_file_imports_nothing_heavy(name: str, heavy: dict[str, list[str]]) -> None:
    assert heavy[Path(name).stem] == []


def test_a_setting_that_cannot_be_used_is_an_import_error_that_names_it(tmp_path: Path) -> None:
    done = run_in_clean_process("import recsys_train", tmp_path, RECSYS_SHARDS="many")
    assert done.returncode != 0
    assert "SettingsError" in done.stderr
    assert "shards = 'many'" in done.stderr


def test_names_take_the_namespace(tmp_path: Path) -> None:
    code = (
        "import recsys_publish, recsys_train, recsys_wiring as w;"
        "print(w.TRAIN, w.PUBLISH, w.APPROVE, w.DECIDE, w.RECONCILE, w.ROLLBACK);"
        "print(w.POOL, w.CHAMPION.name, w.CHAMPION.uri)"
    )
    done = run_in_clean_process(code, tmp_path, RECSYS_NAMESPACE="acme")
    assert done.returncode == 0, done.stderr
    names = ("train", "publish", "approve", "decide", "reconcile", "rollback")
    assert done.stdout.splitlines()[-2:] == [
        " ".join(f"acme_{name}" for name in names),
        "acme_warehouse acme_champion x-recsys://acme/champion",
    ]


def test_the_shared_modules_are_not_read_as_dag_files() -> None:
    ignored = (assets_root() / "dags" / ".airflowignore").read_text(encoding="utf-8").splitlines()
    assert SHARED - set(ignored) == set()
