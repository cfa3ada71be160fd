"""Pairs of two numbers as one, and what a sparse matrix holds of them."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


def pair_keys(first: NDArray[np.integer], second: NDArray[np.integer]) -> NDArray[np.int64]:
    """Pack two numbers from -1 to 2^31 - 1 into one, in the order of the first and then the second."""
    return (first.astype(np.int64) << 32) + second.astype(np.int64)


def values_at(matrix: sparse.csr_array, row: NDArray[np.integer], column: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return (r,) entries of a matrix, 0 where it has none. Its entries are unique."""
    rows = np.unique(row)
    held = matrix[rows].tocoo()
    keys = pair_keys(rows[held.row], held.col)
    order = np.argsort(keys)
    return looked_up(keys[order], held.data[order], pair_keys(row, column))


def looked_up(keys: NDArray[np.int64], values: NDArray[np.floating], asked: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the values of the asked keys, 0 for those that are not among the ascending ``keys``."""
    if not len(keys):
        return np.zeros(asked.shape)
    place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[place] == asked, values[place], 0.0)
