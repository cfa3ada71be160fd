"""Gives Airflow a home of this process's own, since it reads its settings once, at its first import."""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from recsys.assets import assets_root

USERS = {"ada": "admin", "uma": "user", "vera": "viewer"}
"""Who may log in, each with their own name as the password, and their role."""
ADDRESS = "http://airflow.shop"
"""Where a browser finds Airflow in tests that need no browser."""

_HOME = tempfile.mkdtemp(prefix="airflow-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
_PASSWORDS = Path(_HOME) / "passwords.json"
_PASSWORDS.write_text(json.dumps({name: name for name in USERS}), encoding="utf-8")
os.environ["AIRFLOW_HOME"] = _HOME
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(assets_root() / "dags")
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(assets_root() / "plugins")
os.environ["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] = "False"
os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] = ",".join(f"{name}:{role}" for name, role in USERS.items())
os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"] = str(_PASSWORDS)
os.environ["AIRFLOW__API__SECRET_KEY"] = "only for tests"
os.environ["AIRFLOW__API_AUTH__JWT_SECRET"] = "only for tests, sixty-four bytes of it, which HS512 wants, no less."
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"


@cache
def migrate_database() -> None:
    """Make the tables of that home's database, once a process: the command alone takes seconds."""
    airflow = Path(sys.executable).with_name("airflow")
    done = subprocess.run([airflow, "db", "migrate"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
