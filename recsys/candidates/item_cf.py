"""Item-based collaborative filtering: products that the same customers buy."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.candidates.base import Scores, State
from recsys.candidates.similarity import cosine_neighbours, pearson_neighbours
from recsys.history import History, Need
from recsys.settings import Settings


def tastes(weights: sparse.csr_array) -> sparse.csr_array:
    """Return log(1 + weight) of rows of a history: the tenth purchase of a product says less than the first."""
    result = weights.copy()
    result.data = np.log1p(result.data)
    return result


class ItemCF:
    """Scores a product by its similarity to what the customer bought: sum over j of taste(u, j) sim(j, i)."""

    name = "item_cf"
    needs: tuple[Need, ...] = ()
    keyed_by_customer = False

    def fit(self, history: History, settings: Settings) -> None:
        """Find each product's neighbours, by cosine or Pearson over customers."""
        chosen = settings.candidates
        columns = sparse.csr_array(tastes(history.interest).T)
        if chosen.similarity == "pearson":
            self.neighbours = pearson_neighbours(columns, chosen.item_neighbours, chosen.pearson_shrinkage)
        else:
            self.neighbours = cosine_neighbours(columns, chosen.item_neighbours, settings.thread_count)

    @cached_property
    def towards(self) -> sparse.csr_array:
        """(m, m) the same similarities by the product they point to."""
        return sparse.csr_array(self.neighbours.T)

    def scores(self, history: History, users: NDArray[np.int32]) -> Scores:
        """Sum the similarities to the products in the customers' history."""
        return sparse.csr_array(tastes(history.interest[users]) @ self.neighbours)

    def state(self) -> State:
        """Return what was fitted."""
        return {"neighbours": self.neighbours}

    def restore(self, state: State, settings: Settings) -> None:
        """Take it back."""
        self.neighbours = sparse.csr_array(state["neighbours"])
