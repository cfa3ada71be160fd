"""A machine of a shop: a process with a home of its own that does what it is told, one stage after the other."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Machine:
    """A process that calls stages, as a worker of Airflow does: text goes in and out."""

    process: subprocess.Popen[str]
    home: Path

    def __call__(self, stage: str, **given: Any) -> Any:
        """Call a stage of ``recsys.pipeline``."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"stage": stage, "given": given}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"{stage} ended the machine"
        return json.loads(answer)


@contextmanager
def machine(folder: Path, home: Path, settings: dict[str, Any]) -> Iterator[Machine]:
    """Start a machine.

    Args:
        folder: of the shop.
        home: of the machine.
        settings: beside those of ``quick_settings``.
    """
    told = json.dumps({**settings, "home": str(home)})
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_TRACKING")}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.machine", str(folder), told],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Machine(process, home)
    finally:
        process.kill()
        process.communicate()


def main() -> None:
    from recsys.pipeline.calling import call
    from tests.support.planted import quick_settings

    settings = quick_settings(Path(sys.argv[1]), **json.loads(sys.argv[2]))
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    for line in sys.stdin:
        asked = json.loads(line)
        answers.write(json.dumps(call(asked["stage"], settings, asked["given"])) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
