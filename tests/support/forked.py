"""Processes of their own that run the whole chain on one home, killed at a step or beside each other.

One process loads the libraries once, uses none of them, and forks: a child costs no import. Run as a program it takes
the folder of a shop and rounds as JSON: the children of one round run at the same time, and each is
``{"step": "...", "settings": {...}}``. A step is ``adopt:KIND`` (the artifact is written, but not renamed yet) or
``MODULE:NAME`` (a function, or a method as Class.name); a child kills itself when it comes there. Without one it ends.
"""

import functools
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
KILLED = -signal.SIGKILL
LOADED = ("mlflow", "lightgbm", "implicit", "sklearn.tree", "matplotlib.pyplot", "recsys.pipeline", "recsys.registry")

Child = dict[str, Any]


def run_rounds(folder: Path, rounds: list[list[Child]]) -> list[list[int]]:
    """Run the chain in children; return how each ended: 0, 1 (an error of the platform), or minus a signal."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_TRACKING")}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.support.forked", str(folder), json.dumps(rounds)],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found: list[list[int]] = json.loads(ended.stdout.splitlines()[-1])
    return found


def _die_at(step: str) -> None:
    place, _, name = step.partition(":")
    if place == "adopt":
        _die_when("recsys.artifacts", "ArtifactStore.adopt", lambda args: args[2] == name)
    elif place:
        _die_when(place, name, lambda args: True)


def _die_when(module: str, name: str, is_time: Any) -> None:
    *path, last = name.split(".")
    owner = functools.reduce(getattr, path, importlib.import_module(module))
    real = getattr(owner, last)

    def dying(*args: Any, **kwargs: Any) -> Any:
        if is_time(args):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    setattr(owner, last, dying)


def _run(folder: Path, child: Child) -> int:
    from recsys.errors import RecsysError
    from tests.support.chain import run
    from tests.support.planted import quick_settings

    _die_at(child.get("step", ""))
    try:
        settings = quick_settings(folder, **child.get("settings", {}))
        run(settings)
    except RecsysError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _fork(folder: Path, child: Child) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 2
    try:
        code = _run(folder, child)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    folder, rounds = Path(sys.argv[1]), json.loads(sys.argv[2])
    for name in LOADED:
        importlib.import_module(name)
    gc.freeze()  # a child's garbage collection would go through all of this, and copy it
    ended = []
    for children in rounds:
        pids = [_fork(folder, child) for child in children]
        ended.append([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids])
        if 2 in ended[-1]:
            sys.exit(2)
    print(json.dumps(ended))


if __name__ == "__main__":
    main()
