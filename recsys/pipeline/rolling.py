"""Trains and measures at several moments, one horizon apart, so that no figure rests on one month alone."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from recsys.artifacts import open_artifact
from recsys.errors import ContractError
from recsys.evaluation.rolling import MEAN, MeasuredCut, over_cuts, records
from recsys.evaluation.values import CustomerValues
from recsys.pipeline.chain import Progress, evaluate_only
from recsys.pipeline.evaluating import METRICS_FILE, VALUES
from recsys.settings import Settings
from recsys.snapshot import resolve_as_of
from recsys.warehouse import open_warehouse

Result = dict[str, Any]
TEMPORAL = "temporal"


def evaluate_cuts(
    settings: Settings, *, as_of: str, cuts: int, placements: list[str], now: datetime, progress: Progress
) -> Result:
    """Train and measure every model as of ``as_of``, one horizon before it, and so on.

    The oldest comes first, so that a history that is too short is told at once. Nothing is registered or published,
    and stages that ran before are reused.

    Args:
        settings: in force.
        as_of: ``latest``, a date or a time: the newest of the moments.
        cuts: how many.
        placements: which.
        now: the clock, read by the caller.
        progress: called as by ``evaluate_only``, with the number of the cut before a stage's name.

    Returns:
        ``placements``: by name, ``cuts`` (the part of the evaluation JSON of each, the oldest first, with its
        ``cut``) and ``mean``; and ``records``, flat ones of all of it.

    Raises:
        ContractError: if the history is too short for so many.
    """
    with open_warehouse(settings, purpose="find the moment to evaluate at") as warehouse:
        newest = resolve_as_of(warehouse, settings, as_of, now)
    horizon = timedelta(days=settings.ranker.horizon_days)
    measured: dict[str, list[MeasuredCut]] = {placement: [] for placement in placements}
    for step in range(cuts - 1, -1, -1):
        told = _Numbered(progress, f"{cuts - step}/{cuts} " if cuts > 1 else "")
        try:
            outcome = evaluate_only(
                settings, as_of=(newest - step * horizon).isoformat(), placements=placements, now=now, progress=told
            )
        except ContractError as error:
            if cuts == 1:
                raise
            raise ContractError(f"{error} (That is for the evaluation {step} horizons before the newest.)") from error
        for placement, one in _read(outcome["evaluation"]).items():
            measured[placement].append(one)
    means = {placement: over_cuts(own, settings) for placement, own in measured.items()}
    return {
        "placements": {
            placement: {"cuts": [{"cut": one.cut, **one.figures} for one in own], MEAN: means[placement]}
            for placement, own in measured.items()
        },
        "records": [row for name, own in measured.items() for row in _records(name, own, means[name])],
    }


class _Numbered:
    """Tells the progress of one cut among several."""

    def __init__(self, progress: Progress, prefix: str) -> None:
        self._progress, self._prefix = progress, prefix

    def __call__(self, stage: str, result: Mapping[str, Any] | None) -> None:
        self._progress(f"{self._prefix}{stage}", result)


def _read(evaluation: str) -> dict[str, MeasuredCut]:
    folder = open_artifact(evaluation)
    found = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8"))
    return {
        placement: MeasuredCut(
            found["holdout"]["from"], figures, CustomerValues.read(folder / VALUES / f"{placement}.parquet")
        )
        for placement, figures in found["placements"].items()
    }


def _records(placement: str, cuts: list[MeasuredCut], mean: Mapping[str, Any]) -> list[dict[str, Any]]:
    labels = {"protocol": TEMPORAL, "placement": placement}
    each = [row for one in cuts for row in records(one.figures, **labels, cut=one.cut)]
    return each + records(mean, **labels, cut=MEAN)
