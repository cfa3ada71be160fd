"""User-based collaborative filtering: what customers with the same taste buy."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.candidates.base import Generator, Scores, State, tastes
from recsys.candidates.similarity import capped, neighbours
from recsys.history import History
from recsys.settings import Settings, Similarity


class UserCF(Generator):
    """Scores a product by the tastes of the customer's nearest others: sum over v of sim(u, v) taste(v, i)."""

    keyed_by_customer = True
    sentence = "Bought by customers whose taste is most like yours."

    def __init__(self, similarity: Similarity | None = None) -> None:
        """Give it a similarity, that of the settings if None."""
        self.name = f"user_{similarity or 'cf'}"
        self._similarity = similarity

    def fit(self, history: History, settings: Settings) -> None:
        """Find each customer's neighbours over products."""
        chosen = settings.candidates
        self._tastes = tastes(history.interest)
        self.neighbours = neighbours(
            capped(history.interest, chosen.max_item_customers),
            self._similarity or chosen.similarity,
            chosen.user_neighbours,
            chosen,
            settings.thread_count,
        )

    def scores(self, history: History, users: NDArray[np.int32]) -> Scores:
        """Sum the neighbours' tastes."""
        return sparse.csr_array(self.neighbours[users] @ self._tastes)

    def state(self) -> State:
        """Return what was fitted."""
        return {"neighbours": self.neighbours, "tastes": self._tastes}

    def restore(self, state: State, settings: Settings) -> None:
        """Take it back."""
        self.neighbours = sparse.csr_array(state["neighbours"])
        self._tastes = sparse.csr_array(state["tastes"])
