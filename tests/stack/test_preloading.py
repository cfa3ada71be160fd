"""What runs tasks has the stages in memory before it forks a process for each; no other part of Airflow loads them."""

import os
import subprocess
import sys
from pathlib import Path

from recsys.assets import assets_root

TELL = """
import os, sys
sys.argv[1:] = ["scheduler", "--skip-serve-logs"]
import airflow.settings
from airflow_local_settings import forks_tasks

print("recsys.pipeline" in sys.modules)
print(forks_tasks(["api-server"]), forks_tasks(["celery", "flower"]), forks_tasks(["dag-processor"]))
os.environ["AIRFLOW__CORE__EXECUTOR"] = "CeleryExecutor"
print(forks_tasks(["scheduler"]), forks_tasks(["celery", "worker", "--concurrency", "2"]))
"""


def test_who_loads_the_stages(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(assets_root() / "plugins"),
    }
    told = subprocess.run([sys.executable, "-c", TELL], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-3:] == ["True", "False False False", "False True"]
