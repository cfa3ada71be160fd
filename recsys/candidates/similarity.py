"""Similarities between the rows of a sparse matrix, the K strongest of each, computed by blocks.

Memory is bounded by a block of rows times the number of rows; the dense square is never made.
"""

import numpy as np
from implicit.nearest_neighbours import all_pairs_knn
from numpy.typing import NDArray
from scipy import sparse

BLOCK = 256


def normalised(matrix: sparse.csr_array) -> sparse.csr_array:
    """Scale each row to length one; empty rows stay empty."""
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1), dtype=np.float64)).ravel()
    scale = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    return sparse.csr_array(sparse.diags_array(scale) @ matrix).astype(np.float64)


def cosine_neighbours(matrix: sparse.csr_array, k: int, threads: int) -> sparse.csr_array:
    """Return the k most cosine-similar other rows of each row.

    cos(a, b) = a.b / (|a| |b|).

    Args:
        matrix: (n, d) non-negative.
        k: neighbours kept of a row.
        threads: each row is computed by one thread, so the result doesn't depend on their number.

    Returns:
        (n, n) float32 with at most k entries a row and an empty diagonal.
    """
    columns = sparse.csr_matrix(normalised(matrix).T)
    columns.indptr, columns.indices = columns.indptr.astype(np.int32), columns.indices.astype(np.int32)
    pairs = all_pairs_knn(columns, k + 1, num_threads=threads, show_progress=False).tocoo()
    other = pairs.row != pairs.col
    return strongest(pairs.row[other], pairs.col[other], pairs.data[other], matrix.shape[0], k)


def strongest(
    row: NDArray[np.integer], col: NDArray[np.integer], data: NDArray[np.floating], n: int, k: int
) -> sparse.csr_array:
    """Return an (n, n) matrix of the k largest positive entries of each row (equal ones: the lower column)."""
    positive = data > 0
    row, col, data = row[positive], col[positive], data[positive]
    order = np.lexsort((col, -data, row))
    row, col, data = row[order], col[order], data[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    kept = rank < k
    result = sparse.csr_array((data[kept].astype(np.float32), (row[kept], col[kept])), shape=(n, n))
    result.sort_indices()
    return result


def pearson_neighbours(matrix: sparse.csr_array, k: int, shrinkage: float) -> sparse.csr_array:
    """Return the k most Pearson-correlated other rows of each row, over what both have.

    With C the columns where both rows are non-zero, n = |C| and sums over C::

        r = (n Sxy - Sx Sy) / sqrt((n Sxx - Sx^2) (n Syy - Sy^2))

    and the similarity is ``r * n / (n + shrinkage)``: ``shrinkage`` common columns halve it, so that two
    rows which share three columns by chance don't count as twins. Only positive ones are kept.

    Args:
        matrix: (n, d) non-negative.
        k: neighbours kept of a row.
        shrinkage: in columns, at least zero.

    Returns:
        (n, n) float32 with at most k entries a row and an empty diagonal.
    """
    values = sparse.csr_array(matrix, dtype=np.float64)
    has, square = values.copy(), values.multiply(values).tocsr()
    has.data = np.ones_like(has.data)
    right = tuple(part.T.tocsr() for part in (values, has, square))
    found = []
    for start in range(0, values.shape[0], BLOCK):
        rows = slice(start, min(start + BLOCK, values.shape[0]))
        row, col, r = _pearson_block((values[rows], has[rows], square[rows]), right, shrinkage)
        other = row + start != col
        block = strongest(row[other], col[other], r[other], values.shape[0], k).tocoo()
        found.append((block.row + start, block.col, block.data))
    row, col, r = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return strongest(row, col, r, values.shape[0], k)


Parts = tuple[sparse.csr_array, sparse.csr_array, sparse.csr_array]


def _pearson_block(
    left: Parts, right: Parts, shrinkage: float
) -> tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.float64]]:
    values, has, square = left
    values_t, has_t, square_t = right

    def product(a: sparse.csr_array, b: sparse.csr_array) -> sparse.csr_array:
        result = (a @ b).tocsr()
        result.sort_indices()
        return result

    # All factors are positive where they are not empty, so the five products have the same entries.
    common = product(has, has_t)
    n = common.data
    s_x, s_y = product(values, has_t).data, product(has, values_t).data
    s_xx, s_yy = product(square, has_t).data, product(has, square_t).data
    s_xy = product(values, values_t).data
    spread = (n * s_xx - s_x**2) * (n * s_yy - s_y**2)
    usable = spread > 1e-9
    r = np.divide(n * s_xy - s_x * s_y, np.sqrt(np.maximum(spread, 1e-9)), out=np.zeros_like(n), where=usable)
    row = np.repeat(np.arange(common.shape[0]), np.diff(common.indptr))
    return row, common.indices, r * n / (n + shrinkage)
