"""What all generators share that score by weights from a customer's products to others."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.candidates.base import BLOCK, Generator, Scores, State, tastes
from recsys.history import History
from recsys.settings import Settings


class ItemToItem(Generator):
    """Scores a product by what the customer's own products say of it: sum over j of own(u, j) weight(j, i).

    A subclass makes ``weights`` when it is fitted: (m, m), with the strongest of each row.
    """

    weights: sparse.csr_array

    def own(self, history: History, users: NDArray[np.int32]) -> sparse.csr_array:
        """Return (b, m) how much each of the customers' products counts: here, their tastes."""
        return tastes(history.interest[users])

    def scores(self, history: History, users: NDArray[np.int32]) -> Scores:
        """Sum the weights from the products in the customers' history."""
        return sparse.csr_array(self.own(history, users) @ self.weights)

    @cached_property
    def _towards(self) -> sparse.csr_array:
        """(m, m) the weights by the product they point to."""
        return sparse.csr_array(self.weights.T)

    def because(self, history: History, users: NDArray[np.int32], columns: NDArray[np.integer]) -> NDArray[np.int32]:
        """Return the products bought that add most to the score (of equal ones: the lower column)."""
        found = np.full(len(users), -1, np.int32)
        for start in range(0, len(users), BLOCK):
            block = slice(start, start + BLOCK)
            bought = history.purchases[users[block]] > 0
            adds = self.own(history, users[block]).multiply(bought).multiply(self._towards[columns[block]]).tocoo()
            positive = adds.data > 0
            row, column, data = adds.row[positive], adds.col[positive], adds.data[positive]
            order = np.lexsort((column, -data, row))
            rows, first = np.unique(row[order], return_index=True)
            found[start + rows] = column[order][first]
        return found

    def state(self) -> State:
        """Return what was fitted."""
        return {"weights": self.weights}

    def restore(self, state: State, settings: Settings) -> None:
        """Take it back."""
        self.weights = sparse.csr_array(state["weights"])
