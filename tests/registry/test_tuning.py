"""A search is one run with a child for each trial, whatever end it came to before; on a server and on a file."""

from pathlib import Path
from typing import Any

import pytest

from recsys.registry import LoggedTrial, LoggedTuning, connected, log_found, log_trials, tuning_run
from recsys.registry.tuning import PARENT, SNIPPET, TRIAL
from recsys.settings import Settings

STUDY = "for_you-0123456789abcdef"


def trial(number: int, value: float) -> LoggedTrial:
    metrics = {"ndcg_10": value, "ndcg_10.2017-10-10T00:00:00": value + 0.01}
    return LoggedTrial(number=number, params={"leaves": 15 + number, "objective": "binary"}, metrics=metrics, seconds=2)


def begin(settings: Settings) -> Any:
    return tuning_run(settings, study=STUDY, name="recsys tune for_you", params={"placement": "for_you"})


def children(settings: Settings, parent: LoggedTuning) -> dict[str, Any]:
    """Return the child runs by trial."""
    with connected(settings) as client:
        runs = client.search_runs([parent.experiment_id], f"tags.`{PARENT}` = '{parent.run_id}'")
    assert len({run.data.tags[TRIAL] for run in runs}) == len(runs)
    return {run.data.tags[TRIAL]: run for run in runs}


def status(settings: Settings, run_id: str) -> str:
    with connected(settings) as client:
        return str(client.get_run(run_id).info.status)


def test_a_search_and_its_trials(settings: Settings, tmp_path: Path) -> None:
    with begin(settings) as run:
        assert status(settings, run.run_id) == "RUNNING"
        log_trials(settings, run, [trial(0, 0.4), trial(1, 0.45)])
        log_found(settings, run, metrics={"best.ndcg_10": 0.45}, snippet="[placements.for_you.ranker]\n")
    with connected(settings) as client:
        parent = client.get_run(run.run_id)
        snippet = Path(client.download_artifacts(run.run_id, SNIPPET, str(tmp_path))).read_text(encoding="utf-8")
    assert (parent.info.status, parent.info.run_name) == ("FINISHED", "recsys tune for_you")
    assert parent.data.params == {"placement": "for_you"}
    assert parent.data.metrics == {"best.ndcg_10": 0.45}
    assert snippet == "[placements.for_you.ranker]\n"
    found = children(settings, run)
    assert {number: one.info.status for number, one in found.items()} == {"0": "FINISHED", "1": "FINISHED"}
    assert found["0"].info.run_name == "trial 0: the settings in force"
    assert found["1"].data.params == {"leaves": "16", "objective": "binary"}
    assert found["1"].data.metrics == {
        "ndcg_10": 0.45,
        "ndcg_10.2017-10-10T00_00_00": pytest.approx(0.46),
        "seconds": 2,
    }
    assert found["1"].info.end_time - found["1"].info.start_time >= 1_900


def test_going_on_is_the_same_run_and_logs_only_what_is_missing(settings: Settings) -> None:
    with begin(settings) as first:
        log_trials(settings, first, [trial(0, 0.4), trial(1, 0.45)])
    before = {number: run.info.run_id for number, run in children(settings, first).items()}
    with connected(settings) as client:
        client.update_run(before["1"], status="RUNNING")  # as a process leaves it that is killed while it logs
    with begin(settings) as again:
        assert again == first
        assert status(settings, first.run_id) == "RUNNING"
        log_trials(settings, again, [trial(0, 0.4), trial(1, 0.45), trial(2, 0.5)])
    after = {number: run.info.run_id for number, run in children(settings, first).items()}
    assert set(after) == {"0", "1", "2"}
    assert after["0"] == before["0"]
    assert after["1"] != before["1"]
    assert status(settings, first.run_id) == "FINISHED"


def test_a_search_that_fails_says_so(settings: Settings) -> None:
    with pytest.raises(KeyboardInterrupt), begin(settings) as run:
        raise KeyboardInterrupt
    assert status(settings, run.run_id) == "KILLED"
