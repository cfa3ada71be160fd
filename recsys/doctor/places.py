"""The home folder, its disk, the threads that a stage uses, and variables that have no effect."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from recsys.doctor.finding import NOTE, OK, WRONG, Finding, Ground
from recsys.homes import Home
from recsys.settings import Settings, unknown_variables
from recsys.snapshot import KIND

NEEDED_GIB: Final = 2.0


def check_places(ground: Ground) -> list[Finding]:
    """Look whether home can be written and has room."""
    home = ground.settings.resolved_home
    place = existing(home)
    threads = f"{ground.settings.thread_count} of {os.cpu_count()} cores, RECSYS_THREADS sets them"
    return [
        _home(home, place),
        disk_finding(place, shutil.disk_usage(place).free),
        Finding("threads", NOTE, threads),
        *variable_findings(os.environ),
    ]


def check_store(ground: Ground) -> list[Finding]:
    """Look whether the object store answers, if there is one.

    Raises:
        StoreError: if it doesn't.
        SettingsError: if something is missing for it.
    """
    store = Home.of(ground.settings).store
    if store is None:
        return []
    return [Finding("artifacts", OK, f"{store.url} answers; it has {len(store.made(KIND))} snapshots")]


def variable_findings(names: Iterable[str]) -> list[Finding]:
    """Tell of RECSYS_* variables that are no settings; without any there is nothing to tell."""
    advice = "Correct its name, or unset it."
    return [Finding("variable", WRONG, told, advice) for told in unknown_variables(names, Settings.model_fields)]


def _home(home: Path, place: Path) -> Finding:
    try:
        with TemporaryFile(dir=place):
            pass
    except OSError as error:
        advice = f"Let this user write to {place} (chown, chmod), or set RECSYS_HOME to another folder."
        return Finding("home", WRONG, f"{home} can't be written ({error.strerror})", advice)
    return Finding("home", OK, str(home) + ("" if home.is_dir() else " (not made yet)"))


def disk_finding(place: Path, free_bytes: int) -> Finding:
    """Compare what is free on a folder's disk with what a run needs."""
    free = free_bytes / 2**30
    if free >= NEEDED_GIB:
        return Finding("disk", OK, f"{free:.1f} GiB free")
    advice = "Make room there, or set RECSYS_HOME to a folder on another disk."
    return Finding("disk", WRONG, f"{free:.2f} GiB free for {place}; a run needs about {NEEDED_GIB:g} GiB", advice)


def existing(path: Path) -> Path:
    """Return the nearest folder above that exists: a look makes none."""
    return next(place for place in (path, *path.parents) if place.is_dir())
