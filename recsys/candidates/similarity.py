"""Similarities between the rows of a sparse matrix: the K strongest of each, computed by blocks.

Memory is bounded by a block of rows times the number of rows; the dense square is never made.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from implicit.nearest_neighbours import all_pairs_knn
from numpy.typing import NDArray
from scipy import sparse

from recsys.candidates.base import tastes
from recsys.candidates.choosing import best
from recsys.settings import CandidateSettings, Similarity

BLOCK = 256
LEAST_SPREAD = 1e-9  # below it, what differs is rounding
Floats = NDArray[np.float64]
_Found = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]


def neighbours(
    interest: sparse.csr_array,
    similarity: Similarity,
    k: int,
    settings: CandidateSettings,
    threads: int,
    *,
    asked: NDArray[np.int32] | None = None,
    pool: NDArray[np.int32] | None = None,
) -> sparse.csr_array:
    """Return the k most similar other rows of each row.

    Args:
        interest: (n, d) positive where a row has a column: decayed events. Cosine and Pearson take their logarithm;
            TF-IDF, BM25 and conditional probability dampen repetitions in their own ways.
        similarity: which.
        k: neighbours kept of a row.
        settings: give the similarities' parameters.
        threads: each row is computed by one thread, so the result doesn't depend on their number.
        asked: the rows whose neighbours are wanted, ascending; all if None. Others may have some, too.
        pool: the rows that may be neighbours, ascending; all if None. Pearson and conditional probability know
            neither and compare all rows.

    Returns:
        (n, n) float32 with at most k positive entries a row (of equal ones: the lower column) and an empty diagonal.
    """
    if similarity == "pearson":
        return pearson_neighbours(tastes(interest), k, settings.pearson_shrinkage)
    if similarity == "conditional":
        return conditional_neighbours(
            interest, k, threads, damping=settings.conditional_damping, shrinkage=settings.conditional_shrinkage
        )
    weigh: dict[str, Callable[[], sparse.csr_array]] = {
        "cosine": lambda: normalised(tastes(interest)),
        "tfidf": lambda: normalised(tfidf(interest)),
        "bm25": lambda: bm25(interest, settings.bm25_k1, settings.bm25_b),
    }
    weighed = weigh[similarity]()
    if asked is None and pool is None:
        return strongest_products(weighed, k, threads)
    everything = np.arange(weighed.shape[0], dtype=np.int32)
    return strongest_among(
        weighed, k, everything if asked is None else asked, everything if pool is None else pool, threads
    )


def row_sums(matrix: sparse.csr_array) -> Floats:
    """Return the sum of each row."""
    return np.asarray(matrix.sum(axis=1), np.float64).ravel()


def scaled(matrix: sparse.csr_array, factors: Floats) -> sparse.csr_array:
    """Multiply each row by its factor."""
    return sparse.csr_array(sparse.diags_array(factors) @ matrix)


def inverse(values: Floats) -> Floats:
    """Return 1 / value, and zero for zero."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)


def normalised(matrix: sparse.csr_array) -> sparse.csr_array:
    """Scale each row to length one; empty rows stay empty."""
    return scaled(matrix.astype(np.float64), inverse(np.sqrt(row_sums(matrix.multiply(matrix)))))


def inverse_frequency(matrix: sparse.csr_array) -> Floats:
    """Return ln(n / (1 + rows that have it)) of each column, zero at least: who buys everything says little.

    n counts the rows that have anything, so that customers without history change nothing.
    """
    held = np.bincount(matrix.indices, minlength=matrix.shape[1])
    return np.asarray(np.maximum(np.log(max(rows_with_any(matrix), 1)) - np.log1p(held), 0.0))


def rows_with_any(matrix: sparse.csr_array) -> int:
    """Return the number of rows that are not empty."""
    return int(np.count_nonzero(np.diff(matrix.indptr)))


def tfidf(matrix: sparse.csr_array) -> sparse.csr_array:
    """Weigh entries by sqrt(value) times the column's inverse frequency."""
    result = matrix.astype(np.float64)
    result.data = np.sqrt(result.data) * inverse_frequency(matrix)[result.indices]
    return result


def bm25(matrix: sparse.csr_array, k1: float, b: float) -> sparse.csr_array:
    """Weigh entries by BM25 (Robertson, Zaragoza 2009), rows as documents and columns as terms.

    With L the row's sum over the mean of the rows that have anything::

        value (k1 + 1) / (k1 (1 - b + b L) + value) * inverse frequency of the column
    """
    result = matrix.astype(np.float64)
    sums = row_sums(matrix)
    norm = 1 - b + b * sums * (rows_with_any(matrix) / max(sums.sum(), 1e-300))
    row = np.repeat(np.arange(len(sums)), np.diff(matrix.indptr))
    result.data *= (k1 + 1) / (k1 * norm[row] + result.data) * inverse_frequency(matrix)[result.indices]
    return result


def conditional_neighbours(
    matrix: sparse.csr_array, k: int, threads: int, *, damping: float, shrinkage: float
) -> sparse.csr_array:
    """Return the k other rows that most likely have what a row has (Deshpande, Karypis 2004).

    With |a| the columns that row a has and ab those that both have::

        sim(a -> b) = |ab| / ((|a| + shrinkage) |b|^damping)

    which is the probability that a column of a is one of b too, less for rows that have many anyway: with damping 1
    it is the lift up to a factor. ``shrinkage`` columns more keep rows with few from being sure.
    """
    has = matrix.astype(np.float64)
    has.data = np.ones_like(has.data)
    size = row_sums(has)
    damped = size**damping
    # Scaling both sides by the root keeps the product symmetric; what is too much is taken back row by row.
    pairs = strongest_products(scaled(has, inverse(damped)), k, threads)
    return scaled(pairs, damped * inverse(size + shrinkage)).astype(np.float32)


def capped(matrix: sparse.csr_array, most: int) -> sparse.csr_array:
    """Keep of each column its ``most`` largest entries (of equal ones: the lower row).

    Pairs of rows grow with the square of a column's entries; a column that nearly every row has tells little.
    """
    columns = sparse.csc_array(matrix)
    columns.sort_indices()
    kept = np.ones(columns.nnz, bool)
    for column in np.flatnonzero(np.diff(columns.indptr) > most):
        span = slice(columns.indptr[column], columns.indptr[column + 1])
        order = best(columns.data[span], columns.indices[span], most)
        kept[span] = False
        kept[columns.indptr[column] + order] = True
    if kept.all():
        return matrix
    number = np.repeat(np.arange(matrix.shape[1]), np.diff(columns.indptr))
    parts = (columns.data[kept], (columns.indices[kept], number[kept]))
    return sparse.csr_array(parts, shape=matrix.shape)


def cosine_columns(matrix: sparse.csr_array, k: int, threads: int) -> sparse.csr_array:
    """Return the k columns most similar to each column by cosine, as :func:`neighbours` does of the transpose.

    Columns are not put in the order of rows first: what is held beside the matrix is its values, weighed.

    Args:
        matrix: (d, n) float32, non-negative; its places are shared.
        k: neighbours kept of a column.
        threads: see :func:`neighbours`.
    """
    squares = sparse.csr_array((matrix.data**2, matrix.indices, matrix.indptr), shape=matrix.shape)
    length = np.sqrt(row_sums(sparse.csr_array(squares.T)))  # the sums that rows have, to the last bit
    del squares
    values = matrix.data * inverse(length)[matrix.indices]
    return _strongest_columns(
        sparse.csr_matrix((values, matrix.indices, matrix.indptr), shape=matrix.shape), k, threads
    )


def strongest_products(matrix: sparse.csr_array, k: int, threads: int) -> sparse.csr_array:
    """Return the k largest positive products of each row with others: matrix times its transpose, by rows."""
    return _strongest_columns(sparse.csr_matrix(matrix.T), k, threads)


def _strongest_columns(columns: sparse.csr_matrix, k: int, threads: int) -> sparse.csr_array:
    columns.indptr, columns.indices = (part.astype(np.int32, copy=False) for part in (columns.indptr, columns.indices))
    pairs = all_pairs_knn(columns, k + 1, num_threads=threads, show_progress=False)
    return strongest([pairs.tocsr()], k, columns.shape[1])


def strongest_among(
    matrix: sparse.csr_array, k: int, asked: NDArray[np.int32], pool: NDArray[np.int32], threads: int
) -> sparse.csr_array:
    """Return the k largest positive products of some rows with the others of a pool, by blocks of rows.

    The cost is that of the rows asked and of the pool: it does not grow with the square of the rows.

    Args:
        matrix: (n, d).
        k: entries kept of a row.
        asked: rows, ascending.
        pool: rows, ascending.
        threads: blocks that are computed at once.

    Returns:
        (n, n) float32: entries in the rows asked and the columns of the pool, the diagonal left out (of equal ones:
        the lower column).
    """
    others = sparse.csr_array(matrix[pool].T)

    def compare(start: int) -> _Found:
        rows = asked[start : start + BLOCK]
        block = sparse.csr_array(matrix[rows] @ others)
        column, value = pool[block.indices], block.data
        row = np.repeat(rows, np.diff(block.indptr))
        usable = (value > 0) & (column != row)
        row, column, value = row[usable], column[usable], value[usable]
        edges = np.searchsorted(row, np.append(rows, rows[-1] + 1))
        kept = [low + np.sort(best(value[low:high], column[low:high], k)) for low, high in pairwise(edges)]
        chosen = np.concatenate(kept)
        return np.asarray([len(one) for one in kept], np.int32), column[chosen], value[chosen].astype(np.float32)

    with ThreadPoolExecutor(threads) as workers:
        found = list(workers.map(compare, range(0, len(asked), BLOCK)))
    none: list[_Found] = [(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))]
    counts, column, value = (np.concatenate(parts) for parts in zip(*none, *found, strict=True))
    indptr = np.zeros(matrix.shape[0] + 1, np.int32)
    indptr[asked + 1] = counts
    result = sparse.csr_array((value, column, np.cumsum(indptr, dtype=np.int32)), shape=(len(indptr) - 1,) * 2)
    result.sort_indices()
    return result


def strongest(blocks: Iterable[sparse.csr_array], k: int, n: int) -> sparse.csr_array:
    """Return the k largest positive entries of each row, the diagonal left out (of equal ones: the lower column).

    Args:
        blocks: consecutive rows of an (n, n) matrix.
        k: entries kept of a row.
        n: rows and columns in all.
    """
    parts: list[_Found] = [(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))]
    first = 0
    for block in blocks:
        rows = np.repeat(np.arange(first, first + block.shape[0], dtype=np.int32), np.diff(block.indptr))
        usable = (block.data > 0) & (block.indices != rows)
        row, column, value = rows[usable], block.indices[usable].astype(np.int32), block.data[usable]
        edges = np.append(0, np.cumsum(np.bincount(row - first, minlength=block.shape[0])))
        kept = np.ones(len(row), bool)
        for long in np.flatnonzero(np.diff(edges) > k).tolist():
            span = slice(edges[long], edges[long + 1])
            kept[span] = False
            kept[edges[long] + best(value[span], column[span], k)] = True
        parts.append((row[kept], column[kept], value[kept].astype(np.float32)))
        first += block.shape[0]
    row, column, value = (np.concatenate(some) for some in zip(*parts, strict=True))
    indptr = np.append(0, np.cumsum(np.bincount(row, minlength=n))).astype(np.int32)
    result = sparse.csr_array((value, column, indptr), shape=(n, n))
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
    values = matrix.astype(np.float64)
    values.eliminate_zeros()
    value = values.data

    def valued(data: NDArray[np.number]) -> sparse.csr_array:
        return sparse.csr_array((data, values.indices, values.indptr), shape=values.shape)

    # Two sums travel as one complex number, so that four products give six sums.
    x, xx, one = valued(value + 1j), valued(value**2), valued(np.ones_like(value))
    right = tuple(valued(data).T.tocsr() for data in (np.ones_like(value), value + 1j * value**2, value))

    def block(rows: slice) -> sparse.csr_array:
        # All are positive where both rows have the column, so the products have the same entries in the same order.
        common = x[rows] @ right[0]
        s_x, n = common.data.real, common.data.imag
        s_xx = (xx[rows] @ right[0]).data
        last = (one[rows] @ right[1]).data
        s_y, s_yy = last.real, last.imag
        s_xy = (values[rows] @ right[2]).data
        spread = (n * s_xx - s_x**2) * (n * s_yy - s_y**2)
        root = np.sqrt(np.maximum(spread, LEAST_SPREAD))
        r = np.where(spread > LEAST_SPREAD, (n * s_xy - s_x * s_y) / root * n / (n + shrinkage), 0)
        return sparse.csr_array((r, common.indices, common.indptr), shape=common.shape)

    rows = values.shape[0]
    return strongest((block(slice(start, start + BLOCK)) for start in range(0, rows, BLOCK)), k, rows)
