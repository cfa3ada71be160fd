"""Where a model comes from: the commit of the code, and what is installed."""

import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

import recsys

UNKNOWN = "unknown"
# What loading and answering with a model needs; the versions are those that trained it.
RUNTIME = (
    "adbc-driver-manager",
    "adbc-driver-postgresql",
    "duckdb",
    "filelock",
    "implicit",
    "lightgbm",
    "llvmlite",
    "mlflow",
    "numba",
    "numpy",
    "pandas",
    "psycopg",
    "psycopg-binary",
    "pyarrow",
    "pydantic",
    "pydantic-settings",
    "rich",
    "scipy",
    "sqlalchemy",
    "threadpoolctl",
)


@dataclass(frozen=True)
class CodeState:
    """The commit of the running code (``unknown`` outside a checkout) and whether files differ from it."""

    commit: str
    is_dirty: bool


def code_state(package: Path | None = None) -> CodeState:
    """Return the state of the checkout that the package stands in.

    An installed package inside somebody else's checkout (a virtual environment in a repository) is
    ``unknown``: the commit would be of other code.
    """
    folder = package or Path(recsys.__file__).resolve().parent
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return CodeState(UNKNOWN, False)
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return CodeState(UNKNOWN, False)
    return CodeState(commit, bool(_git(folder.parent, "status", "--porcelain", "--untracked-files=no")))


def requirements() -> list[str]:
    """Return ``name==version`` of what a model needs to load, as installed here."""
    pinned = []
    for name in RUNTIME:
        try:
            pinned.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue  # an optional one that this installation does without
    return pinned


def installed_packages() -> list[str]:
    """Return ``name==version`` of everything installed, sorted by name."""
    found = {
        str(d.metadata["Name"]).lower(): f"{d.metadata['Name']}=={d.version}"
        for d in distributions()
        if d.metadata["Name"]
    }
    return [found[name] for name in sorted(found)]


def interpreter() -> dict[str, str]:
    """Return the Python and the platform that trained."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "recsys": recsys.__version__,
    }


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, None if it fails or isn't installed."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
