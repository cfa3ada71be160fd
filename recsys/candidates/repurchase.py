"""The customer's own products."""

import numpy as np
from numpy.typing import NDArray

from recsys.candidates.base import Scores, State
from recsys.history import History, Need
from recsys.settings import Settings


class Repurchase:
    """Proposes what the customer bought before, each purchase with time decay."""

    name = "repurchase"
    needs: tuple[Need, ...] = ()
    keyed_by_customer = False

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
