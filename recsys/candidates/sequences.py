"""What follows what, and what is bought together: weights from single baskets rather than whole histories.

A basket is what a customer turned to together. What a customer turned to last counts most when these are scored:
``sequence_decay`` per moment back.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.candidates.base import BECAUSE, only_purchases
from recsys.candidates.item_to_item import ItemToItem, pairs_in
from recsys.candidates.similarity import inverse, row_sums, scaled, strongest
from recsys.errors import ContractError
from recsys.history import History, Lines, Need
from recsys.settings import Settings

BLOCK = 256


class _Sequential(ItemToItem):
    needs: tuple[Need, ...] = ("lines",)
    decay: float

    def own(self, history: History, users: NDArray[np.int32]) -> sparse.csr_array:
        """Return (b, m) decay ** (moments since the customer last turned to the product)."""
        own = history.recency[users].copy()
        own.data = np.power(np.float32(self.decay), own.data - 1)
        return own

    def restore(self, state: dict[str, sparse.csr_array | NDArray[np.generic]], settings: Settings) -> None:
        """Take it back."""
        super().restore(state, settings)
        self.decay = settings.candidates.sequence_decay


class Transitions(_Sequential):
    """What customers turned to after a product, within the next baskets::

        weight(j -> i) = sum over baskets s with j, distances d up to the window, of [i in basket s + d] / d * age
                         / ((times j was turned to + shrinkage) * (times i was)^damping)

    where ``age`` is 0.5 ^ (days since the later basket / half-life).
    """

    name = "transitions"
    sentence = f"Often bought after {BECAUSE}, which you bought."

    def fit(self, history: History, settings: Settings) -> None:
        """Count what followed what."""
        chosen = settings.candidates
        self.decay = chosen.sequence_decay
        self.window = chosen.transition_window
        lines = _lines(history)
        baskets, users, age = _baskets(lines, lines.user_idx >= 0, history.shape[1])
        faded = scaled(baskets, 0.5 ** (age / chosen.transition_half_life_days))
        later = _later(faded, users, self.window)
        times = row_sums(sparse.csr_array(baskets.T))
        self.weights = _weights(
            baskets,
            later,
            times,
            row_sums(sparse.csr_array(faded.T)),
            chosen.transition_damping,
            chosen.transition_shrinkage,
            chosen.item_neighbours,
        )

    def learn_claims(self, history: History) -> None:
        """Find the pairs of products of which somebody bought the second soon after the first."""
        lines = _lines(history)
        if only_purchases(history):
            return
        baskets, users, _ = _baskets(lines, lines.is_purchase & (lines.user_idx >= 0), history.shape[1])
        self.claims = pairs_in(baskets, _later(baskets, users, self.window), self.weights)


class CoPurchase(_Sequential):
    """What is bought in the same basket, by guests too::

        weight(j -> i) = sum over baskets with both of w / ((sum of w with j + shrinkage) * (sum of w with i)^damping)

    where ``w`` is 0.5 ^ (days since / half-life) / sqrt(other products in the basket): a large basket says less of
    each pair. With damping 1 it is the lift up to a factor, with 0 the probability of i where j is.
    """

    name = "co_purchase"
    sentence = f"Often bought together with {BECAUSE}, which you bought."

    def learn_claims(self, history: History) -> None:
        """Learn nothing: all that it says was bought was bought."""

    def fit(self, history: History, settings: Settings) -> None:
        """Count what was bought together."""
        chosen = settings.candidates
        self.decay = chosen.sequence_decay
        lines = _lines(history)
        baskets, _, age = _baskets(lines, lines.is_purchase, history.shape[1])
        baskets.data[:] = 1
        others = np.maximum(np.diff(baskets.indptr) - 1, 1)
        weighted = scaled(baskets, 0.5 ** (age / chosen.co_purchase_half_life_days) / np.sqrt(others))
        mass = row_sums(sparse.csr_array(weighted.T))
        self.weights = _weights(
            baskets,
            weighted,
            mass,
            mass,
            chosen.co_purchase_damping,
            chosen.co_purchase_shrinkage,
            chosen.item_neighbours,
        )


def _later(baskets: sparse.csr_array, users: NDArray[np.int32], window: int) -> sparse.csr_array:
    """Return (s, m) what each customer's next baskets hold, up to the window, over the distance."""
    later = sparse.csr_array(baskets.shape, dtype=np.float64)
    for distance in range(1, min(window, len(users) - 1) + 1):
        before = np.flatnonzero(users[distance:] == users[: len(users) - distance])
        parts = (np.full(len(before), 1 / distance), (before, before + distance))
        later = later + sparse.csr_array(parts, shape=(len(users), len(users))) @ baskets
    return sparse.csr_array(later)


def _lines(history: History) -> Lines:
    if history.lines is None:
        raise ContractError("The history was read without its lines, which this generator needs.")
    return history.lines


def _baskets(
    lines: Lines, chosen: NDArray[np.bool_], m: int
) -> tuple[sparse.csr_array, NDArray[np.int32], NDArray[np.float64]]:
    """Return (s, m) baskets with the highest event weight of each product, and each one's customer and age in days."""
    numbers, basket = np.unique(lines.basket[chosen], return_inverse=True)
    rows = sparse.coo_array((lines.weight[chosen], (basket, lines.column[chosen])), shape=(len(numbers), m)).tocsr()
    rows.data = np.minimum(rows.data, 1).astype(np.float64)
    users = np.empty(len(numbers), np.int32)
    users[basket] = lines.user_idx[chosen]
    age = np.empty(len(numbers), np.float64)
    age[basket] = lines.age[chosen]
    return sparse.csr_array(rows), users, age


def _weights(
    baskets: sparse.csr_array,
    others: sparse.csr_array,
    times: NDArray[np.float64],
    mass: NDArray[np.float64],
    damping: float,
    shrinkage: float,
    k: int,
) -> sparse.csr_array:
    """Return (m, m) the k strongest of baskets' x others, over (times + shrinkage) and mass ^ damping, by blocks."""
    products, columns = sparse.csr_array(baskets.T), sparse.diags_array(inverse(mass**damping))
    right = sparse.csr_array(others @ columns)
    n = products.shape[0]
    blocks = (sparse.csr_array(products[start : start + BLOCK] @ right) for start in range(0, n, BLOCK))
    return scaled(strongest(blocks, k, n), inverse(times + shrinkage)).astype(np.float32)
