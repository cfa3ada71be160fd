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


# What decides the content of an artifact of a training, besides its inputs and settings.
_COMPUTING = ("candidates", "features", "fusion", "knowledge", "ranking", "scoring")
_SOURCES = (".py", ".html")


@cache
def code_hash(*more: str) -> str:
    """Return 16 hex digits of the code and SQL that compute: after an upgrade, stages don't reuse the old results.

    Args:
        more: rooms that an artifact depends on besides those of a training, for example ``evaluation``.
    """
    files = {path.name: path for path in _PACKAGE.glob("*.py")}
    for room in (*_COMPUTING, *more):
        sources = [path for suffix in _SOURCES for path in _PACKAGE.glob(f"{room}/**/*{suffix}")]
        files |= {path.relative_to(_PACKAGE).as_posix(): path for path in sources}
        files |= {f"sql/{room}/{path.name}": path for path in sql_path(room).glob("*.*")}
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\n".encode() + files[name].read_bytes())
    return digest.hexdigest()[:16]
