"""The command doctor: looks at everything that a run needs, and says what to do about what is wrong."""

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final

import typer

from recsys.cli.app import app, make_console, read_settings
from recsys.errors import RecsysError

if TYPE_CHECKING:
    from recsys.settings import Settings

PACKAGES: Final = ("duckdb", "sqlalchemy", "pyarrow", "lightgbm", "implicit", "mlflow", "apache-airflow")
OPTIONAL: Final = ("apache-airflow",)
NEEDED_GIB: Final = 2.0
WAIT_SECONDS: Final = 5.0
SQLITE: Final = "sqlite:///"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``is_good`` None means that it was only noted."""

    subject: str
    is_good: bool | None
    text: str


@app.command()
def doctor() -> None:
    """Check what a run needs, and say what to do.

    Looks at versions, folders, disk, warehouse and MLflow. Ends with code 1 if something is wrong.

    \b
    Examples:
      recsys doctor
    """
    from rich.table import Table
    from rich.text import Text

    settings = read_settings()
    findings = [*_packages(), *(_guarded(check, settings) for check in _CHECKS)]
    table = Table("", "what", "found")
    for finding in findings:
        mark = {True: "ok", False: "WRONG", None: "note"}[finding.is_good]
        table.add_row(mark, finding.subject, Text(finding.text))
    make_console().print(table)
    if any(finding.is_good is False for finding in findings):
        raise typer.Exit(1)


def _guarded(check: "Callable[[Settings], Finding]", settings: "Settings") -> Finding:
    try:
        return check(settings)
    except RecsysError as error:
        return Finding(check.__name__.removeprefix("_check_"), False, str(error))


def _packages() -> list[Finding]:
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    advice = "" if supported else "; use 3.11, 3.12 or 3.13"
    return [
        Finding("python", supported, platform.python_version() + advice),
        *(_package(name) for name in PACKAGES),
    ]


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        if name in OPTIONAL:
            return Finding(name, None, "not installed; needed for recsys up and recsys demo only")
        return Finding(name, False, "not installed; run make install, or pip install recsys")


def _check_home(settings: "Settings") -> Finding:
    home = settings.resolved_home
    place = _existing(home)
    try:
        with TemporaryFile(dir=place):
            pass
    except OSError as error:
        return Finding("home", False, f"{home} can't be written ({error.strerror}); set RECSYS_HOME")
    return Finding("home", True, str(home) + ("" if home.is_dir() else " (not made yet)"))


def _check_disk(settings: "Settings") -> Finding:
    free = shutil.disk_usage(_existing(settings.resolved_home)).free / 2**30
    advice = "" if free >= NEEDED_GIB else f"; a run with the demo shop needs about {NEEDED_GIB:g} GiB"
    return Finding("disk", free >= NEEDED_GIB, f"{free:.1f} GiB free{advice}")


def _check_warehouse(settings: "Settings") -> Finding:
    from recsys.warehouse import open_warehouse, pending_migrations
    from recsys.warehouse.opening import warehouse_url

    url = warehouse_url(settings)
    if url.get_backend_name() == "duckdb" and not Path(str(url.database)).is_file():
        return Finding("warehouse", None, f"{url.database} is not there yet; recsys load makes it")
    with open_warehouse(settings, purpose="recsys doctor", timeout=WAIT_SECONDS) as warehouse:
        pending = pending_migrations(warehouse)
        if pending:
            return Finding("warehouse", False, f"lacks {', '.join(pending)}; run recsys migrate")
        count = int(warehouse.query("select count(*) as events from shop.events")[0]["events"])
        return Finding("warehouse", True, f"{warehouse.name}: {count:,} events")


def _check_mlflow(settings: "Settings") -> Finding:
    from recsys import registry

    uri = settings.mlflow_uri
    shown = registry.redact(uri)
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).is_file():
        return Finding("mlflow", None, f"{shown} is not there yet; recsys run makes it")
    with registry.connected(settings):
        return Finding("mlflow", True, f"{shown} answers")


def _check_threads(settings: "Settings") -> Finding:
    return Finding("threads", None, f"{settings.thread_count} of {os.cpu_count()} cores, RECSYS_THREADS sets them")


def _existing(path: Path) -> Path:
    """Return the nearest folder above that exists: a look makes none."""
    return next(place for place in (path, *path.parents) if place.is_dir())


_CHECKS: Final = (_check_home, _check_disk, _check_threads, _check_warehouse, _check_mlflow)
