"""Diversity: a list whose products are not all of one kind."""

import numpy as np
from numpy.typing import NDArray

from recsys.shaping.similarity import Likeness, PoolLikeness

SMALLEST = 1e-10


class MaximalMarginalRelevance:
    """Takes off the likeness to the most similar product chosen before (MMR; Carbonell, Goldstein 1998).

    With the weight w the choice is that of MMR with lambda = 1 / (1 + w).
    """

    def __init__(self, pool: NDArray[np.intp], likeness: Likeness) -> None:
        """Begin with nothing chosen.

        Args:
            pool: (c, p) products.
            likeness: of products.
        """
        self._likeness = PoolLikeness(likeness, pool)
        self._nearest = np.zeros(pool.shape)

    def gain(self) -> NDArray[np.float64]:
        """Return minus the greatest likeness."""
        return -self._nearest

    def choose(self, place: NDArray[np.intp]) -> None:
        """Compare the pools with what was chosen."""
        np.maximum(self._nearest, self._likeness.of(place), out=self._nearest)


class DeterminantalPointProcess:
    """Adds the growth of the log-determinant of the list's likeness matrix, chosen greedily (Chen et al. 2018).

    The Cholesky factor grows by one column a choice: ``e = (S_j - C_j . C) / d_j`` and ``d^2 = d^2 - e^2``, and what a
    product adds is log d^2. With the weight w the choice is theirs with theta = 1 / (1 + w).
    """

    def __init__(self, pool: NDArray[np.intp], likeness: Likeness) -> None:
        """Begin with nothing chosen.

        Args:
            pool: (c, p) products.
            likeness: of products.
        """
        self._likeness, self._rows = PoolLikeness(likeness, pool), np.arange(len(pool))
        self._square = np.ones(pool.shape)
        self._columns: list[NDArray[np.float64]] = []

    def gain(self) -> NDArray[np.float64]:
        """Return log d^2."""
        return np.log(self._square)

    def choose(self, place: NDArray[np.intp]) -> None:
        """Add a column to the factor."""
        at = self._rows, place
        column = self._likeness.of(place)
        column[at] = 1.0
        # Sums one by one: the result of a customer doesn't depend on who else is in the block.
        part = np.empty_like(column)
        for earlier in self._columns:
            column -= np.multiply(earlier, earlier[at][:, None], out=part)
        column /= np.sqrt(self._square[at])[:, None]
        self._columns.append(column)
        self._square = np.maximum(self._square - np.square(column, out=part), SMALLEST)
