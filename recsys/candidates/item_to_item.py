"""What all generators share that score by weights from a customer's products to others."""

from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.candidates.base import BLOCK, Generator, Scores, State, only_purchases, tastes
from recsys.history import History
from recsys.settings import Settings

_MARKS: Final = 64_000_000  # pairs of products that are marked at once, a byte each


class ItemToItem(Generator):
    """Scores a product by what the customer's own products say of it: sum over j of own(u, j) weight(j, i).

    A subclass makes ``weights`` when it is fitted: (m, m), with the strongest of each row. ``claims`` tells of each
    of their entries whether what is told of it is true; of all of them if None.
    """

    weights: sparse.csr_array
    claims: NDArray[np.bool_] | None = None

    def learn_claims(self, history: History) -> None:
        """Find the pairs of products that somebody bought both of."""
        if not only_purchases(history):
            self.claims = pairs_in(history.purchases, history.purchases, self.weights)

    def own(self, history: History, users: NDArray[np.int32]) -> sparse.csr_array:
        """Return (b, m) how much each of the customers' products counts: here, their tastes."""
        return tastes(history.interest[users])

    def scores(self, history: History, users: NDArray[np.int32]) -> Scores:
        """Sum the weights from the products in the customers' history."""
        return sparse.csr_array(self.own(history, users) @ self.weights)

    @cached_property
    def _towards(self) -> sparse.csr_array:
        """(m, m) the weights that may be told, by the product they point to."""
        told = self.weights.copy()
        if self.claims is not None:
            told.data = np.where(self.claims, told.data, 0)
        return sparse.csr_array(told.T)

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
        return {"weights": self.weights} | ({} if self.claims is None else {"claims": self.claims.astype(np.uint8)})

    def restore(self, state: State, settings: Settings) -> None:
        """Take it back."""
        self.weights = sparse.csr_array(state["weights"])
        self.claims = np.asarray(state["claims"], bool) if "claims" in state else None


def pairs_in(left: sparse.csr_array, right: sparse.csr_array, weights: sparse.csr_array) -> NDArray[np.bool_]:
    """Return of each of the weights' entries (j, i) whether a row has j on the left and i on the right, by blocks.

    Args:
        left: (s, m) non-negative.
        right: (s, m) non-negative.
        weights: (m, m).
    """
    products, found = sparse.csr_array(left.T), np.zeros(weights.nnz, bool)
    size = max(1, min(BLOCK, _MARKS // max(weights.shape[1], 1)))
    for start in range(0, weights.shape[0], size):
        both = sparse.coo_array(products[start : start + size] @ right)
        block = weights[start : start + size].tocoo()
        marks = np.zeros(block.shape, bool)
        marks[both.row[both.data > 0], both.col[both.data > 0]] = True
        first = weights.indptr[start]
        found[first : first + block.nnz] = marks[block.row, block.col]
    return found
