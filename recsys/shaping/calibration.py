"""Calibration: a list whose categories stand in the proportion in which the customer buys them."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.shaping.pairs import looked_up, pair_keys

SMOOTHING = 0.01


class Calibration:
    """Adds what a product takes off the divergence of the list from the taste (Steck 2018).

    With p the shares of the families (first two steps of a category path) in the customer's purchases, with time
    decay, and q those in the list, KL(p || q') = sum of p log(p / q') over the families with q' = .99 q + .01 p. A
    product changes one family's q besides the length of the list, which is the same for all, so the gain is
    p (log q'(with it) - log q'(without it)); it is 0 where the customer buys nothing of the family.
    """

    def __init__(self, pool: NDArray[np.intp], taste: NDArray[np.float64], family: NDArray[np.int32]) -> None:
        """Begin with nothing chosen.

        Args:
            pool: (c, p) products.
            taste: (c, p) share of each product's family in the customer's purchases (see ``family_shares``).
            family: (m,) the family of every product.
        """
        self._taste, self._family = taste, family[pool]
        self._count = np.zeros(pool.shape)
        self._length = 0

    def gain(self) -> NDArray[np.float64]:
        """Return what the divergence would lose."""
        length, p = self._length + 1, self._taste
        before = (1 - SMOOTHING) * self._count / length + SMOOTHING * p
        after = before + (1 - SMOOTHING) / length
        return np.asarray(p * np.log(np.divide(after, before, out=np.ones(p.shape), where=p > 0)))

    def choose(self, place: NDArray[np.intp]) -> None:
        """Count the chosen products' families."""
        chosen = np.take_along_axis(self._family, place[:, None], axis=1)
        self._count += (self._family == chosen) & (chosen >= 0)
        self._length += 1


def family_shares(
    weights: sparse.csr_array, user_idx: NDArray[np.int32], pool: NDArray[np.intp], family: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Return (c, p) the share of each product's family in what its customer bought, with time decay.

    Args:
        weights: (n, m) decayed purchases.
        user_idx: (c,) the customers of the pools, ascending.
        pool: (c, p) products.
        family: (m,) the family of every product, -1 without one.
    """
    held = weights[user_idx].tocoo()
    keys = pair_keys(held.row, family[held.col])
    found, inverse = np.unique(keys, return_inverse=True)
    sums = np.bincount(inverse, held.data, minlength=len(found)).astype(np.float64)
    total = np.bincount(held.row, held.data, minlength=len(user_idx))
    asked = pair_keys(np.arange(len(user_idx))[:, None], np.maximum(family[pool], 0))
    share = looked_up(found, sums, asked) / np.maximum(total, 1e-12)[:, None]
    return np.where(family[pool] >= 0, share, 0.0)
