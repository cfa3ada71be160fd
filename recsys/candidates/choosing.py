"""The best k products of each customer of a block, whatever the scores look like: chosen for all of them at once.

Each score becomes one whole number that sorts by customer, then by score (best first), then by product. So one sort of
numbers does what would otherwise be done customer by customer.
"""

from collections.abc import Sequence
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
_PIECE: Final = 128  # products whose highest score is looked at together


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


def choose(
    scores: Scores, history: History, users: NDArray[np.int32], k: int, variants: Sequence[bool]
) -> tuple[Proposals, ...]:
    """Return the best k products of each customer; of equal scores, the lower column.

    Args:
        scores: (b, m) see ``Generator.scores``.
        history: holds the customers' rows.
        users: (b,) rows of the history, 256 at most.
        k: products a customer, at most.
        variants: whether products that the customer had an event with may be chosen; what is returned is one of each.
    """
    seen = None if all(variants) else history.seen[users]
    wanted = np.full(len(users), k) if seen is None else k + np.diff(seen.indptr)
    found = _sorted(_likely(scores, wanted))
    new = found if seen is None else found.where(~_has(seen, found.row, found.column))
    return tuple(_first(found if repeats else new, history, users, k) for repeats in variants)


def _first(found: _Entries, history: History, users: NDArray[np.int32], k: int) -> Proposals:
    """Return the first k of each customer's sorted entries."""
    start = np.searchsorted(found.row, np.arange(len(users)))
    rank = np.arange(len(found.row)) - start[found.row] + 1
    kept = np.flatnonzero(rank <= k)
    return Proposals(
        user_idx=users[found.row[kept]].astype(np.int32),
        item_idx=history.items[found.column[kept]],
        score=found.score[kept],
        rank=rank[kept].astype(np.int16),
    )


def _likely(scores: Scores, wanted: NDArray[np.integer]) -> _Entries:
    """Return the entries that may be among so many best ones of each customer, and others."""
    if not isinstance(scores, np.ndarray):
        return _of_sparse(scores, wanted)
    if not scores.size or scores.strides[0]:
        return _of_dense(scores, wanted)
    # The same to everyone: what nobody can reach is left out.
    columns = np.arange(scores.shape[1], dtype=np.int32)
    columns = np.sort(best(np.where(np.isfinite(scores[0]), scores[0], -np.inf), columns, int(wanted.max())))
    found = _above(scores[:, columns], np.full(len(scores), -np.inf, np.float32))
    return _Entries(found.row, columns[found.column].astype(np.intp), found.score)


def _of_sparse(scores: sparse.csr_array, wanted: NDArray[np.integer]) -> _Entries:
    lengths = np.diff(scores.indptr)
    least = np.zeros(len(lengths), scores.dtype)
    for long in np.flatnonzero(lengths > 2 * wanted).tolist():
        values, place = scores.data[scores.indptr[long] : scores.indptr[long + 1]], lengths[long] - wanted[long]
        least[long] = max(np.partition(values, place)[place], 0)
    kept = np.flatnonzero((scores.data >= np.repeat(least, lengths)) & (scores.data > 0))
    row = np.searchsorted(scores.indptr, kept, side="right") - 1
    return _Entries(row, scores.indices[kept].astype(np.intp), scores.data[kept].astype(np.float32))


def _of_dense(scores: Floats, wanted: NDArray[np.integer]) -> _Entries:
    """Look for them piece by piece: where the highest score doesn't reach what so many pieces' do, there is none."""
    width = int(np.clip(scores.shape[1] // (2 * wanted.max(initial=1)), 1, _PIECE))
    pieces = scores.shape[1] // width
    if pieces < wanted.max(initial=1):
        return _above(scores, np.full(len(scores), -np.inf, np.float32))
    whole = scores[:, : pieces * width].reshape(len(scores), pieces, width)
    highest = whole.max(axis=2)
    if not (highest < np.inf).all():  # not numbers, or infinite: they are never chosen, so they may bound nothing
        highest = np.where(np.isfinite(whole), whole, -np.inf).max(axis=2)
    least = np.sort(highest, axis=1)[np.arange(len(scores)), pieces - wanted]
    row, piece = np.nonzero(highest >= least[:, None])
    of_pieces = _above(whole[row, piece], least[row])
    column = piece[of_pieces.row] * width + of_pieces.column
    rest = _above(scores[:, pieces * width :], least)
    return _Entries(
        np.concatenate([row[of_pieces.row], rest.row]),
        np.concatenate([column, rest.column + pieces * width]),
        np.concatenate([of_pieces.score, rest.score]),
    )


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


def _sorted(found: _Entries) -> _Entries:
    """Return entries by row, score (highest first) and column."""
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
    return _Entries(row, column, bits.view(np.float32))
