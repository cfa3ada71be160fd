"""Ranking metrics with binary relevance, a value a customer.

All take a hit matrix: (n, k) bool, whether the product at each rank was relevant, and (n,) the number of
relevant products of each customer, at least one. A list shorter than k counts misses for what it lacks.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from recsys.errors import ContractError
from recsys.evaluation.metrics.lists import Counts, Hits

Values = NDArray[np.float64]


def ndcg(hits: Hits, relevant: Counts) -> Values:
    """Return DCG / ideal DCG with gain 1 and discount 1 / log2(rank + 1) (Jarvelin, Kekalainen 2002).

    The ideal list shows min(k, relevant) relevant products first.
    """
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


METRICS: Mapping[str, Callable[[Hits, Counts], Values]] = {
    "ndcg": ndcg,
    "recall": recall,
    "precision": precision,
    "map": average_precision,
    "mrr": reciprocal_rank,
    "hit_rate": hit_rate,
}


def per_customer(hits: Hits, relevant: Counts, ks: Sequence[int]) -> dict[str, Values]:
    """Return every metric of every customer at several k, as ``<metric>@<k>``.

    Args:
        hits: (n, at least max(ks)).
        relevant: (n,) relevant products of each customer.
        ks: list lengths.

    Raises:
        ContractError: if a customer has no relevant product, since most metrics are undefined then, or the
            lists are shorter than a k.
    """
    if len(relevant) and relevant.min() < 1:
        raise ContractError("A customer without a relevant product can't be measured; leave them out.")
    if max(ks) > hits.shape[1]:
        raise ContractError(f"The lists were read up to rank {hits.shape[1]}, so nothing is known at k = {max(ks)}.")
    return {f"{name}@{k}": metric(hits[:, :k], relevant) for name, metric in METRICS.items() for k in ks}
