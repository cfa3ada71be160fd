"""Fills lists place by place: each time the product that adds most, for all customers of a block at once."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Term(Protocol):
    """What a product adds to a list beside its relevance, given what was chosen before."""

    def gain(self) -> NDArray[np.float64]:
        """Return (c, p) what each product of the pools would add now."""

    def choose(self, place: NDArray[np.intp]) -> None:
        """Take note of the (c,) products that were chosen."""


def relevance(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale (c, p) scores to 0 to 1 in each pool; all equal: 0. Places without a product are -inf and stay so."""
    is_there = np.isfinite(scores)
    low = np.where(is_there, scores, np.inf).min(axis=1, keepdims=True)
    high = scores.max(axis=1, keepdims=True)
    spread = np.where(is_there.any(axis=1, keepdims=True) & (high > low), high - low, 1.0)
    scaled = np.where(is_there, scores - np.where(np.isfinite(low), low, 0.0), -np.inf)
    return np.asarray(scaled / spread)


def choose_greedily(relevant: NDArray[np.float64], terms: Sequence[tuple[float, Term]], k: int) -> NDArray[np.intp]:
    """Choose k products of each pool, one after the other, by relevance + sum of weight * gain.

    Args:
        relevant: (c, p) relevance, best first; -inf where a pool has no product. Ties: the better ranked.
        terms: weight and term.
        k: places.

    Returns:
        (c, k) places in the pools, -1 where a pool has no product left.
    """
    customers = np.arange(len(relevant))
    left = relevant.copy()
    chosen = np.full((len(relevant), k), -1, np.intp)
    for place in range(min(k, relevant.shape[1])):
        value = left.copy()
        for weight, term in terms:
            value += weight * term.gain()
        best = value.argmax(axis=1)
        is_there = np.isfinite(left[customers, best])
        chosen[:, place] = np.where(is_there, best, -1)
        left[customers, best] = -np.inf
        for _, term in terms:
            term.choose(best)
    return chosen
