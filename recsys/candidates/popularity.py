"""What all customers bought: recently, ever, and more than before. The same proposals to everyone."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.candidates.base import Generator, Scores, State
from recsys.history import History
from recsys.settings import Settings

NORMAL_95 = 1.645  # the normal distribution's one-sided 95 % quantile


def buyers(lines: sparse.csr_array) -> NDArray[np.float64]:
    """Return (m,) the customers with any line of each product."""
    return np.bincount(lines.indices, minlength=lines.shape[1]).astype(np.float64)


def customers(lines: sparse.csr_array) -> int:
    """Return the number of customers with any line."""
    return int((np.diff(lines.indptr) > 0).sum())


class Popularity(Generator):
    """Proposes the products with the most buyers in the recent days."""

    name = "popularity"
    sentence = "Popular now: {recent_buyers} customers bought this in the last {recent_days}."

    def fit(self, history: History, settings: Settings) -> None:
        """Score the products; those at zero are not proposed."""
        self._values = self.measure(history).astype(np.float32)

    def measure(self, history: History) -> NDArray[np.float64]:
        """Return (m,) what the products are ordered by, above zero where they are proposed."""
        return history.popularity

    def scores(self, history: History, users: NDArray[np.int32]) -> Scores:
        """Return the products' values, once a customer."""
        values = np.where(self._values > 0, self._values, -np.inf).astype(np.float32)
        return np.broadcast_to(values, (len(users), len(values)))

    def state(self) -> State:
        """Return what was fitted."""
        return {"values": self._values}

    def restore(self, state: State, settings: Settings) -> None:
        """Take it back."""
        self._values = np.asarray(state["values"], np.float32)


class PopularityAll(Popularity):
    """Proposes the products that most customers ever bought."""

    name = "popularity_all"

    def measure(self, history: History) -> NDArray[np.float64]:
        """Return the buyers of all time."""
        return buyers(history.purchases)

    def sentences(self, history: History, users: NDArray[np.int32], columns: NDArray[np.integer]) -> list[str]:
        """Tell the buyers of all time."""
        return [f"A favourite: {count:.0f} customers have bought this." for count in self._values[columns]]


class PopularityTrending(Popularity):
    """Proposes the products that win buyers, surely and faster than the shop as a whole.

    With r of the recent window's R customers and b of the B of the window before buying a product, its share
    of the two windows' buyers is p = r / (r + b). Wilson's one-sided lower bound of p at 95 % (Wilson 1927)
    gives the growth that it has at least, l / (1 - l) * B / R: from one buyer to three is no growth yet, from
    ten to thirty is. A product is proposed if that growth is above one, in the order of the buyers that it has
    more than it would have without growing, r - r / growth.
    """

    name = "popularity_trending"

    def fit(self, history: History, settings: Settings) -> None:
        """Keep the earlier window's buyers too: the sentence tells them."""
        super().fit(history, settings)
        self._recent, self._earlier = buyers(history.recent), buyers(history.earlier)

    def measure(self, history: History) -> NDArray[np.float64]:
        """Return the buyers won, zero where the growth isn't sure."""
        recent, earlier = buyers(history.recent), buyers(history.earlier)
        now, then = customers(history.recent), customers(history.earlier)
        if not now or not then:
            return np.zeros(history.shape[1])
        least = lower_share(recent, recent + earlier)
        growth = np.divide(least, 1 - least) * then / now
        return np.where(growth > 1, recent - recent / np.maximum(growth, 1), 0.0)

    def sentences(self, history: History, users: NDArray[np.int32], columns: NDArray[np.integer]) -> list[str]:
        """Tell the buyers of both windows."""
        return [
            f"On the rise: {recent:.0f} customers bought this in the last {{recent_days}}, {earlier:.0f} in the "
            "{recent_days} before."
            for recent, earlier in zip(self._recent[columns], self._earlier[columns], strict=True)
        ]

    def state(self) -> State:
        """Return what was fitted."""
        return {**super().state(), "recent": self._recent, "earlier": self._earlier}

    def restore(self, state: State, settings: Settings) -> None:
        """Take it back."""
        super().restore(state, settings)
        self._recent, self._earlier = np.asarray(state["recent"]), np.asarray(state["earlier"])


def lower_share(successes: NDArray[np.float64], trials: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Wilson's one-sided lower 95 % bound of a share, 0 where nothing was tried.

    ``(p + z^2 / 2n - z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)``
    """
    n, z = np.maximum(trials, 1.0), NORMAL_95
    p = successes / n
    low = (p + z**2 / (2 * n) - z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))) / (1 + z**2 / n)
    return np.where(trials > 0, np.maximum(low, 0.0), 0.0)
