"""Finds the files that are not Python: SQL, DAGs, plugins and MLflow's code file.

In a checkout they stand at the top level, in an installed wheel inside the package.
"""

import hashlib
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


# What decides the content of an artifact, besides its inputs and settings.
_COMPUTING = ("candidates", "evaluation", "features", "ranking", "scoring", "*.py")


@cache
def code_hash() -> str:
    """Return 16 hex digits of the code and SQL that compute: after an upgrade, stages don't reuse the old results."""
    files = [path for room in _COMPUTING for path in _PACKAGE.glob(room if room.endswith(".py") else f"{room}/*.py")]
    files += [path for folder in ("features", "scoring") for path in sql_path(folder).glob("*.sql")]
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda path: (path.parent.name, path.name)):
        digest.update(f"{path.parent.name}/{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
