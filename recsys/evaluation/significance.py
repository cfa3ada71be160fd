"""Paired bootstrap over customers: whether one model is better than another, on the same customers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Difference:
    """The mean of a - b over customers, with its percentile interval."""

    difference: float
    low: float
    high: float
    confidence: float


def paired_difference(
    a: NDArray[np.float64], b: NDArray[np.float64], *, confidence: float, draws: int, seed: int
) -> Difference:
    """Return the mean paired difference with a bootstrap interval (Efron 1979, percentile).

    Args:
        a: (n,) metric of the first model, a customer.
        b: (n,) of the second, the same customers in the same order.
        confidence: e.g. 0.95.
        draws: bootstrap samples.
        seed: of the draws.
    """
    paired = a - b
    if not len(paired):
        return Difference(0.0, 0.0, 0.0, confidence)
    random = np.random.default_rng(seed)
    means = np.array([paired[random.integers(0, len(paired), len(paired))].mean() for _ in range(draws)])
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Difference(float(paired.mean()), float(low), float(high), confidence)
