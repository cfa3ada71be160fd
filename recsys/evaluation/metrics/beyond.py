"""What lists are like beyond being right: how much of the range they show, how new, varied and fitting it is.

Those of a customer take ``shown``: (n, k) products by rank, -1 where there is none, and give NaN where a figure is
undefined for a customer, so that nothing is made up for them. Products are numbers from 0 into arrays of (m,).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.evaluation.metrics.lists import NOTHING, Hits, Shown
from recsys.evaluation.metrics.ranking import Values

Groups = NDArray[np.integer]
UNKNOWN = -1  # the group of a product whose category or brand isn't known
SMOOTHING = 0.01  # share of the history's distribution that is mixed into the list's, so that KL is finite


def coverage(item_idx: NDArray[np.integer], catalogue: NDArray[np.integer]) -> float:
    """Return the share of the catalogue that is shown to anybody; 0 of an empty one.

    Args:
        item_idx: (r,) products of all lists.
        catalogue: (m,) products that may be recommended.
    """
    return float(np.isin(catalogue, item_idx).mean()) if len(catalogue) else 0.0


def exposure_gini(item_idx: NDArray[np.integer], catalogue: NDArray[np.integer]) -> float:
    """Return how unevenly lists expose the catalogue: 0, every product alike; near 1, one product alone.

    Gini's coefficient of how often each product of the catalogue is shown, products that are never shown
    included: sum((2 i - m - 1) x_i) / (m sum(x)) over ascending x. NaN if nothing of it is shown.
    """
    place = np.searchsorted(catalogue, item_idx)
    place[place == len(catalogue)] = 0
    known = catalogue[place] == item_idx if len(catalogue) else np.zeros(len(item_idx), bool)
    exposure = np.sort(np.bincount(place[known], minlength=len(catalogue)))
    if not exposure.sum():
        return float("nan")
    ranks = np.arange(1, len(exposure) + 1)
    return float(((2 * ranks - len(exposure) - 1) * exposure).sum() / (len(exposure) * exposure.sum()))


def novelty(shown: Shown, buyers: NDArray[np.integer], customers: int) -> Values:
    """Return the mean self-information of the products shown, in bits (Zhou et al. 2010).

    That of a product is log2(customers / buyers): 0 for what everybody bought, 1 for what half of them did. A
    product that nobody bought counts as bought by one.

    Args:
        shown: (n, k).
        buyers: (m,) customers who had bought each product before.
        customers: of whom there were so many.
    """
    surprise = np.log2(max(customers, 1) / np.maximum(buyers, 1))
    there = shown != NOTHING
    if not there.any():
        return np.full(len(shown), np.nan)
    total = np.where(there, surprise[np.where(there, shown, 0)], 0.0).sum(axis=1)
    return _ratio(total, there.sum(axis=1))


def diversity(shown: Shown, groups: Groups) -> Values:
    """Return the share of pairs of products in a list that are of different groups (Ziegler et al. 2005).

    Products of an unknown group are left out; without a pair it is NaN.

    Args:
        shown: (n, k).
        groups: (m,) group of each product, for example its category or brand; -1 if unknown.
    """
    group = _groups_of(shown, groups)
    pairs, different = np.zeros(len(shown)), np.zeros(len(shown))
    for gap in range(1, shown.shape[1]):
        first, second = group[:, :-gap], group[:, gap:]
        known = (first != UNKNOWN) & (second != UNKNOWN)
        pairs += known.sum(axis=1)
        different += (known & (first != second)).sum(axis=1)
    return _ratio(different, pairs)


def serendipity(hits: Hits, shown: Shown, expected: Shown) -> Values:
    """Return the share of k that is relevant and not in what was expected (Ge et al. 2010).

    Args:
        hits: (n, k) whether the product at each rank was relevant.
        shown: (n, k).
        expected: (n, j) what a plain model, such as popularity, shows the same customers.
    """
    known = np.zeros(shown.shape, bool)
    for column in range(expected.shape[1]):
        known |= shown == expected[:, column, None]
    return np.asarray((hits & ~known).mean(axis=1))


def calibration(shown: Shown, groups: Groups, history: sparse.csr_array) -> Values:
    """Return the divergence of each list's groups from those of the customer's history, in nats: 0 is a perfect fit.

    KL(p || (1 - a) q + a p) with p the history's distribution over groups, q the list's and a = .01 (Steck 2018).
    Products of an unknown group are left out; without a history or without a list it is NaN.

    Args:
        shown: (n, k).
        groups: (m,) group of each product; -1 if unknown.
        history: (n, g) how often each customer had each group before.
    """
    group = _groups_of(shown, groups)
    width = max(int(history.shape[1]), int(group.max(initial=UNKNOWN)) + 1, 1)
    rows = np.broadcast_to(np.arange(len(shown))[:, None], shown.shape)
    known = group != UNKNOWN
    cells, counts = np.unique(rows[known] * width + group[known], return_counts=True)
    taste = history.tocoo()
    user, wanted = taste.coords
    total, length = np.asarray(history.sum(axis=1)).ravel(), known.sum(axis=1)
    positive = taste.data > 0
    user, wanted, weight = user[positive], wanted[positive], taste.data[positive]
    share = weight / total[user]
    cell = user.astype(np.int64) * width + wanted
    place = np.minimum(np.searchsorted(cells, cell), max(len(cells) - 1, 0))
    found = counts[place] * (cells[place] == cell) if len(cells) else np.zeros(len(cell))
    listed = found / np.maximum(length[user], 1)
    terms = share * np.log(share / ((1 - SMOOTHING) * listed + SMOOTHING * share))
    divergence = np.bincount(user, terms, minlength=len(shown))
    return np.where((total > 0) & (length > 0), divergence, np.nan)


def _groups_of(shown: Shown, groups: Groups) -> NDArray[np.int64]:
    there = shown != NOTHING
    if not len(groups):
        return np.full(shown.shape, UNKNOWN, np.int64)
    return np.where(there, groups[np.where(there, shown, 0)], UNKNOWN).astype(np.int64)


def _ratio(total: NDArray[np.floating], count: NDArray[Any]) -> Values:
    return np.asarray(np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0))
