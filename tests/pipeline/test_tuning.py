"""Tuning on a small shop: which months it looks at, that the hold-out is none of them, and what it leaves behind."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from recsys import pipeline
from recsys.cli import app
from recsys.errors import ContractError
from recsys.registry import connected
from recsys.registry.tuning import PARENT, TRIAL
from recsys.settings import LearnerSettings, Settings
from recsys.tuning import Trial
from recsys.warehouse import open_warehouse
from tests.support.chain import write_chain_shop
from tests.support.planted import NOW, Event, add_events, quick_settings, run_sql
from tests.support.warehouse import item_id, user_id

AS_OF = datetime(2024, 12, 31)
HORIZON = timedelta(days=28)
FOLDS = 2


@pytest.fixture(autouse=True, scope="module")
def own_store() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = quick_settings(
        tmp_path_factory.mktemp("tuned"), threads=1
    )  # hundreds of small trees: threads would only wait
    write_chain_shop(made, users=90)
    return made


class Heard(pipeline.Watcher):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.ended: list[int] = []
        self.trials: list[Trial] = []

    def begun(self, ended: list[Trial], trials: int) -> None:
        self.ended = [trial.number for trial in ended]

    def tried(self, trial: Trial, best: Trial) -> None:
        self.trials.append(trial)


def tune(settings: Settings, trials: int, **budget: Any) -> tuple[dict[str, Any], Heard, dict[str, Any]]:
    """Tune, and return what came out, what was heard and the stages' results."""
    heard, stages = Heard(), {}

    def note(stage: str, result: Mapping[str, Any] | None) -> None:
        if result is not None:
            stages[stage] = result

    outcome = pipeline.tune_ranker(
        settings,
        placement="for_you",
        as_of=AS_OF.isoformat(),
        budget=pipeline.Budget(trials=trials, **{"folds": FOLDS, **budget}),
        now=NOW,
        progress=note,
        watcher=heard,
    )
    return outcome, heard, stages


@pytest.fixture(scope="module")
def tuned(settings: Settings) -> tuple[dict[str, Any], Heard, dict[str, Any]]:
    return tune(settings, 3)


def test_it_validates_on_the_months_before_the_hold_out(tuned: tuple[dict[str, Any], Heard, dict[str, Any]]) -> None:
    outcome, heard, stages = tuned
    assert outcome["cuts"] == [(AS_OF - 2 * HORIZON).isoformat(), (AS_OF - 3 * HORIZON).isoformat()]
    assert stages["snapshot"]["as_of"] == (AS_OF - HORIZON).isoformat()
    assert heard.ended == []
    assert [trial.number for trial in heard.trials] == [0, 1, 2]
    assert outcome["current"]["value"] == heard.trials[0].value
    assert outcome["best"]["value"] == max(trial.value for trial in heard.trials)
    assert heard.trials[0].learner.trees == 40
    for trial in heard.trials:
        assert list(trial.figures) == outcome["cuts"]
        assert 0 < trial.value < 1


def test_the_settings_in_force_have_the_figure_of_an_evaluation(
    tuned: tuple[dict[str, Any], Heard, dict[str, Any]], settings: Settings
) -> None:
    """The newest fold is the hold-out of a training one horizon earlier: the twin there is the same ranker."""
    trial = tuned[1].trials[0]
    evaluation = pipeline.evaluate_only(
        settings,
        as_of=(AS_OF - HORIZON).isoformat(),
        placements=["for_you"],
        now=NOW,
        progress=lambda stage, result: None,
    )
    assert evaluation["metrics"]["for_you"]["ranker"] == pytest.approx(trial.figures[tuned[0]["cuts"][0]], abs=1e-5)


def test_every_trial_is_a_child_run(tuned: tuple[dict[str, Any], Heard, dict[str, Any]], settings: Settings) -> None:
    outcome, heard, _ = tuned
    with connected(settings) as client:
        parent = client.get_run(outcome["run_id"])
        runs = client.search_runs([parent.info.experiment_id], f"tags.`{PARENT}` = '{outcome['run_id']}'")
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["best.ndcg_10"] == pytest.approx(outcome["best"]["value"])
    logged = {int(run.data.tags[TRIAL]): run.data.metrics["ndcg_10"] for run in runs}
    assert logged == {trial.number: pytest.approx(trial.value) for trial in heard.trials}


def test_the_snippet_is_what_the_settings_read(
    tuned: tuple[dict[str, Any], Heard, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    from recsys.settings import load_settings

    (tmp_path / "recsys.toml").write_text(tuned[0]["snippet"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RECSYS_HOME", raising=False)
    read = load_settings().ranker_of("for_you")
    best = tuned[1].trials[tuned[0]["best"]["number"]].learner
    assert read.model_dump(include=set(LearnerSettings.model_fields)) == best.model_dump()


def test_it_never_touches_the_hold_out(tuned: tuple[dict[str, Any], Heard, dict[str, Any]], settings: Settings) -> None:
    """Whatever happened in the hold-out, the same snapshot is looked at, so the search is the very same one."""
    cut = AS_OF - HORIZON
    run_sql(settings, f"delete from shop.events where occurred_at >= '{cut}' and event_type = 'purchase'")
    poison = [Event(user_id(n), item_id(0), cut + timedelta(days=n % 28, hours=1), name=f"p{n}") for n in range(90)]
    with open_warehouse(settings, purpose="test") as warehouse:
        add_events(warehouse, poison)
    outcome, heard, stages = tune(settings, 3)
    assert heard.ended == [0, 1, 2]
    assert heard.trials == []
    assert outcome == tuned[0]
    assert all(result["reused"] for result in stages.values())


def test_going_on_tries_more(tuned: tuple[dict[str, Any], Heard, dict[str, Any]], settings: Settings) -> None:
    outcome, heard, _ = tune(settings, 9, minutes=0.0)
    assert heard.ended == [0, 1, 2]
    assert [trial.number for trial in heard.trials] == [3]
    assert outcome["trials"] == 4
    assert outcome["study"] == tuned[0]["study"]
    assert outcome["run_id"] == tuned[0]["run_id"]


def test_too_short_a_history_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(ContractError, match=r"has room for \d+ validation cuts.*ask for fewer folds"):
        tune(settings, 1, folds=12)


def test_the_command(
    tuned: tuple[dict[str, Any], Heard, dict[str, Any]], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import recsys.cli.tuning as command

    monkeypatch.setattr(command, "read_settings", lambda: settings)
    arguments = ["tune", "--as-of", AS_OF.isoformat(), "--folds", str(FOLDS)]
    done = CliRunner().invoke(app, [*arguments, "--trials", "3"])
    assert done.exit_code == 0, done.output
    assert "trials ended before" in done.output
    assert ("[placements.for_you.ranker]" in done.output) == bool(tuned[0]["best"]["number"])
    wrong = CliRunner().invoke(app, [*arguments, "--placement", "nowhere"])
    assert wrong.exit_code == 1
    assert "There is no placement 'nowhere'" in wrong.stderr
