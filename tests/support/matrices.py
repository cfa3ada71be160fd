"""Small histories whose right answers are known."""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.history import Groups, History

CUT = datetime(2025, 1, 1)


def history_of(counts: NDArray[np.floating], popularity: NDArray[np.floating] | None = None) -> History:
    """Return the history of a dense (customers, products) matrix of purchase counts; item_idx is 10 x column."""
    purchases = sparse.csr_array(np.asarray(counts, np.float32))
    seen = purchases.copy()
    seen.data = np.ones_like(seen.data)
    bought = (np.asarray(counts) > 0).sum(axis=0).astype(float) if popularity is None else popularity
    return History(
        cut_at=CUT,
        items=np.arange(counts.shape[1], dtype=np.int32) * 10,
        purchases=purchases,
        weights=purchases.copy(),
        interest=purchases.copy(),
        recency=seen.copy(),
        seen=seen,
        popularity=bought,
        segments=Groups.of(np.full(len(counts), "")),
        markets=Groups.of(np.full(len(counts), "")),
    )


def planted(groups: int = 4, customers: int = 12, products: int = 8, seed: int = 3) -> NDArray[np.float32]:
    """Return counts where customers of a group buy most of their group's products and nothing else.

    Customer ``g * customers`` lacks just product ``g * products``: the one right new product for them.
    """
    random = np.random.default_rng(seed)
    counts = np.zeros((groups * customers, groups * products), np.float32)
    for group in range(groups):
        rows = slice(group * customers, (group + 1) * customers)
        columns = slice(group * products, (group + 1) * products)
        counts[rows, columns] = random.integers(1, 4, (customers, products)) * (
            random.random((customers, products)) < 0.8
        )
        first = group * customers
        counts[first : first + 4, columns] = 1 + np.arange(products) % 3
        counts[first, group * products] = 0
    return counts
