"""EASE: the linear model that best rebuilds each customer's products from their other ones (Steck 2019)."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack
from threadpoolctl import threadpool_limits

from recsys.candidates.base import BECAUSE, tastes
from recsys.candidates.item_to_item import ItemToItem, pairs_in
from recsys.errors import ContractError
from recsys.history import History
from recsys.settings import Settings

BLOCK = 512


class EASE(ItemToItem):
    """Scores a product by weights learned for all pairs of the products with most events.

    With G = X'X of the customers' tastes and P = (G + l2 I)^-1 the weights are B = -P / diag(P), zero on the diagonal.
    The square of the chosen products is dense while it is fitted: 4 bytes x ``ease_items`` squared. Of each product
    the ``ease_weights`` strongest weights are kept, those below zero too.
    """

    name = "ease"
    sentence = f"Often bought by customers who, like you, bought {BECAUSE}."

    def fit(self, history: History, settings: Settings) -> None:
        """Invert the products' Gram matrix. One BLAS thread: more of them would change the last digits."""
        chosen = settings.candidates
        rows = tastes(history.interest)
        events = np.bincount(rows.indices, minlength=rows.shape[1])
        columns = np.sort(np.argsort(-events, kind="stable")[: min(chosen.ease_items, int((events > 0).sum()))])
        m = rows.shape[1]
        if not len(columns):
            self.weights = sparse.csr_array((m, m), dtype=np.float32)
            return
        with threadpool_limits(1, "blas"):
            inverse = _inverse(_gram(sparse.csr_array(rows[:, columns])), chosen.ease_l2)
        self.weights = _strongest(inverse, columns, m, chosen.ease_weights)

    def learn_claims(self, history: History) -> None:
        """Find the pairs of products that somebody bought both of: a weight may rest on a third product alone."""
        self.claims = pairs_in(history.purchases, history.purchases, self.weights)


def _gram(x: sparse.csr_array) -> NDArray[np.float32]:
    """Return X'X, densely, filled block by block."""
    gram = np.empty((x.shape[1], x.shape[1]), np.float32, order="F")
    transposed = sparse.csr_array(x.T)
    for start in range(0, x.shape[1], BLOCK):
        gram[:, start : start + BLOCK] = (transposed[start : start + BLOCK] @ x).toarray().T
    return gram


def _inverse(gram: NDArray[np.float32], l2: float) -> NDArray[np.float32]:
    """Return (G + l2 I)^-1 in place of G, by Cholesky.

    Raises:
        ContractError: if the matrix can't be inverted in single precision.
    """
    gram[np.diag_indices_from(gram)] += np.float32(l2)
    factor, failed = lapack.spotrf(gram, lower=1, overwrite_a=1)
    if not failed:
        factor, failed = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise ContractError(f"EASE can't be fitted with so little regularisation: set ease_l2 above {l2:g}.")
    # Only the lower triangle was written.
    for start in range(0, len(factor), BLOCK):
        stop = start + BLOCK
        factor[start:stop, stop:] = factor[stop:, start:stop].T
        corner = factor[start:stop, start:stop]
        corner[:] = np.tril(corner) + np.tril(corner, -1).T
    return np.asarray(factor)


def _strongest(inverse: NDArray[np.float32], columns: NDArray[np.intp], m: int, k: int) -> sparse.csr_array:
    """Return (m, m) the k weights of each product that are farthest from zero (of equal ones: the lower column)."""
    scale = -1 / np.diag(inverse)
    kept = min(k, max(len(columns) - 1, 0))
    rows, cols, values = [], [], []
    for number in range(len(columns)):
        weights = inverse[number] * scale
        weights[number] = 0
        if kept < len(weights):
            least = np.partition(np.abs(weights), len(weights) - kept)[len(weights) - kept] if kept else np.inf
            found = np.flatnonzero((np.abs(weights) >= least) & (weights != 0))
            found = np.sort(found[np.lexsort((found, -np.abs(weights[found])))[:kept]])
        else:
            found = np.flatnonzero(weights)
        rows.append(np.full(len(found), columns[number]))
        cols.append(columns[found])
        values.append(weights[found])
    parts = (np.concatenate(rows), np.concatenate(cols))
    return sparse.csr_array((np.concatenate(values).astype(np.float32), parts), shape=(m, m))
