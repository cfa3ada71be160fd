"""The commit of the running code, in checkouts made for the test."""

import json
import subprocess
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest

from recsys.registry.provenance import code_state, installed_packages, requirements


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


IMPORTED = """
import ast, json, pathlib, sys
import recsys.scoring
found = set()
for name, module in list(sys.modules.items()):
    if name.partition(".")[0] == "recsys" and getattr(module, "__file__", None):
        for node in ast.parse(pathlib.Path(module.__file__).read_text()).body:
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.partition(".")[0])
print(json.dumps(sorted(found)))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "recsys"
    folder.mkdir()
    (folder / "__init__.py").write_text("", encoding="utf-8")
    return folder


@pytest.fixture
def checkout(package: Path) -> Path:
    git(package.parent, "init", "--quiet")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "--quiet", "--message", "first")
    return package


def test_a_clean_checkout_gives_its_commit(checkout: Path) -> None:
    found = code_state(checkout)
    assert found.commit == git(checkout, "rev-parse", "HEAD")
    assert found.is_dirty is False


def test_a_changed_file_is_dirty(checkout: Path) -> None:
    (checkout / "__init__.py").write_text("changed = True\n", encoding="utf-8")
    assert code_state(checkout).is_dirty is True


def test_outside_a_checkout_it_is_unknown(package: Path) -> None:
    assert code_state(package).commit == "unknown"


def test_before_the_first_commit_it_is_unknown(package: Path) -> None:
    git(package.parent, "init", "--quiet")
    git(package.parent, "add", ".")
    assert code_state(package).commit == "unknown"


def test_inside_somebody_elses_checkout_it_is_unknown(checkout: Path) -> None:
    installed = checkout.parent / ".venv" / "recsys"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("", encoding="utf-8")
    assert code_state(installed).commit == "unknown"


def test_requirements_hold_all_that_a_model_imports() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True)
    imported = set(json.loads(done.stdout))
    known = packages_distributions()
    needed = {known[name][0].lower() for name in imported if name in known and name != "recsys"}
    assert {"lightgbm", "pyarrow"} <= needed
    assert needed <= {one.partition("==")[0] for one in requirements()}


def test_requirements_are_pinned_to_what_is_installed() -> None:
    pinned = requirements()
    assert f"lightgbm=={version('lightgbm')}" in pinned
    assert f"mlflow=={version('mlflow')}" in pinned
    assert {one.lower() for one in pinned} <= {one.lower() for one in installed_packages()}
