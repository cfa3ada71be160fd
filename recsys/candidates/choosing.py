"""The best k products of each customer of a block, whatever the scores look like: chosen for all of them at once.

Each score becomes one whole number that sorts by customer, then by score (best first), then by product. So one sort of
numbers does what would otherwise be done customer by customer.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.history import History

Scores: TypeAlias = sparse.csr_array | NDArray[np.float32]
Floats: TypeAlias = NDArray[np.float32]
_PRODUCT_BITS: Final = 24  # of a number: so many products can be told apart, 16 million
_SCORE_BITS: Final = 32
_SIGN: Final = np.uint32(1 << 31)
_PIECE: Final = 128  # products whose highest score is looked at together, at most
_PIECES: Final = 2  # of them for each product that is chosen, at least: the bound is sharp


@dataclass(frozen=True)
class Proposals:
    """Products proposed to customers, by customer and rank.

    Attributes:
        user_idx: (r,) int32 rows of the history.
        item_idx: (r,) int32 products.
        score: (r,) float32, higher is better; comparable within one customer only.
        rank: (r,) int16 from 1.
    """

    user_idx: NDArray[np.int32]
    item_idx: NDArray[np.int32]
    score: NDArray[np.float32]
    rank: NDArray[np.int16]


@dataclass(frozen=True)
class _Entries:
    """Scored products: (e,) the customer's row in the block, the product's column and the score."""

    row: NDArray[np.intp]
    column: NDArray[np.intp]
    score: Floats

    def where(self, kept: NDArray[np.bool_]) -> "_Entries":
        return _Entries(self.row[kept], self.column[kept], self.score[kept])


def best(scores: NDArray[np.float32], columns: NDArray[np.int32], k: int) -> NDArray[np.intp]:
    """Return positions of the k highest scores, best first; equal scores in the order of ``columns``."""
    if len(scores) > k:
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        kept = np.flatnonzero(scores >= least)
    else:
        kept = np.arange(len(scores))
    order = np.lexsort((columns[kept], -scores[kept]))[:k]
    return kept[order]


def choose(scores: Scores, history: History, users: NDArray[np.int32], k: int, *, repeats: bool) -> Proposals:
    """Return the best k products of each customer; of equal scores, the lower column.

    Args:
        scores: (b, m) see ``Generator.scores``.
        history: holds the customers' rows.
        users: (b,) rows of the history, 256 at most.
        k: products a customer, at most.
        repeats: whether products that the customer had an event with may be chosen.
    """
    seen = None if repeats else history.seen[users]
    is_dense = isinstance(scores, np.ndarray)
    found = _of_dense(scores, seen, k) if is_dense else _of_sparse(scores, seen, k)
    row, column, score = _sorted(found)
    first = np.searchsorted(row, row)
    rank = np.arange(len(row)) - first + 1
    kept = rank <= k
    return Proposals(
        user_idx=users[row[kept]].astype(np.int32),
        item_idx=history.items[column[kept]],
        score=score[kept],
        rank=rank[kept].astype(np.int16),
    )


def _of_sparse(scores: sparse.csr_array, seen: sparse.csr_array | None, k: int) -> _Entries:
    """Return the entries that may be among the best k of each customer."""
    lengths = np.diff(scores.indptr)
    wanted = np.full(len(lengths), k) if seen is None else k + np.diff(seen.indptr)
    least = np.zeros(len(lengths), scores.dtype)
    for long in np.flatnonzero(lengths > 2 * wanted).tolist():
        values, place = scores.data[scores.indptr[long] : scores.indptr[long + 1]], lengths[long] - wanted[long]
        least[long] = max(np.partition(values, place)[place], 0)
    row = np.repeat(np.arange(len(lengths)), lengths)
    kept = (scores.data >= least[row]) & (scores.data > 0)
    found = _Entries(row[kept], scores.indices[kept].astype(np.intp), scores.data[kept].astype(np.float32))
    return found if seen is None else found.where(~_has(seen, found.row, found.column))


def _of_dense(scores: Floats, seen: sparse.csr_array | None, k: int) -> _Entries:
    """Return the entries that may be among the best k of each customer."""
    most = 0 if seen is None else int(np.diff(seen.indptr).max(initial=0))
    columns = np.arange(scores.shape[1], dtype=np.int32)
    if scores.strides[0] == 0 and len(scores):  # the same to everyone: what nobody can reach is left out
        columns = np.sort(best(np.where(np.isfinite(scores[0]), scores[0], -np.inf), columns, k + most))
        scores = scores[:, columns]
        found = _above(scores, np.full(len(scores), -np.inf, np.float32))
        found = _Entries(found.row, columns[found.column].astype(np.intp), found.score)
        return found if seen is None else found.where(~_has(seen, found.row, found.column))
    if seen is not None:
        scores = scores.copy()
        scores[np.repeat(np.arange(len(scores)), np.diff(seen.indptr)), seen.indices] = -np.inf
    return _above(scores, _least(scores, k))


def _least(scores: Floats, k: int) -> Floats:
    """Return (b,) a bound that at least k scores of each row reach: the k-th highest of the pieces' highest."""
    piece = max(1, min(_PIECE, scores.shape[1] // (_PIECES * k)))
    pieces = scores.shape[1] // piece
    if pieces < k:
        return np.full(len(scores), -np.inf, np.float32)
    whole = scores[:, : pieces * piece].reshape(len(scores), pieces, piece)
    highest = whole.max(axis=2)
    if not (highest < np.inf).all():  # not numbers, or infinite: they are never chosen, so they may bound nothing
        highest = np.where(np.isfinite(whole), whole, -np.inf).max(axis=2)
    return np.asarray(np.partition(highest, pieces - k, axis=1)[:, pieces - k])


def _above(scores: Floats, least: Floats) -> _Entries:
    """Return the finite scores that reach their row's bound."""
    row, column = np.nonzero((scores >= least[:, None]) & (scores > -np.inf) & (scores < np.inf))
    return _Entries(row, column, scores[row, column].astype(np.float32))


def _has(matrix: sparse.csr_array, row: NDArray[np.intp], column: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Tell which places of a matrix have an entry."""
    width = matrix.shape[1]
    held = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)) * width + matrix.indices
    held.sort()
    asked = row * width + column
    at = np.minimum(np.searchsorted(held, asked), max(len(held) - 1, 0))
    return held[at] == asked if len(held) else np.zeros(len(asked), bool)


def _sorted(found: _Entries) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Return rows, columns and scores by row, score (highest first) and column."""
    # Adding zero makes the two zeros one. Flipped like this, the bits of floats are in the order of their values.
    bits = (found.score + np.float32(0)).view(np.uint32)
    rising = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    key = found.row.astype(np.uint64) << np.uint64(_SCORE_BITS + _PRODUCT_BITS)
    key |= (~rising).astype(np.uint64) << np.uint64(_PRODUCT_BITS)
    key |= found.column.astype(np.uint64)
    key.sort()
    rising = ~(key >> np.uint64(_PRODUCT_BITS)).astype(np.uint32)
    bits = np.where(rising & _SIGN, rising & ~_SIGN, ~rising)
    row = (key >> np.uint64(_SCORE_BITS + _PRODUCT_BITS)).astype(np.intp)
    column = (key & np.uint64((1 << _PRODUCT_BITS) - 1)).astype(np.intp)
    return row, column, bits.view(np.float32)
