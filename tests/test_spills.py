"""What a killed process spilled to disk does not stay there."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recsys.compute import engine
from tests.support.warehouse import make_settings

# A table that does not fit: its blocks are on disk when the process ends.
SPILLING = """
import os, signal, sys
from pathlib import Path
from recsys.compute import engine
from tests.support.warehouse import make_settings
scratch = Path(sys.argv[2]) if sys.argv[2:] else None
with engine(make_settings(Path(sys.argv[1]), memory_limit_gb=0.1, scratch=scratch)) as bench:
    bench.execute("create temp table t as select hash(n) as a, hash(n + 1) as b from range(8000000) as r (n)")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def spills(root: Path) -> list[Path]:
    return [path for path in root.glob("duckdb-*") if any(path.iterdir())]


@pytest.mark.parametrize("has_scratch", [False, True])
def test_what_a_killed_process_spilled_goes_when_the_next_engine_opens(tmp_path: Path, has_scratch: bool) -> None:
    scratch = tmp_path / "scratch" if has_scratch else None
    root = scratch or tmp_path / "home" / "tmp"
    told = [str(path) for path in (tmp_path, scratch) if path]
    ended = subprocess.run([sys.executable, "-c", SPILLING, *told], check=False)
    assert ended.returncode == -signal.SIGKILL
    [left] = spills(root)
    running = left.with_name(left.name.rpartition("-")[0] + f"-{os.getppid()}")
    elsewhere = left.with_name("duckdb-another-machine-1")
    for folder in (running, elsewhere):
        folder.mkdir()
        (folder / "block").touch()
    with engine(make_settings(tmp_path, scratch=scratch)):
        assert sorted(spills(root)) == sorted([running, elsewhere])
