import subprocess
import sys
from pathlib import Path

import pytest

from recsys.stack.signals import StopSignals
from recsys.stack.state import ProcessId, StackClaim

HOLD = """
import sys, time, os
from pathlib import Path
from recsys.stack.state import StackClaim
claim = StackClaim(Path(sys.argv[1]))
assert claim.take()
claim.write(os.getpid(), "http://127.0.0.1:1", "http://127.0.0.1:2")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_claim_is_held_by_one_process(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    claim = StackClaim(tmp_path)
    assert claim.take() is False
    note = claim.read()
    assert note is not None
    assert note.owner.pid == holder.pid
    assert note.owner.is_alive
    assert (note.airflow_url, note.mlflow_url) == ("http://127.0.0.1:1", "http://127.0.0.1:2")


def test_the_claim_of_a_killed_process_can_be_taken(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    holder.kill()
    holder.wait()
    claim = StackClaim(tmp_path)
    assert claim.take() is True
    assert claim.read() is None
    claim.release()


def test_a_process_is_told_from_a_later_one_with_its_number() -> None:
    import os

    now = ProcessId.of(os.getpid())
    assert now.is_alive
    assert not ProcessId(now.pid, now.created - 60).is_alive


def test_an_unreadable_note_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text("{", encoding="utf-8")
    claim = StackClaim(tmp_path)
    assert claim.read() is None
    assert claim.take() is True
    claim.release()


def test_a_signal_waits_for_the_end_of_a_step_that_must_not_be_cut() -> None:
    import os
    import signal

    signals = StopSignals()
    signals.install()
    done = []
    try:
        with pytest.raises(KeyboardInterrupt), signals.held():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("whole")
        with signals.ignored():
            os.kill(os.getpid(), signal.SIGHUP)
            done.append("stopped")
    finally:
        signals.restore()
    assert done == ["whole", "stopped"]
