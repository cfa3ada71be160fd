"""Ranked lists as matrices: a row a customer, a column a rank."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.errors import ContractError

Hits = NDArray[np.bool_]
Counts = NDArray[np.int64]
Shown = NDArray[np.int64]
NOTHING = -1  # where a list has no product at a rank


@dataclass(frozen=True)
class Truth:
    """What was relevant to whom.

    Attributes:
        users: (n,) customers with at least one relevant product, ascending.
        pairs: sorted keys of relevant (customer, product).
        relevant: (n,) relevant products of each.
    """

    users: NDArray[np.int64]
    pairs: NDArray[np.int64]
    relevant: Counts

    @classmethod
    def of(cls, user_idx: NDArray[np.integer], item_idx: NDArray[np.integer]) -> "Truth":
        """Build it from pairs in any order; a pair that is given twice is one."""
        pairs = np.unique(_key(user_idx, item_idx))
        users, counts = np.unique(pairs >> 32, return_counts=True)
        return cls(users, pairs, counts)

    def restricted(self, items: NDArray[np.integer]) -> "Truth":
        """Return the truth of some products alone: only customers to whom one of them was relevant remain."""
        kept = np.isin(self.pair_items, items)
        return Truth.of(self.pair_users[kept], self.pair_items[kept])

    @property
    def pair_users(self) -> NDArray[np.int64]:
        """The customer of each pair."""
        return self.pairs >> 32

    @property
    def pair_items(self) -> NDArray[np.int64]:
        """The product of each pair."""
        return self.pairs & 0xFFFFFFFF


def _key(user_idx: NDArray[np.integer], item_idx: NDArray[np.integer]) -> NDArray[np.int64]:
    return (user_idx.astype(np.int64) << 32) | item_idx.astype(np.int64)


def shown_matrix(
    users: NDArray[np.integer],
    user_idx: NDArray[np.integer],
    item_idx: NDArray[np.integer],
    rank: NDArray[np.integer],
    k: int,
) -> Shown:
    """Return the (n, k) products that lists show, a row for each of ``users``, -1 where there is none.

    A product that a list shows again is not counted again: its later ranks show nothing.

    Args:
        users: (n,) whose lists, ascending; lists of others are left out.
        user_idx: (r,) whose list a row belongs to.
        item_idx: (r,) the product.
        rank: (r,) from 1.
        k: ranks that count.

    Raises:
        ContractError: if a rank is below 1, or a list has two products at one rank.
    """
    if len(rank) and rank.min() < 1:
        raise ContractError(f"A list has rank {rank.min()}; ranks count from 1.")
    shown = np.full((len(users), k), NOTHING, np.int64)
    if not len(users):
        return shown
    row = np.minimum(np.searchsorted(users, user_idx), len(users) - 1)
    kept = (users[row] == user_idx) & (rank <= k)
    place = row[kept].astype(np.int64) * k + rank[kept] - 1
    cells, times = np.unique(place, return_counts=True)
    if len(cells) < len(place):
        twice = cells[times > 1][0]
        raise ContractError(
            f"The list of customer {users[twice // k]} has more than one product at rank {twice % k + 1}; "
            "ranks are unique within a list."
        )
    shown.ravel()[place] = item_idx[kept]
    return _without_repeats(shown)


def _without_repeats(shown: Shown) -> Shown:
    order = np.argsort(shown, axis=1, kind="stable")
    ordered = np.take_along_axis(shown, order, axis=1)
    again = np.zeros(shown.shape, bool)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    return np.where(again, NOTHING, shown)


def hits_of(truth: Truth, shown: Shown) -> Hits:
    """Return the (n, k) hits among products shown to the customers of ``truth``, in their order."""
    if not len(truth.pairs):
        return np.zeros(shown.shape, bool)
    key = _key(np.broadcast_to(truth.users[:, None], shown.shape), shown)
    place = np.minimum(np.searchsorted(truth.pairs, key), len(truth.pairs) - 1)
    return np.asarray((truth.pairs[place] == key) & (shown != NOTHING))


def hit_matrix(
    truth: Truth,
    user_idx: NDArray[np.integer],
    item_idx: NDArray[np.integer],
    rank: NDArray[np.integer],
    k: int,
) -> Hits:
    """Return the (n, k) hits of lists, a row for each customer of ``truth`` (a customer without a list: misses).

    Arguments and errors are those of :func:`shown_matrix`.
    """
    return hits_of(truth, shown_matrix(truth.users, user_idx, item_idx, rank, k))
