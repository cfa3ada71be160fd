"""What the parts of the local stack are told: by environment variables only, so that no file is shared."""

import json
import os
import site
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import recsys
from recsys.assets import assets_root
from recsys.settings import Settings
from recsys.stack.checks import HOST, is_everywhere
from recsys.stack.keys import USER, Keys

_NOT_TOLD: Final[Any] = {"home": True, "tracking_uri": True, "review": {"webhook_secret"}}


@dataclass(frozen=True)
class Layout:
    """Where the local stack keeps its files, and where it answers."""

    home: Path
    airflow_url: str
    mlflow_url: str

    @classmethod
    def of(cls, settings: Settings) -> "Layout":
        """Return the layout for some settings."""
        # Who listens at all addresses is found at this machine's own.
        near = HOST if is_everywhere(settings.host) else settings.host
        return cls(
            home=settings.resolved_home,
            airflow_url=f"http://{near}:{settings.airflow_port}",
            mlflow_url=f"http://{near}:{settings.mlflow_port}",
        )

    @property
    def stack(self) -> Path:
        """Return the folder of keys, lock, state and logs of the stack."""
        return self.home / "stack"

    @property
    def logs(self) -> Path:
        """Return the folder with one log a part."""
        return self.stack / "logs"

    @property
    def airflow(self) -> Path:
        """Return AIRFLOW_HOME."""
        return self.home / "airflow"

    @property
    def mlflow(self) -> Path:
        """Return the folder of MLflow's database and artifacts."""
        return self.home / "mlflow"

    @property
    def passwords(self) -> Path:
        """Return the file from which Airflow reads the log-in."""
        return self.stack / "passwords.json"


def stack_environment(settings: Settings, layout: Layout, keys: Keys) -> dict[str, str]:
    """Return the environment that all parts, and the tasks that Airflow starts, run with.

    Airflow settings of the caller's own environment are left out: this Airflow is another one than theirs.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIRFLOW__") and name not in {"AIRFLOW_HOME", "AIRFLOW_CONFIG"}
    }
    programs = str(Path(sys.executable).parent)
    return {
        **inherited,
        "PATH": os.pathsep.join([programs, inherited.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(_import_path(inherited.get("PYTHONPATH"))),
        "PYTHONUNBUFFERED": "1",
        # Two cores, a handful of processes: more threads and arenas cost memory and gain nothing.
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        # Threads that wait for each other sleep instead of spinning: the servers need the cores, too.
        "OMP_WAIT_POLICY": "PASSIVE",
        **settings_environment(settings, layout),
        "RECSYS_REVIEW__WEBHOOK_SECRET": webhook_secret(settings, keys),
        **_airflow_environment(settings, layout, keys),
        **server_environment(keys),
    }


def webhook_secret(settings: Settings, keys: Keys) -> str:
    """Return what MLflow signs with: the setting's, else the kept one."""
    chosen = settings.review.webhook_secret
    return keys.webhook_secret if chosen is None else chosen.get_secret_value()


def _import_path(inherited: str | None) -> list[str]:
    # The parts must import this very copy, also from a checkout that isn't installed. An installed
    # one stands with the other packages, which must not come before the standard library.
    parent = str(Path(recsys.__file__).resolve().parents[1])
    ours = [] if parent in site.getsitepackages() else [parent]
    return ours + (inherited.split(os.pathsep) if inherited else [])


def settings_environment(settings: Settings, layout: Layout) -> dict[str, str]:
    """Return the platform's settings as variables: a task must compute with what the caller was told."""
    told = settings.model_dump(mode="json", exclude_unset=True, exclude=_NOT_TOLD)
    written = {
        f"RECSYS_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in told.items()
        if value is not None
    }
    return {
        **written,
        "RECSYS_HOME": str(layout.home),
        "RECSYS_TRACKING_URI": layout.mlflow_url,
        "MLFLOW_TRACKING_URI": layout.mlflow_url,
    }


def server_environment(keys: Keys) -> dict[str, str]:
    """Return what the MLflow server is told, from ``mlflow/server.env`` and the kept key."""
    lines = (assets_root() / "mlflow" / "server.env").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("=", 1) for line in lines if line.strip() and not line.startswith("#"))
    return {
        **{name.strip(): value.strip() for name, value in pairs},
        # Without a kept key, webhooks made before a restart can't be read after it.
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": keys.webhook_key,
        # Airflow is on this machine, without a certificate.
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    }


def _airflow_environment(settings: Settings, layout: Layout, keys: Keys) -> dict[str, str]:
    options: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": assets_root() / "dags",
            "plugins_folder": assets_root() / "plugins",
            "load_examples": False,
            "executor": "LocalExecutor",
            # What computes and what holds the warehouse take a pool each; a decision need not wait for one of theirs.
            "parallelism": settings.airflow.slots + 4,
            "dags_are_paused_at_creation": False,
            "execution_api_server_url": f"{layout.airflow_url}/execution/",
            "fernet_key": keys.fernet_key,
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": layout.passwords,
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{layout.airflow / 'airflow.db'}"},
        "api": {
            "host": settings.host,
            "port": settings.airflow_port,
            "base_url": layout.airflow_url,
            "workers": 1,
            "secret_key": keys.api_secret,
        },
        "api_auth": {"jwt_secret": keys.jwt_secret},
        "dag_processor": {"parsing_processes": 1},
        # One machine, one user: a task's next step need not wait for a slow heartbeat.
        "scheduler": {"scheduler_idle_sleep_time": 0.5},
    }
    written = {
        f"AIRFLOW__{section.upper()}__{name.upper()}": str(value)
        for section, values in options.items()
        for name, value in values.items()
    }
    return {"AIRFLOW_HOME": str(layout.airflow), **written}
