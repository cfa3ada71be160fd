"""What all customers bought recently."""

import numpy as np
from numpy.typing import NDArray

from recsys.candidates.base import Generator, Scores, State
from recsys.history import History
from recsys.settings import Settings


class Popularity(Generator):
    """Proposes the products with the most buyers in the recent days, the same to everyone."""

    name = "popularity"
    sentence = "Popular now: {recent_buyers} customers bought this in the last {recent_days}."

    def fit(self, history: History, settings: Settings) -> None:
        """Keep the recent counts."""
        self._counts = history.popularity.astype(np.float32)

    def scores(self, history: History, users: NDArray[np.int32]) -> Scores:
        """Return the counts, once a customer."""
        counts = np.where(self._counts > 0, self._counts, -np.inf).astype(np.float32)
        return np.broadcast_to(counts, (len(users), len(counts)))

    def state(self) -> State:
        """Return what was fitted."""
        return {"counts": self._counts}

    def restore(self, state: State, settings: Settings) -> None:
        """Take it back."""
        self._counts = np.asarray(state["counts"], np.float32)
