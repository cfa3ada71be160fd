"""MLflow's tables in a file, made once: some sixty migrations make them, which takes a second or two each time."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from recsys.registry.connection import SQLITE
from recsys.settings import Settings

DATABASE = "mlflow.db"


def ready_store(settings: Settings) -> None:
    """Put MLflow's tables where the settings' file is, unless it is there or MLflow is a server."""
    if settings.mlflow_uri.startswith(SQLITE):
        ready_database(Path(settings.mlflow_uri.removeprefix(SQLITE)))


def ready_database(path: Path) -> None:
    """Put MLflow's tables into a file, unless it is there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_template(), path)


@cache
def _template() -> Path:
    """Let MLflow make its tables, and nothing in them, for this process."""
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    folder = Path(tempfile.mkdtemp(prefix="mlflow-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    engine = create_sqlalchemy_engine(f"{SQLITE}{folder / DATABASE}")
    _initialize_tables(engine)
    engine.dispose()
    return folder / DATABASE
