"""Finds the files that are not Python: SQL, DAGs, plugins and MLflow's code file.

In a checkout they stand at the top level, in an installed wheel inside the package.
"""

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


@cache
def assets_root() -> Path:
    """Return the folder that holds ``sql/``, ``dags/``, ``plugins/`` and ``mlflow/``."""
    shipped = _PACKAGE / "_shipped"
    return shipped if shipped.is_dir() else _PACKAGE.parent


def sql_path(*parts: str) -> Path:
    """Return the path below ``sql/``."""
    return assets_root().joinpath("sql", *parts)


def read_sql(*parts: str) -> str:
    """Return the text of one SQL file below ``sql/``."""
    return sql_path(*parts).read_text(encoding="utf-8")
