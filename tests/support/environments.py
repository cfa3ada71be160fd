"""Python environments of their own, with the versions of the lock, for tests of what must not be installed together."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
LOCK = ROOT / "requirements.lock"


@dataclass(frozen=True)
class Environment:
    """An environment, a folder to work in, and the variables that its programs get."""

    folder: Path
    variables: dict[str, str]

    @property
    def python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    def run(self, *arguments: str, check: bool = True, **variables: str) -> str:
        """Run the environment's Python, away from the checkout, and return what it printed, errors included."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RECSYS_", "AIRFLOW", "MLFLOW_", "PYTHON"))
        }
        done = subprocess.run(
            [self.python, *arguments],
            cwd=self.folder,
            env={**inherited, "OMP_WAIT_POLICY": "PASSIVE", **self.variables, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if not check else subprocess.PIPE,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + (done.stderr or "")
        return done.stdout


def build_wheel(folder: Path) -> Path:
    """Build the wheel with what is installed here: nothing is downloaded."""
    subprocess.run(
        [PROGRAMS / "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True, capture_output=True
    )
    [built] = folder.glob("*.whl")
    return built


def make_environment(folder: Path, *packages: str, bare: Path | None = None, **variables: str) -> Environment:
    """Make an environment with packages in the lock's versions; ``bare`` is a wheel to add without what it requires."""
    made = Environment(folder, variables)
    folder.mkdir(parents=True)
    uv(folder, "venv", "--python", os.path.realpath(sys.executable), made.python.parents[1])
    uv(folder, "pip", "install", "--python", made.python, "--constraint", LOCK, *packages)
    if bare is not None:
        uv(folder, "pip", "install", "--python", made.python, "--offline", "--no-deps", bare)
    return made


def uv(folder: Path, *arguments: str | Path) -> None:
    """Run uv, with the index and the certificate that pip is set up with, as the installation does."""
    told = {"UV_DEFAULT_INDEX": _pip("index-url"), "SSL_CERT_FILE": _pip("cert"), "UV_HTTP_TIMEOUT": "120"}
    environment = {**{name: value for name, value in told.items() if value}, **os.environ}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [PROGRAMS / "uv", "--quiet", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _pip(setting: str) -> str:
    command = [sys.executable, "-m", "pip", "config", "get", f"global.{setting}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
