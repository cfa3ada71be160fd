"""The search: one trial after the other, each kept as soon as it ends, so that it can go on after any end.

A study is a folder with Optuna's SQLite file and, for each trial, the figure of every customer. What is tried next
depends on the trials that ended and on the seed alone: a search that was killed and goes on tries the same, in the
same order, as one that was not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from sqlalchemy import URL

from recsys.errors import ConflictError
from recsys.evaluation.significance import Difference, Sample, estimate
from recsys.settings import LearnerSettings, Settings
from recsys.tuning.space import distributions, learner_at, nearest
from recsys.tuning.validation import Validation

if TYPE_CHECKING:
    import optuna

NAME = "ranker"
RANDOM_TRIALS = 8  # before the sampler has seen enough to prefer anything


@dataclass(frozen=True)
class Trial:
    """Settings that were tried.

    Attributes:
        number: of trials that ended before; 0 is the trial of the settings in force.
        learner: the settings.
        value: the mean over the folds of the mean NDCG@10 of their customers.
        figures: of each fold.
        seconds: that it took.
    """

    number: int
    learner: LearnerSettings
    value: float
    figures: dict[str, float]
    seconds: float


class Study:
    """One search, in a folder of its own."""

    def __init__(self, folder: Path, validation: Validation, settings: Settings, learner: LearnerSettings) -> None:
        """Open a study, or begin one.

        Args:
            folder: of the study; another folder is another study.
            validation: what settings are judged by.
            settings: give seed, threads and the intervals' confidence.
            learner: the settings in force, which are tried first.
        """
        self._folder, self._validation = folder, validation
        self._settings, self._learner = settings, learner
        (folder / "trials").mkdir(parents=True, exist_ok=True)
        self._study = _open(folder / "study.db")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes away from the study, and clear what a killed one left.

        Raises:
            ConflictError: if another process holds it.
        """
        from optuna.trial import TrialState

        try:
            with FileLock(self._folder / "lock", timeout=0):
                for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                    self._study.tell(trial.number, state=TrialState.FAIL)
                yield
        except Timeout as error:
            raise ConflictError(
                f"Another process is tuning in {self._folder}: wait until it ends, or end it, and run this again."
            ) from error

    def trials(self) -> list[Trial]:
        """Return the trials that ended, in their order."""
        from optuna.trial import TrialState

        found = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return sorted((_as_trial(one) for one in found), key=lambda trial: trial.number)

    def run(self, trials: int, seconds: float | None = None) -> Iterator[Trial]:
        """Try settings until the study has so many trials, and yield each as it ends.

        Args:
            trials: in all, those that ended before included.
            seconds: no trial is begun that would, by the mean of this call so far, end later than that.
        """
        began, done = monotonic(), 0
        while len(self.trials()) < trials:
            spent = monotonic() - began
            if seconds is not None and done and spent + spent / done > seconds:
                return
            yield self._try_next()
            done += 1

    def best(self) -> Trial:
        """Return the trial with the highest value, the earliest of equal ones."""
        return max(self.trials(), key=lambda trial: (trial.value, -trial.number))

    def gain(self, trial: Trial) -> Difference:
        """Return what a trial's settings gain over those in force, with the interval of the same customers.

        The mean of the folds' means; customers are drawn with all their folds.
        """
        ours, theirs = self._values(trial), self._values(self.trials()[0])
        samples = [
            Sample(fold.truth.users, (a - b)[:, None])
            for fold, a, b in zip(self._validation.folds, ours, theirs, strict=True)
        ]
        gate = self._settings.gate
        found = estimate(samples, confidence=gate.confidence, draws=gate.bootstrap, seed=self._settings.seed)
        return Difference(float(found.mean[0]), float(found.low[0]), float(found.high[0]), gate.confidence)

    def _try_next(self) -> Trial:
        from optuna.trial import create_trial

        number = len(self.trials())
        if not number:
            # They may lie outside of the space, so they are tried as they are, and kept as the point nearest to them.
            kept = self._measure(number, self._learner)
            self._study.add_trial(
                create_trial(
                    params=nearest(self._learner),
                    distributions=distributions(),
                    value=kept.value,
                    user_attrs=_attributes(kept),
                )
            )
            return kept
        self._study.sampler = _sampler(self._settings.seed + number)
        asked = self._study.ask(distributions())
        kept = self._measure(number, learner_at(asked.params, self._learner))
        for name, value in _attributes(kept).items():
            asked.set_user_attr(name, value)
        self._study.tell(asked, kept.value)
        return kept

    def _measure(self, number: int, learner: LearnerSettings) -> Trial:
        began = monotonic()
        values = self._validation.measure(learner, self._settings)
        np.savez(self._values_file(number), *values)
        figures = {fold.name: float(own.mean()) for fold, own in zip(self._validation.folds, values, strict=True)}
        return Trial(number, learner, float(np.mean(list(figures.values()))), figures, round(monotonic() - began, 3))

    def _values(self, trial: Trial) -> list[NDArray[np.float64]]:
        with np.load(self._values_file(trial.number), allow_pickle=False) as file:
            return [file[name] for name in file.files]

    def _values_file(self, number: int) -> Path:
        return self._folder / "trials" / f"{number:05d}.npz"


def _attributes(trial: Trial) -> dict[str, Any]:
    learner = trial.learner.model_dump(mode="json", include=set(LearnerSettings.model_fields))
    return {"number": trial.number, "learner": learner, "figures": trial.figures, "seconds": trial.seconds}


def _as_trial(frozen: "optuna.trial.FrozenTrial") -> Trial:
    kept = frozen.user_attrs
    assert frozen.value is not None
    learner = LearnerSettings.model_validate(kept["learner"])
    return Trial(kept["number"], learner, frozen.value, kept["figures"], kept["seconds"])


def _open(path: Path) -> "optuna.Study":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=optuna.storages.RDBStorage(URL.create("sqlite", database=str(path)).render_as_string()),
        study_name=NAME,
        direction="maximize",
        load_if_exists=True,
    )


def _sampler(seed: int) -> "optuna.samplers.BaseSampler":
    import optuna

    return optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=RANDOM_TRIALS)
