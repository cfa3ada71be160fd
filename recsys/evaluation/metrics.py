"""Ranking metrics with binary relevance, a value a customer.

All take a hit matrix: (n, k) bool, whether the product at each rank was relevant, and (n,) the number of
relevant products of each customer, at least one. A list shorter than k counts misses for what it lacks.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Hits = NDArray[np.bool_]
Counts = NDArray[np.int64]
Values = NDArray[np.float64]


def ndcg(hits: Hits, relevant: Counts) -> Values:
    """Return DCG / ideal DCG with gain 1 and discount 1 / log2(rank + 1) (Jarvelin, Kekalainen 2002)."""
    discount = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    ideal = np.r_[0.0, np.cumsum(discount)][np.minimum(relevant, hits.shape[1])]
    return np.asarray((hits * discount).sum(axis=1) / ideal)


def recall(hits: Hits, relevant: Counts) -> Values:
    """Return the share of the relevant products that the list shows."""
    return np.asarray(hits.sum(axis=1) / relevant)


def precision(hits: Hits, relevant: Counts) -> Values:
    """Return the share of k that is relevant."""
    return np.asarray(hits.mean(axis=1))


def hit_rate(hits: Hits, relevant: Counts) -> Values:
    """Return 1 where the list shows any relevant product."""
    return np.asarray(hits.any(axis=1), dtype=np.float64)


def average_precision(hits: Hits, relevant: Counts) -> Values:
    """Return the mean over min(k, relevant) of the precision at each hit's rank."""
    at_rank = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return np.asarray((at_rank * hits).sum(axis=1) / np.minimum(relevant, hits.shape[1]))


def reciprocal_rank(hits: Hits, relevant: Counts) -> Values:
    """Return 1 / rank of the first hit, 0 without one."""
    return np.where(hits.any(axis=1), 1 / (hits.argmax(axis=1) + 1), 0.0)


METRICS = {
    "ndcg": ndcg,
    "recall": recall,
    "precision": precision,
    "hit_rate": hit_rate,
    "map": average_precision,
    "mrr": reciprocal_rank,
}


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
        """Build it from distinct pairs in any order."""
        pairs = np.unique(_key(user_idx, item_idx))
        users, counts = np.unique(pairs >> 32, return_counts=True)
        return cls(users, pairs, counts)


def _key(user_idx: NDArray[np.integer], item_idx: NDArray[np.integer]) -> NDArray[np.int64]:
    return (user_idx.astype(np.int64) << 32) | item_idx.astype(np.int64)


def hit_matrix(
    truth: Truth,
    user_idx: NDArray[np.integer],
    item_idx: NDArray[np.integer],
    rank: NDArray[np.integer],
    k: int,
) -> Hits:
    """Return the (n, k) hits of lists, a row for each customer of ``truth`` (a customer without a list: misses).

    Args:
        truth: what was relevant.
        user_idx: (r,) whose list a row belongs to.
        item_idx: (r,) the product.
        rank: (r,) from 1, unique in a list.
        k: ranks that count.
    """
    hits = np.zeros((len(truth.users), k), bool)
    if not len(truth.users):
        return hits
    row = np.minimum(np.searchsorted(truth.users, user_idx), len(truth.users) - 1)
    kept = (truth.users[row] == user_idx) & (rank <= k)
    key = _key(user_idx[kept], item_idx[kept])
    place = np.minimum(np.searchsorted(truth.pairs, key), len(truth.pairs) - 1)
    hits[row[kept], rank[kept] - 1] = truth.pairs[place] == key
    return hits


def per_customer(hits: Hits, relevant: Counts) -> Mapping[str, Values]:
    """Return every metric of every customer."""
    return {name: metric(hits, relevant) for name, metric in METRICS.items()}
