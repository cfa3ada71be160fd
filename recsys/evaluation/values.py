"""Every figure of every customer by every model at one cut, and what it comes to over one or several cuts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recsys import columns as c
from recsys.evaluation.significance import Estimates, Sample, estimate
from recsys.settings import Settings

Values = NDArray[np.float64]


@dataclass(frozen=True)
class CustomerValues:
    """What was measured at one cut, kept customer by customer.

    Attributes:
        customers: (n,) ids, the same for one customer at every cut.
        models: of each model, each figure's (n,) values; NaN where it is undefined for a customer.
    """

    customers: NDArray[Any]
    models: Mapping[str, Mapping[str, Values]]

    def restricted(self, chosen: NDArray[np.bool_], figures: Sequence[str]) -> "CustomerValues":
        """Return some customers and figures alone."""
        models = {
            model: {figure: own[figure][chosen] for figure in figures if figure in own}
            for model, own in self.models.items()
        }
        return CustomerValues(self.customers[chosen], models)

    def write(self, path: Path) -> Path:
        """Write a row a model and customer: model, user_id, and a column a figure (null where undefined)."""
        figures = list(dict.fromkeys(figure for own in self.models.values() for figure in own))
        tables = []
        for model, own in self.models.items():
            missing = np.full(len(self.customers), np.nan)
            columns = {figure: pa.array(own.get(figure, missing), from_pandas=True) for figure in figures}
            names = pa.array([model] * len(self.customers), pa.string())
            ids = pa.array(self.customers.tolist(), pa.string())
            tables.append(pa.table({c.MODEL: names, c.USER_ID: ids, **columns}))
        pq.write_table(pa.concat_tables(tables), path, compression="zstd")
        return path

    @classmethod
    def read(cls, path: Path) -> "CustomerValues":
        """Read what ``write`` wrote; a figure without any value is as if it weren't there."""
        table = pq.read_table(path)
        names = table[c.MODEL].to_numpy(zero_copy_only=False)
        ids = table[c.USER_ID].to_numpy(zero_copy_only=False)
        models: dict[str, dict[str, Values]] = {}
        customers = np.empty(0, object)
        for model in dict.fromkeys(names):
            own = names == model
            customers = ids[own]
            found = {
                figure: table[figure].to_numpy(zero_copy_only=False).astype(np.float64)[own]
                for figure in table.column_names
                if figure not in (c.MODEL, c.USER_ID)
            }
            models[model] = {figure: value for figure, value in found.items() if np.isfinite(value).any()}
        return cls(customers.astype(str), models)


@dataclass(frozen=True)
class Summary:
    """Means with intervals, JSON-able; what is undefined is absent.

    Attributes:
        models: of each model, each figure's mean.
        intervals: of each model, each figure's [low, high].
        comparisons: of the reference and each other model, each figure: a, b, metric, difference (a - b of the same
            customers), low, high and confidence; low and high are None if there are too few customers.
    """

    models: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, list[float]]]
    comparisons: list[dict[str, Any]]


def summarise(cuts: Sequence[CustomerValues], reference: str, settings: Settings) -> Summary:
    """Return the mean of the cuts of every figure, with bootstrap intervals over customers.

    Models and figures that are not there at every cut are left out.

    Args:
        cuts: at least one.
        reference: the model that the others are taken from.
        settings: give confidence, draws and seed.
    """
    known = [(model, figure) for model, own in cuts[0].models.items() for figure in own]
    known = [(m, f) for m, f in known if all(f in cut.models.get(m, {}) for cut in cuts)]
    pairs = [(m, f) for m, f in known if m != reference and (reference, f) in known]
    if not known:
        return Summary({}, {}, [])
    found = estimate(
        [Sample(cut.customers, _columns(cut, known, pairs, reference)) for cut in cuts],
        confidence=settings.gate.confidence,
        draws=settings.gate.bootstrap,
        seed=settings.seed,
    )
    return _summary(found, known, pairs, reference, settings.gate.confidence)


def _columns(cut: CustomerValues, known: list[tuple[str, str]], pairs: list[tuple[str, str]], reference: str) -> Values:
    """Return (n, figures + differences): the differences of customers who have both values."""
    own = [cut.models[model][figure] for model, figure in known]
    differences = [cut.models[reference][figure] - cut.models[model][figure] for model, figure in pairs]
    return np.column_stack([*own, *differences])


def _summary(
    found: Estimates, known: list[tuple[str, str]], pairs: list[tuple[str, str]], reference: str, confidence: float
) -> Summary:
    models: dict[str, dict[str, float]] = {}
    intervals: dict[str, dict[str, list[float]]] = {}
    comparisons = []
    for place, (model, figure) in enumerate(known):
        if np.isfinite(found.mean[place]):
            models.setdefault(model, {})[figure] = float(found.mean[place])
        if np.isfinite(found.low[place]):
            intervals.setdefault(model, {})[figure] = [float(found.low[place]), float(found.high[place])]
    for place, (model, figure) in enumerate(pairs, len(known)):
        if np.isfinite(found.mean[place]):
            low, high = _bound(found.low[place]), _bound(found.high[place])
            comparisons.append(
                {
                    "a": reference,
                    "b": model,
                    "metric": figure,
                    "difference": float(found.mean[place]),
                    "low": low,
                    "high": high,
                    "confidence": confidence,
                }
            )
    return Summary(models, intervals, comparisons)


def _bound(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
