"""Tuning: the search of a placement's ranker settings on months before the hold-out.

With T the moment, H the horizon and c training cuts, the newest validation cut is T-2H, whose window ends where the
hold-out of a training at T begins; it is judged by rankers that learned from the c cuts before it. A second fold is
one horizon earlier, and so on::

    T-(c+2)H ... T-3H   T-2H   T-H        T
       |---- learns ----| valid | hold-out |

All of it is computed from a snapshot as of T-H: what happened in the hold-out isn't even there to be looked at.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recsys import registry
from recsys.artifacts import fingerprint, open_artifact
from recsys.cuts import CutPlan, cut_name
from recsys.errors import ContractError
from recsys.evaluation.reading import read_truth
from recsys.pipeline import training
from recsys.pipeline.chain import Progress, Stages
from recsys.pipeline.rows import build_ranking_set, whole_name
from recsys.ranking.ingredients import TRUTH
from recsys.settings import LearnerSettings, Settings
from recsys.snapshot import Snapshot, resolve_as_of
from recsys.tuning import Fold, Study, Trial, Validation
from recsys.tuning.space import SPACE, tuned
from recsys.warehouse import open_warehouse

Result = dict[str, Any]
KIND = "tuning"


@dataclass(frozen=True)
class Budget:
    """How much may be tried.

    Attributes:
        trials: in all, those of earlier calls included.
        minutes: no trial is begun that would probably end later than so many minutes from the first; no limit if None.
        folds: validation cuts that each trial is judged by.
    """

    trials: int
    minutes: float | None = None
    folds: int = 2


class Watcher:
    """Is told how the search goes; this one ignores it."""

    def begun(self, ended: list[Trial], trials: int) -> None:
        """The search begins, or goes on after the trials that ended before."""

    def tried(self, trial: Trial, best: Trial) -> None:
        """A trial ended."""


def tune_ranker(
    settings: Settings,
    *,
    placement: str,
    as_of: str,
    budget: Budget,
    now: datetime,
    progress: Progress,
    watcher: Watcher | None = None,
) -> Result:
    """Search for better settings of a placement's ranker; a call that was ended goes on with the next one.

    Args:
        settings: in force; its settings are tried first.
        placement: whose ranker.
        as_of: ``latest``, a date or a time: the moment of the training that is to profit.
        budget: how much may be tried.
        now: the clock, read by the caller.
        progress: called as by ``evaluate_only`` with the stages that prepare the rows.
        watcher: told of the trials.

    Returns:
        ``study``, ``trials`` (that ended, of all calls), ``cuts`` (validated on), ``current`` and ``best`` (value,
        and ``number`` of the best), ``gain`` (difference, low, high, confidence), ``snippet`` (of ``recsys.toml``)
        and ``run_id``.

    Raises:
        ContractError: if the history is too short for so many folds.
        ConflictError: if another process goes on with the same search.
    """
    watcher = watcher or Watcher()
    learner = _learner_of(settings, placement)
    prepared = _prepare(settings, placement, as_of, budget.folds, now, progress)
    told = (prepared.rows_id, learner.model_dump(mode="json"), repr(SPACE), settings.seed)
    name = f"{placement}-{fingerprint(*told)}"
    study = Study(settings.resolved_home / KIND / name, prepared.validation, settings, learner)
    cuts = [fold.name for fold in prepared.validation.folds]
    params = {"placement": placement, "as_of": prepared.as_of.isoformat(), "validated_on": ", ".join(cuts)}
    with (
        study.held(),
        registry.tuning_run(settings, study=name, name=f"recsys tune {placement}", params=params) as run,
    ):
        _log(settings, run, study.trials())
        watcher.begun(study.trials(), budget.trials)
        for trial in study.run(budget.trials, None if budget.minutes is None else budget.minutes * 60):
            _log(settings, run, [trial])
            watcher.tried(trial, study.best())
        return _found(settings, placement, study, run) | {"study": name, "cuts": cuts}


@dataclass(frozen=True)
class _Prepared:
    """What the trials are judged by, as of when, and an id of the rows."""

    validation: Validation
    as_of: datetime
    rows_id: str


def _learner_of(settings: Settings, placement: str) -> LearnerSettings:
    own = settings.ranker_of(placement)
    return LearnerSettings.model_validate(own.model_dump(include=set(LearnerSettings.model_fields)))


def _prepare(
    settings: Settings, placement: str, as_of: str, folds: int, now: datetime, progress: Progress
) -> _Prepared:
    with open_warehouse(settings, purpose="find the moment to tune for") as warehouse:
        moment = resolve_as_of(warehouse, settings, as_of, now)
    before_holdout = moment - timedelta(days=settings.ranker.horizon_days)
    cuts = settings.ranker.model_copy(update={"cuts": settings.ranker.cuts + folds - 1})
    widened = settings.model_copy(update={"ranker": cuts})
    stage = Stages(widened, progress)
    snapshot = stage("snapshot", training.take_snapshot, as_of=before_holdout.isoformat(), now=now)["snapshot"]
    plan = training.cuts_of(widened, Snapshot.open(snapshot))
    if len(plan.twin) < folds:
        raise ContractError(
            f"The history before {before_holdout:%Y-%m-%d} has room for {len(plan.twin)} validation cuts, with a cut "
            f"before each to learn from, not for {folds}: ask for fewer folds, a later as_of, or load more history."
        )
    features = stage("features", training.build_features, snapshot=snapshot)["features"]
    candidates = [
        stage(f"candidates {name}", training.generate_candidates, snapshot=snapshot, generator=name)["candidates"]
        for name in settings.candidates.generators
    ]
    made_of = {"snapshot": snapshot, "features": features, "candidates": candidates}
    made_of |= {"placements": [placement], "whole_cuts": folds}
    first = stage("ranking set", build_ranking_set, **made_of)["ranking_set"]

    def rows(negatives: int) -> Path:
        made = build_ranking_set(_with_negatives(widened, placement, negatives), **made_of)
        return open_artifact(made["ranking_set"]) / placement

    found = _folds(plan, settings, open_artifact(features), folds, repeats=settings.placement(placement).repeats)
    return _Prepared(Validation(found, rows), moment, open_artifact(first).name)


def _with_negatives(settings: Settings, placement: str, negatives: int) -> Settings:
    rules = settings.placement(placement)
    own = rules.model_copy(update={"ranker": {**rules.ranker, "negatives": negatives}})
    return settings.model_copy(update={"placements": {**settings.placements, placement: own}})


def _folds(plan: CutPlan, settings: Settings, features: Path, count: int, *, repeats: bool) -> list[Fold]:
    """Return the folds, the newest first; each learns from as many cuts as a training does, where there are so many."""
    return [
        Fold(
            name=cut.isoformat(),
            learned_from=tuple(
                f"{cut_name(before)}.parquet"
                for before in [one for one in plan.twin if one < cut][-settings.ranker.cuts :]
            ),
            measured_on=f"{whole_name(plan, cut)}.parquet",
            truth=read_truth(features / cut_name(cut) / TRUTH, repeats=repeats),
        )
        for cut in (plan.holdout, *reversed(plan.twin))[:count]
    ]


def _log(settings: Settings, run: registry.LoggedTuning, trials: list[Trial]) -> None:
    logged = [
        registry.LoggedTrial(
            number=trial.number,
            params=tuned(trial.learner),
            metrics={"ndcg_10": trial.value, **{f"ndcg_10.{name}": value for name, value in trial.figures.items()}},
            seconds=trial.seconds,
        )
        for trial in trials
    ]
    registry.log_trials(settings, run, logged)


def _found(settings: Settings, placement: str, study: Study, run: registry.LoggedTuning) -> Result:
    trials, best = study.trials(), study.best()
    gain = study.gain(best)
    snippet = snippet_of(placement, best)
    figures = {"best.ndcg_10": best.value, "in_force.ndcg_10": trials[0].value, "gain.ndcg_10": gain.difference}
    figures |= {"gain.ndcg_10.low": gain.low, "gain.ndcg_10.high": gain.high, "trials": len(trials)}
    registry.log_found(settings, run, metrics=figures, snippet=snippet)
    return {
        "trials": len(trials),
        "current": {"value": trials[0].value},
        "best": {"number": best.number, "value": best.value, "settings": tuned(best.learner)},
        "gain": asdict(gain),
        "snippet": snippet,
        "run_id": run.run_id,
    }


def snippet_of(placement: str, trial: Trial) -> str:
    """Return a trial's settings as a part of ``recsys.toml``."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in tuned(trial.learner).items()]
    return "\n".join([f"[placements.{placement}.ranker]", *lines]) + "\n"
