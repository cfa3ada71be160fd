"""The search finds what is planted, goes on after a kill as if nothing had been, and says what it gained."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from recsys.errors import ConflictError
from recsys.evaluation.metrics import Truth
from recsys.settings import LearnerSettings, RankerSettings, Settings, load_settings
from recsys.tuning import Fold, Study, Trial, Validation
from recsys.tuning.space import SPACE, Range, distributions, learner_at, nearest, tuned

CUSTOMERS, CANDIDATES = 60, 30
BAD = LearnerSettings(trees=1, leaves=2, learning_rate=0.01, min_rows_in_leaf=1000)  # outside of the space


def write_rows(path: Path, seed: int) -> Truth:
    """Write candidates of which those are bought whose two features have the same sign: a stump can't see that."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(2, CUSTOMERS * CANDIDATES)).astype(np.float32)
    users, items = np.divmod(np.arange(CUSTOMERS * CANDIDATES), CANDIDATES)
    likely = np.where(features[0] * features[1] > 0, 0.4, 0.02)
    bought = random.random(len(users)) < likely
    pq.write_table(
        pa.table(
            {
                "user_idx": pa.array(users, pa.int32()),
                "item_idx": pa.array(items, pa.int32()),
                "first": features[0],
                "second": features[1],
                "label": pa.array(bought, pa.int8()),
            }
        ),
        path,
    )
    return Truth.of(users[bought], items[bought])


def make_validation(folder: Path) -> Validation:
    folder.mkdir(parents=True, exist_ok=True)
    truths = {name: write_rows(folder / f"{name}.parquet", seed) for seed, name in enumerate("abcd")}
    folds = [
        Fold("d", ("b.parquet", "c.parquet"), "d.parquet", truths["d"]),
        Fold("c", ("a.parquet", "b.parquet"), "c.parquet", truths["c"]),
    ]
    return Validation(folds, lambda negatives: folder)


def make_study(folder: Path, learner: LearnerSettings = BAD, **settings: object) -> Study:
    made: Settings = load_settings(home=folder, threads=1, **settings)
    return Study(folder / "study", make_validation(folder / "rows"), made, learner)


def search(study: Study, trials: int) -> list[tuple[int, dict[str, object], float]]:
    """Run a study and return number, settings and value of every trial that it has."""
    with study.held():
        for _ in study.run(trials):
            pass
    return told(study.trials())


def told(trials: list[Trial]) -> list[tuple[int, dict[str, object], float]]:
    return [(trial.number, dict(tuned(trial.learner)), trial.value) for trial in trials]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, list[tuple[int, dict[str, object], float]]]:
    study = make_study(tmp_path_factory.mktemp("searched"))
    return study, search(study, 12)


def test_it_finds_what_was_planted(searched: tuple[Study, list[tuple[int, dict[str, object], float]]]) -> None:
    study, trials = searched
    assert [number for number, *_ in trials] == list(range(12))
    best = study.best()
    assert best.value == max(value for *_, value in trials)
    assert best.value > trials[0][2] + 0.1
    assert best.learner.leaves > 2
    gain = study.gain(best)
    assert gain.difference == pytest.approx(best.value - trials[0][2])
    assert 0 < gain.low < gain.difference < gain.high
    assert study.gain(study.trials()[0]).difference == 0


def test_the_settings_in_force_come_first_as_they_are(
    searched: tuple[Study, list[tuple[int, dict[str, object], float]]],
) -> None:
    study, trials = searched
    first = study.trials()[0]
    assert first.learner == BAD
    expected = study._validation.measure(BAD, load_settings(threads=1))
    assert first.value == pytest.approx(np.mean([values.mean() for values in expected]))
    assert list(first.figures) == ["d", "c"]
    for _, settings, _ in trials[1:]:
        assert LearnerSettings.model_validate(settings).model_dump() == settings
        for name, where in SPACE.items():
            value = settings[name]
            assert where.low <= value <= where.high if isinstance(where, Range) else value in where


def test_the_same_seed_searches_alike_and_another_one_does_not(
    searched: tuple[Study, list[tuple[int, dict[str, object], float]]], tmp_path: Path
) -> None:
    assert search(make_study(tmp_path / "same"), 5) == searched[1][:5]
    assert search(make_study(tmp_path / "other", seed=1), 5) != searched[1][:5]


def test_it_goes_on_where_it_ended(
    searched: tuple[Study, list[tuple[int, dict[str, object], float]]], tmp_path: Path
) -> None:
    first = search(make_study(tmp_path), 4)
    study = make_study(tmp_path)
    with study.held():
        assert [trial.number for trial in study.run(6)] == [4, 5]
        assert list(study.run(6)) == []
    assert told(study.trials()) == searched[1][:6]
    assert told(study.trials())[:4] == first


KILLED = """
import sys
from pathlib import Path
from tests.tuning.test_search import make_study
study = make_study(Path(sys.argv[1]))
with study.held():
    for trial in study.run(12):
        print(trial.number, flush=True)
"""


def test_a_killed_search_loses_one_trial_at_most(
    searched: tuple[Study, list[tuple[int, dict[str, object], float]]], tmp_path: Path
) -> None:
    """The process is killed while it works on some trial; nobody told it to stop."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "2":
                break
        process.kill()
    assert process.returncode == -9
    study = make_study(tmp_path)
    kept = len(study.trials())
    assert 3 <= kept < 12
    assert search(study, 12) == searched[1]


def test_an_attempt_that_was_begun_and_never_ended_is_tried_again(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    search(study, 2)
    study._study.ask(distributions())
    again = make_study(tmp_path)
    assert search(again, 3) == search(make_study(tmp_path / "other"), 3)


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    with FileLock(tmp_path / "study" / "lock"), pytest.raises(ConflictError, match="Another process"), study.held():
        pass


def test_no_trial_is_begun_that_would_end_too_late(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    with study.held():
        assert [trial.number for trial in study.run(5, seconds=0.0)] == [0]
        assert [trial.number for trial in study.run(5, seconds=0.0)] == [1]
        assert [trial.number for trial in study.run(4, seconds=3600.0)] == [2, 3]


def test_the_nearest_point_and_back() -> None:
    inside = RankerSettings()
    assert learner_at(nearest(inside), inside) == inside
    point = nearest(LearnerSettings(trees=1, negatives=1000, l2=0.0, feature_fraction=0.01, truncation=15))
    assert point["trees"] == 50
    assert point["negatives"] == 80
    assert (point["l2"], point["feature_fraction"], point["truncation"]) == (0.1, 0.2, 15)
    for name, where in distributions().items():
        assert where._contains(where.to_internal_repr(point[name])), name


def test_what_is_tried_can_be_written_down_exactly() -> None:
    learner = learner_at({"learning_rate": 0.0712345, "l2": 12.3456, "trees": 123}, RankerSettings())
    assert (learner.learning_rate, learner.l2, learner.trees) == (0.0712, 12.3, 123)
