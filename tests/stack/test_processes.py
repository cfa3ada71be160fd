"""Ending what was started, down to the children that don't want to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from recsys.stack.processes import Part, end_sessions, session_members, start_part, tail

# Leaves a child in a process group of its own, as Airflow does with a running task.
WITH_CHILD = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", CHILD], process_group=0)
print(child.pid, flush=True)
time.sleep(600)
"""
PATIENT = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(600)"


def part_with_child(child: str) -> Part:
    return Part("a part", (sys.executable, "-c", WITH_CHILD.replace("CHILD", repr(child))))


def wait_for_log(part: Part, logs: Path, lines: int) -> None:
    while tail(part.log(logs)).count("\n") < lines - 1 or not tail(part.log(logs)):
        time.sleep(0.02)


def test_a_part_and_its_child_in_another_group_end_together(tmp_path: Path) -> None:
    part = part_with_child(PATIENT)
    process = start_part(part, tmp_path, os.environ)
    wait_for_log(part, tmp_path, 1)
    child = int(tail(part.log(tmp_path)))
    assert os.getpgid(child) != process.pid
    assert set(session_members([process.pid])) == {process.pid, child}
    end_sessions([process.pid])
    assert process.wait() == -signal.SIGTERM
    assert session_members([process.pid]) == {}
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_what_does_not_listen_is_forced(tmp_path: Path) -> None:
    part = part_with_child(STUBBORN)
    process = start_part(part, tmp_path, os.environ)
    wait_for_log(part, tmp_path, 2)  # the child's line comes when it has stopped listening
    end_sessions([process.pid], grace=0.3)
    process.wait()
    assert session_members([process.pid]) == {}


def test_other_sessions_are_left_alone(tmp_path: Path) -> None:
    mine = start_part(Part("mine", (sys.executable, "-c", PATIENT)), tmp_path, os.environ)
    other = start_part(Part("other", (sys.executable, "-c", PATIENT)), tmp_path, os.environ)
    try:
        end_sessions([mine.pid])
        mine.wait()
        assert session_members([other.pid]) == {other.pid: other.pid}
    finally:
        other.kill()
        other.wait()


def test_the_end_of_a_log_is_read_without_the_rest(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("".join(f"line {n}\n" for n in range(50_000)), encoding="utf-8")
    assert tail(log, 2) == "line 49998\nline 49999"
    assert tail(tmp_path / "missing.log") == ""


def test_when_the_parent_is_killed_its_parts_end(tmp_path: Path) -> None:
    # The parent does what the stack does: a reaper at a pipe, a part in a session of its own.
    parent_code = f"""
import subprocess, sys, os, time
from pathlib import Path
from recsys.stack.processes import Part, start_part
reaper = subprocess.Popen([sys.executable, "-m", "recsys.stack.reaper"], stdin=subprocess.PIPE, text=True,
                          start_new_session=True)
part = start_part(Part("part", (sys.executable, "-c", {PATIENT!r})), Path({str(tmp_path)!r}), os.environ)
reaper.stdin.write(f"{{part.pid}}\\n"); reaper.stdin.flush()
print(part.pid, reaper.pid, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    part, reaper = (psutil.Process(int(word)) for word in parent.stdout.readline().split())
    parent.kill()
    parent.communicate()
    _gone, alive = psutil.wait_procs([part, reaper], timeout=30)
    assert not alive, alive
