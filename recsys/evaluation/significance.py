"""Paired bootstrap over customers: how sure a mean, or a difference of two models, is.

Customers are drawn with replacement (Efron 1979, percentile interval); all models and metrics share the draws, so
that what is compared is compared on the same customers. Over several cuts a customer appears at several of them
and behaves alike at each: so a draw takes or leaves a customer with all their cuts (a cluster bootstrap, Field and
Welsh 2007), each cut's mean is taken, and then the mean of the cuts, which are taken as they are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recsys.errors import ContractError

Values = NDArray[np.float64]
BLOCK = 4_000_000  # weights (draws times customers) held at once
FEWEST = 2  # customers below which there is no interval: one customer drawn again and again never varies


@dataclass(frozen=True)
class Difference:
    """The mean of a - b over customers, with its percentile interval: NaN if there are too few for one."""

    difference: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class Sample:
    """What was measured at one cut.

    Attributes:
        customers: (n,) their ids, the same for one customer at every cut, each once.
        values: (n, m) a column a figure; NaN where it is undefined for a customer, who is then left out of it.
    """

    customers: NDArray[np.generic]
    values: Values


@dataclass(frozen=True)
class Estimates:
    """(m,) means of figures with the bounds of their intervals, NaN where there are too few customers."""

    mean: Values
    low: Values
    high: Values


def difference_of_means(a: Values, b: Values, *, confidence: float, draws: int, seed: int) -> Difference:
    """Return the mean of a minus the mean of b, with a bootstrap interval.

    A customer is drawn with all that is known of them: where everybody has both values the interval is paired, where
    nobody has, as in the arms of a test, it is that of two samples, and a customer who changed arms counts in both.

    Args:
        a: (n,) metric of a customer in the first arm; NaN for who was not in it.
        b: (n,) in the second, the same customers in the same order.
        confidence: e.g. 0.95.
        draws: bootstrap samples.
        seed: of the draws.
    """
    both = np.stack([a, b], axis=1)
    kept = both[np.isfinite(both).any(axis=1)]
    sample = Sample(np.arange(len(kept)), kept)
    places = [np.arange(len(kept))]
    mean = _each_mean(np.ones((1, len(kept))), [sample], places)[0][0]
    low = high = float("nan")
    if (np.isfinite(kept).sum(axis=0) >= FEWEST).all():
        drawn = np.concatenate(
            [
                _each_mean(weights, [sample], places)[0]
                for weights in _weights(len(kept), draws, np.random.default_rng(seed))
            ]
        )
        tail = (1 - confidence) / 2
        low, high = (float(bound) for bound in np.nanquantile(drawn[:, 0] - drawn[:, 1], [tail, 1 - tail]))
    return Difference(float(mean[0] - mean[1]), low, high, confidence)


def estimate(samples: Sequence[Sample], *, confidence: float, draws: int, seed: int) -> Estimates:
    """Return the mean of the cuts' means of every figure, with intervals.

    Args:
        samples: one a cut, with the same figures in the same order.
        confidence: e.g. 0.95.
        draws: bootstrap samples.
        seed: of the draws; the same samples then give the same intervals for any number of threads.

    Raises:
        ContractError: if there is no sample, or a customer appears twice at a cut.
    """
    if not samples:
        raise ContractError("There is no cut to take the mean of.")
    customers, places = _clusters(samples)
    mean = _mean_of_cuts(_each_mean(np.ones((1, len(customers))), samples, places))[0]
    enough = (_customers_of_each(samples, places, len(customers)) >= FEWEST) & np.isfinite(mean)
    low, high = np.full(len(mean), np.nan), np.full(len(mean), np.nan)
    if enough.any():
        chosen = [Sample(sample.customers, sample.values[:, enough]) for sample in samples]
        drawn = np.concatenate(
            [
                _mean_of_cuts(_each_mean(weights, chosen, places))
                for weights in _weights(len(customers), draws, np.random.default_rng(seed))
            ]
        )
        tail = (1 - confidence) / 2
        low[enough], high[enough] = np.nanquantile(drawn, [tail, 1 - tail], axis=0)
    return Estimates(mean, low, high)


def _clusters(samples: Sequence[Sample]) -> tuple[NDArray[np.generic], list[NDArray[np.intp]]]:
    """Return every customer of any cut once, and where those of each cut stand among them."""
    for sample in samples:
        if len(np.unique(sample.customers)) < len(sample.customers):
            raise ContractError("A customer appears twice at one cut; the values must be one row a customer.")
    # In the order in which they first appear, not in that of their names: these are pseudonyms, which differ from home
    # to home, and the same measurements have to give the same draws.
    places, customers = pd.factorize(np.concatenate([sample.customers for sample in samples]))
    ends = np.cumsum([len(sample.customers) for sample in samples])[:-1]
    return customers, np.split(places, ends)


def _customers_of_each(samples: Sequence[Sample], places: list[NDArray[np.intp]], count: int) -> NDArray[np.int64]:
    seen = np.zeros((count, samples[0].values.shape[1]), bool)
    for sample, place in zip(samples, places, strict=True):
        seen[place] |= np.isfinite(sample.values)
    return np.asarray(seen.sum(axis=0))


def _weights(customers: int, draws: int, random: np.random.Generator) -> Iterator[Values]:
    """Yield (b, n) how often each customer is drawn, some draws at a time."""
    at_once = max(1, BLOCK // max(customers, 1))
    for start in range(0, draws, at_once):
        block = min(at_once, draws - start)
        chosen = random.integers(0, customers, (block, customers))
        chosen += np.arange(block)[:, None] * customers
        yield np.bincount(chosen.ravel(), minlength=block * customers).reshape(block, customers).astype(np.float64)


def _each_mean(weights: Values, samples: Sequence[Sample], places: list[NDArray[np.intp]]) -> list[Values]:
    """Return each cut's (b, m) weighted means; NaN where nobody of a draw has the figure."""
    means = []
    # One thread: a product of matrices differs in its last digits with the number of threads.
    with threadpool_limits(1, "blas"):
        for sample, place in zip(samples, places, strict=True):
            own, known = weights[:, place], np.isfinite(sample.values)
            total = own @ np.where(known, sample.values, 0.0)
            count = np.broadcast_to(own.sum(axis=1, keepdims=True), total.shape) if known.all() else own @ known
            means.append(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))
    return means


def _mean_of_cuts(means: list[Values]) -> Values:
    """Return the mean over the cuts; NaN where a cut has none: a draw without anybody of a cut says nothing."""
    return np.asarray(np.stack(means).mean(axis=0))
