"""The lock and the commands that a newcomer runs."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def locked() -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", LOCK, flags=re.MULTILINE))


def test_every_package_of_the_lock_has_a_hash_and_no_host_or_path_stands_in_it() -> None:
    entries = re.split(r"^(?=\S)", LOCK, flags=re.MULTILINE)
    packages = [entry for entry in entries if entry and not entry.startswith("#")]
    assert len(packages) > 150
    for entry in packages:
        assert re.match(r"[a-z0-9._-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry
    assert "://" not in LOCK
    assert str(ROOT) not in LOCK


def test_the_lock_holds_what_the_project_asks_for_and_what_installs_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = project["project"]["dependencies"] + project["project"]["optional-dependencies"]["local"]
    wanted += project["dependency-groups"]["dev"] + project["build-system"]["requires"]
    names = {re.split(r"[\[<>=; ]", requirement)[0].lower() for requirement in wanted}
    assert names <= set(locked())
    assert {"uv", "hatchling"} <= names


def make(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("version", "said"), [("3.9.1", "is: Python 3.9.1."), (None, "is: no such program.")])
def test_a_python_that_does_not_fit_is_named_with_what_to_do(tmp_path: Path, version: str | None, said: str) -> None:
    python = tmp_path / "python"
    if version:
        python.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "Python {version}" || exit 1\n')
        python.chmod(0o755)
    done = make("install", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}")
    assert done.returncode != 0
    assert said in done.stderr
    assert "make install PYTHON=" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_make_alone_says_what_there_is() -> None:
    shown = make().stdout
    for target in ("install", "run", "test", "lint", "bench", "soak", "clean"):
        assert f"make {target} " in shown
