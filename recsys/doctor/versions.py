"""Versions of Python and of the packages, against the ranges that this release was tested with."""

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from recsys.doctor.finding import NOTE, OK, WRONG, Finding, Ground

PYTHON: Final = SpecifierSet(">=3.11,<3.14")
# Shown also when they are as they should be; of the others only what is wrong.
SHOWN: Final = frozenset({"duckdb", "sqlalchemy", "pandas", "pyarrow", "lightgbm", "implicit", "mlflow"})
OF_AIRFLOW: Final = frozenset({"apache-airflow", "apache-airflow-providers-standard"})
_PACKAGE: Final = "recsys"
_EXTRA: Final = "local"


def check_versions(ground: Ground) -> list[Finding]:
    """Compare what is installed with what the package declares."""
    return [python_finding(platform.python_version()), *_packages()]


def python_finding(found: str) -> Finding:
    """Compare a version of Python with the supported ones."""
    if PYTHON.contains(found, prereleases=True):
        return Finding("python", OK, found)
    advice = "Use Python 3.11, 3.12 or 3.13: make install PYTHON=/path/to/python3.11, or a new environment."
    return Finding("python", WRONG, f"{found}; tested with {PYTHON}", advice)


def declared() -> list[Requirement]:
    """Return what the installed package requires; empty where it runs from a folder without being installed."""
    try:
        return [Requirement(text) for text in requires(_PACKAGE) or []]
    except PackageNotFoundError:
        return []


def tested_range(name: str) -> SpecifierSet:
    """Return the range of versions of a package that this release was tested with; any if none is declared."""
    return next((one.specifier for one in declared() if one.name == name), SpecifierSet())


def _packages() -> Iterator[Finding]:
    found = declared()
    if not found:
        yield Finding("packages", NOTE, "recsys is not installed, so it declares no versions to compare with")
    for one in found:
        if one.name in OF_AIRFLOW and one.marker is not None and one.marker.evaluate({"extra": _EXTRA}):
            yield _package(one, is_needed=False)
        elif one.marker is None or one.marker.evaluate({"extra": ""}):
            finding = _package(one, is_needed=True)
            if one.name in SHOWN or finding.status != OK:
                yield finding


def _package(asked: Requirement, *, is_needed: bool) -> Finding:
    try:
        found = version(asked.name)
    except PackageNotFoundError:
        if is_needed:
            return Finding(asked.name, WRONG, "not installed", f"Run: make install, or pip install '{_spelled(asked)}'")
        return Finding(asked.name, NOTE, "not installed here; needed for recsys up and recsys demo only")
    if asked.specifier.contains(found, prereleases=True):
        return Finding(asked.name, OK, found)
    advice = f"Run: pip install '{_spelled(asked)}', or take an environment of its own (docs/existing-airflow.md)."
    return Finding(asked.name, WRONG, f"{found}; tested with {asked.specifier}", advice)


def _spelled(asked: Requirement) -> str:
    return f"{asked.name}{asked.specifier}"
