"""The customer's own products."""

import numpy as np
from numpy.typing import NDArray

from recsys.candidates.base import Generator, Scores, State
from recsys.history import History
from recsys.settings import Settings


class Repurchase(Generator):
    """Proposes what the customer bought before, each purchase with time decay."""

    name = "repurchase"

    def fit(self, history: History, settings: Settings) -> None:
        """Learn nothing: the customer's own history is all it needs."""

    def scores(self, history: History, users: NDArray[np.int32]) -> Scores:
        """Return the decayed purchase counts."""
        return history.weights[users]

    def state(self) -> State:
        """Return what was fitted."""
        return {}

    def restore(self, state: State, settings: Settings) -> None:
        """Take it back."""
