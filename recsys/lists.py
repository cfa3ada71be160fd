"""Ranked lists of products, a list a customer."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recsys import columns as c
from recsys.errors import ContractError


def group_sizes(user_idx: NDArray[np.integer]) -> NDArray[np.int32]:
    """Return the run lengths of equal neighbours."""
    if not len(user_idx):
        return np.empty(0, np.int32)
    starts = np.flatnonzero(np.r_[True, user_idx[1:] != user_idx[:-1]])
    sizes: NDArray[np.int32] = np.diff(np.r_[starts, len(user_idx)]).astype(np.int32)
    return sizes


def leading(user_idx: NDArray[np.integer], scores: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    """Return the positions of the rows that reach their customer's k-th highest score: k, or more of equal ones."""
    sizes = group_sizes(user_idx)
    most = int(sizes.max(initial=0))
    if most <= k:
        return np.arange(len(user_idx))
    laid = np.full((len(sizes), most), -np.inf)
    laid[np.arange(laid.shape[1]) < sizes[:, None]] = scores
    least = np.partition(laid, -k, axis=1)[:, -k]
    return np.flatnonzero(scores >= np.repeat(least, sizes))


def rank_within(
    user_idx: NDArray[np.integer], item_idx: NDArray[np.integer], scores: NDArray[np.floating], k: int
) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Rank rows by score within each customer (equal scores: the lower item_idx) and keep k.

    Returns:
        Positions of the kept rows, by customer and rank, and their ranks from 1.

    Raises:
        ContractError: if a score is not a number, since it has no place in an order.
    """
    unknown = np.isnan(scores)
    if unknown.any():
        row = int(np.argmax(unknown))
        raise ContractError(
            f"The scores of {int(unknown.sum())} candidates are not numbers, first that of customer {user_idx[row]} "
            f"and product {item_idx[row]} (their numbers in the snapshot). Mend the model or the features it reads."
        )
    likely = _likely(user_idx, scores, k)
    order = likely[np.lexsort((item_idx[likely], -scores[likely], user_idx[likely]))]
    users = user_idx[order]
    first = np.searchsorted(users, users)
    rank = (np.arange(len(users)) - first + 1).astype(np.int32)
    kept = rank <= k
    return order[kept], rank[kept]


def _likely(user_idx: NDArray[np.integer], scores: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    """Return the rows that may be among their customer's first k: finding them takes less than sorting all.

    Where customers have very different numbers of rows, or theirs are not together, that may be all.
    """
    sizes = group_sizes(user_idx)
    is_even = len(sizes) * int(sizes.max(initial=0)) <= 4 * len(scores)
    return leading(user_idx, scores, k) if is_even else np.arange(len(scores))


@dataclass(frozen=True)
class Lists:
    """Lists of one model: (r,) customer, product and rank from 1."""

    user_idx: NDArray[np.int32]
    item_idx: NDArray[np.int32]
    rank: NDArray[np.int32]

    @classmethod
    def ranked(
        cls,
        user_idx: NDArray[np.integer],
        item_idx: NDArray[np.integer],
        scores: NDArray[np.floating],
        k: int,
    ) -> "Lists":
        """Rank by score within each customer and keep k."""
        order, rank = rank_within(user_idx, item_idx, scores, k)
        return cls(user_idx[order].astype(np.int32), item_idx[order].astype(np.int32), rank)

    @classmethod
    def read(cls, path: Path, k: int) -> "Lists":
        """Read a generator's proposals and keep k."""
        table = pq.read_table(path, columns=[c.USER_IDX, c.ITEM_IDX, c.RANK], filters=[(c.RANK, "<=", k)])
        return cls(*(table[name].to_numpy().astype(np.int32) for name in (c.USER_IDX, c.ITEM_IDX, c.RANK)))
