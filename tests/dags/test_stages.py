"""Tasks call stages by one way, which a setting switches; what goes through it is what a stage can take."""

import json
import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from recsys import pipeline
from recsys.assets import assets_root
from recsys.errors import SettingsError
from recsys.pipeline.calling import call
from recsys.settings import Settings
from tests.support.warehouse import make_settings

ROOT = Path(__file__).parents[2]
FILES = sorted((assets_root() / "dags").glob("*.py"))
WAY = "recsys_stages.py"
ANSWER = "import sys; from recsys.pipeline.calling import answer; print(answer(*sys.argv[1:]))"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_dag_calls_a_stage_past_the_switch(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.name != WAY:
        assert "from recsys import pipeline" not in text and "recsys.pipeline" not in text
    called = set(re.findall(r"\bpipeline\.(\w+)\(", text))
    assert called <= set(pipeline.__all__), called - set(pipeline.__all__)


def test_moments_and_the_clock_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def stage(settings: Settings, *, now: datetime, names: list[str], clock: Any) -> dict[str, Any]:
        seen.update(now=now, names=names, moment=clock())
        return {}

    monkeypatch.setattr(pipeline, "take_snapshot", stage)
    call("take_snapshot", make_settings(tmp_path), {"now": {"$moment": "2025-01-02T06:00:00"}, "names": ["a"]})
    assert (seen["now"], seen["names"]) == (datetime(2025, 1, 2, 6), ["a"])
    assert seen["moment"].tzinfo is None
    with pytest.raises(SettingsError, match="another version of recsys"):
        call("no_such_stage", make_settings(tmp_path), {})


def ask(tmp_path: Path, parent: int, seconds: float | None, name: str = "take_snapshot") -> Any:
    given = {"as_of": "latest", "now": {"$moment": "2025-01-02"}}
    question = {"given": given, "ids": {"run_id": "r1"}, "parent": parent, "seconds": seconds}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RECSYS_HOME": str(tmp_path / "home")}
    return subprocess.run(
        [sys.executable, "-c", ANSWER, name, json.dumps(question)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_the_platform_reports_comes_back_by_its_class(tmp_path: Path) -> None:
    done = ask(tmp_path, os.getpid(), None)
    answered = json.loads(done.stdout.splitlines()[-1])
    assert answered.get("error") == "ContractError", answered
    assert "The warehouse has no shop yet" in answered["message"]


def test_a_stage_ends_with_its_time(tmp_path: Path) -> None:
    assert ask(tmp_path, os.getpid(), 0.001).returncode < 0


def test_a_stage_ends_with_who_asked(tmp_path: Path) -> None:
    # Nobody is its parent, as after the task was killed.
    done = ask(tmp_path, 1, None)
    assert (done.returncode, done.stdout) == (1, "")
