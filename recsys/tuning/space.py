"""Where settings of the ranker are looked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from recsys.settings import LearnerSettings

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value: TypeAlias = int | float | str
DIGITS = 3  # of a number that is tried: more would say nothing


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, on a logarithmic scale if that suits them; the type is that of ``low``."""

    low: float
    high: float
    is_log: bool = True


SPACE: dict[str, Range | tuple[Value, ...]] = {
    "objective": ("lambdarank", "binary", "rank_xendcg"),
    "negatives": (20, 40, 80),
    "truncation": Range(10, 60),
    "trees": Range(50, 600),
    "leaves": Range(4, 63),
    "learning_rate": Range(0.02, 0.2),
    "min_rows_in_leaf": Range(20, 1000),
    "l2": Range(0.1, 100.0),
    "feature_fraction": Range(0.2, 1.0, is_log=False),
    "bagging_fraction": Range(0.3, 1.0, is_log=False),
}


def distributions() -> "dict[str, BaseDistribution]":
    """Return the space as Optuna wants it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    def one(where: Range | tuple[Value, ...]) -> "BaseDistribution":
        if isinstance(where, tuple):
            return CategoricalDistribution(where)
        if isinstance(where.low, int):
            return IntDistribution(where.low, int(where.high), log=where.is_log)
        return FloatDistribution(where.low, where.high, log=where.is_log)

    return {name: one(where) for name, where in SPACE.items()}


def learner_at(point: Mapping[str, Any], learner: LearnerSettings) -> LearnerSettings:
    """Return the settings of a point of the space; what isn't searched for is as in ``learner``."""
    rounded = {name: float(f"{v:.{DIGITS}g}") if isinstance(v, float) else v for name, v in point.items()}
    return learner.model_copy(update=rounded)


def nearest(learner: LearnerSettings) -> dict[str, Value]:
    """Return the point of the space that is nearest to some settings."""
    point: dict[str, Value] = {}
    for name, where in SPACE.items():
        value = getattr(learner, name)
        if isinstance(where, Range):
            point[name] = type(where.low)(min(max(value, where.low), where.high))
        elif value in where:
            point[name] = value
        else:
            numbers = [one for one in where if not isinstance(one, str)]
            point[name] = min(numbers, key=lambda one: abs(one - value))
    return point


def tuned(learner: LearnerSettings) -> dict[str, Value]:
    """Return the part of some settings that is searched for."""
    return {name: getattr(learner, name) for name in SPACE}
