"""Airflow reads its settings at import: a home of its own, so that nothing lands in the user's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tests.support.airflow_home  # noqa: F401
from recsys.assets import assets_root

# As Airflow does before it loads plugins.
sys.path.append(str(assets_root() / "plugins"))


@pytest.fixture(scope="session")
def database() -> None:
    """Airflow's database, which knows the DAGs."""
    airflow = Path(sys.executable).with_name("airflow")
    path = os.pathsep.join([str(assets_root() / "dags"), str(assets_root())])
    environment = {**os.environ, "PYTHONPATH": path}
    for command in (["db", "migrate"], ["dags", "reserialize"]):
        done = subprocess.run([airflow, *command], capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
