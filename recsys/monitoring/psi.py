"""The population stability index: how far a distribution has moved from a reference.

``sum over bins of (now - then) * ln(now / then)``, with the shares of each bin (Siddiqi, Credit Risk Scorecards,
2006); by custom below 0.1 nothing moved, above 0.25 a lot did. It is written here since the libraries that have it
bring a reporting tool or a second data frame along for these few lines.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 10
SMOOTHING = 0.5
"""Rows added to each bin, so that an empty one is no division by zero and a small sample no alarm."""


def psi(reference: NDArray[Any], current: NDArray[Any], *, bins: int = BINS) -> float:
    """Return the index of a numeric feature.

    Args:
        reference: (n,) values then; NaN where missing, which is a bin of its own.
        current: (m,) values now.
        bins: quantile bins of the reference; fewer where values repeat.

    Raises:
        ValueError: if either side is empty.
    """
    if not len(reference) or not len(current):
        raise ValueError("a distribution without values can't be compared")
    edges = _edges(np.asarray(reference, float), bins)
    return psi_of_counts(_counts(reference, edges), _counts(current, edges))


def psi_of_counts(reference: NDArray[np.int64], current: NDArray[np.int64]) -> float:
    """Return the index of (k,) counts of the same bins; bins that are empty on both sides are left out."""
    used = (reference + current) > 0
    then, now = (_shares(counts[used]) for counts in (reference, current))
    return float(np.sum((now - then) * np.log(now / then)))


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    smoothed = counts + SMOOTHING
    return np.asarray(smoothed / smoothed.sum(), float)


def _edges(reference: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    known = reference[~np.isnan(reference)]
    if not len(known):
        return np.empty(0)
    # A value of the data rather than between two: bins then hold whole values, also where few differ.
    return np.unique(np.quantile(known, np.arange(1, bins) / bins, method="lower"))


def _counts(values: NDArray[Any], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count per bin: up to and with the first edge, the second, and so on, above the last, missing."""
    values = np.asarray(values, float)
    missing = np.isnan(values)
    places = np.searchsorted(edges, values[~missing], side="left")
    return np.append(np.bincount(places, minlength=len(edges) + 1), missing.sum()).astype(np.int64)
