"""Makes one list of candidates a customer from the generators' proposals, by the placement's method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recsys import columns as c
from recsys.fusion import rrf, rules, scores, union
from recsys.fusion.base import Method, Proposed
from recsys.settings import PlacementSettings

METHODS: dict[str, Method] = {
    "rrf": rrf.METHOD,
    "scores": scores.METHOD,
    "rules": rules.METHOD,
    "union": union.METHOD,
}
BLOCK = 4096  # customers whose proposals are held at once, and the most whose are fused together
# Of a number that sorts proposals by customer (the rest: 12 bits), product, generator and rank.
_ITEM_BITS, _GENERATOR_BITS, _RANK_BITS = 31, 6, 15


@dataclass(frozen=True)
class Voted:
    """What was proposed to customers, once a customer and product, in the order of both.

    Attributes:
        user_idx: (r,) int32.
        item_idx: (r,) int32.
        scores: (r, g) each generator's, NaN where it did not propose the product.
        ranks: (r, g) from 1, 0 where it did not.
        votes: (r, g) NaN where it did not, or has no vote.
    """

    user_idx: NDArray[np.int32]
    item_idx: NDArray[np.int32]
    scores: NDArray[np.float32]
    ranks: NDArray[np.int16]
    votes: NDArray[np.float64]


@dataclass(frozen=True)
class Candidates:
    """What fusion keeps, by customer and fused rank.

    Attributes:
        user_idx: (r,) int32.
        item_idx: (r,) int32.
        scores: (r, g) each generator's, NaN where it did not propose the product.
        ranks: (r, g) from 1, 0 where it did not.
        fused_score: (r,) higher is better.
        fused_rank: (r,) from 1 (equal scores: the lower item_idx).
    """

    user_idx: NDArray[np.int32]
    item_idx: NDArray[np.int32]
    scores: NDArray[np.float32]
    ranks: NDArray[np.int16]
    fused_score: NDArray[np.float64]
    fused_rank: NDArray[np.int64]

    def take(self, rows: NDArray[np.intp]) -> "Candidates":
        """Return some rows."""
        return Candidates(*(getattr(self, field.name)[rows] for field in fields(self)))

    def table(self, generators: Sequence[str]) -> pa.Table:
        """Return them as columns; null where a generator did not propose the product."""
        columns = {c.USER_IDX: self.user_idx, c.ITEM_IDX: self.item_idx}
        for number, name in enumerate(generators):
            missing = self.ranks[:, number] == 0
            columns[f"{name}_score"] = pa.array(self.scores[:, number], pa.float32(), mask=missing)
            columns[f"{name}_rank"] = pa.array(self.ranks[:, number], pa.int16(), mask=missing)
        return pa.table(columns | {"fused_score": self.fused_score, "fused_rank": self.fused_rank})


def fuse(
    connection: duckdb.DuckDBPyConnection,
    proposals: Mapping[str, Path],
    generators: Sequence[str],
    placement: PlacementSettings,
) -> None:
    """Make the table ``candidates`` from the generators' proposals.

    One row a customer and product: each generator's ``<name>_score`` and ``<name>_rank`` (null where it did
    not propose the product), ``fused_score`` and ``fused_rank`` from 1 (ties: the lower item_idx).

    Args:
        connection: where the table is made; fusion by rules may need its views, see ``recsys.fusion.rules``.
        proposals: Parquet file of each generator, columns user_idx, item_idx, score, rank.
        generators: the recipe's; one without proposals gets empty columns.
        placement: says the method, the generators' weights (1 where absent) and how many candidates of a
            customer are kept.
    """
    files = [pq.read_table(path, columns=[c.USER_IDX])[c.USER_IDX].to_numpy() for path in proposals.values()]
    users = np.unique(np.concatenate(files))
    made = "create or replace temp table candidates as"
    for start in range(0, max(len(users), 1), BLOCK):
        proposed = read_proposed(proposals, generators, users[start : start + BLOCK])
        found = fused(proposed, generators, placement, connection)
        connection.register("fused_block", found.table(generators))
        connection.execute(f"{made} select * from fused_block")
        connection.unregister("fused_block")
        made = "insert into candidates"


def read_proposed(proposals: Mapping[str, Path], generators: Sequence[str], users: NDArray[np.integer]) -> Proposed:
    """Read what was proposed to the customers from the first to the last of ``users``, which are ascending."""
    span = [(c.USER_IDX, ">=", int(users[0])), (c.USER_IDX, "<=", int(users[-1]))] if len(users) else None
    tables = {name: pq.read_table(path, filters=span) for name, path in proposals.items()}
    number = np.repeat([generators.index(name) for name in tables], [len(table) for table in tables.values()])

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([table[name].to_numpy() for table in tables.values()])

    return Proposed(
        column(c.USER_IDX).astype(np.int32),
        column(c.ITEM_IDX).astype(np.int32),
        column(c.SCORE).astype(np.float32),
        column(c.RANK).astype(np.int16),
        number.astype(np.intp),
    )


def vote(
    proposed: Proposed,
    generators: Sequence[str],
    placement: PlacementSettings,
    connection: duckdb.DuckDBPyConnection,
) -> Voted:
    """Let the generators vote by the placement's method."""
    key, proposed = _sorted(proposed, len(generators))
    votes = METHODS[placement.fusion].votes(proposed, generators, placement, connection)
    is_first = np.r_[True, key[1:] != key[:-1]] if len(key) else np.empty(0, bool)
    first = np.flatnonzero(is_first)
    at = (np.cumsum(is_first) - 1) * len(generators) + proposed.generator
    shape = (len(first), len(generators))
    found = Voted(
        proposed.user_idx[first],
        proposed.item_idx[first],
        np.full(shape, np.nan, np.float32),
        np.zeros(shape, np.int16),
        np.full(shape, np.nan),
    )
    found.scores.ravel()[at] = proposed.score
    found.ranks.ravel()[at] = proposed.rank
    found.votes.ravel()[at] = votes
    return found


def _sorted(proposed: Proposed, generators: int) -> tuple[NDArray[np.uint64], Proposed]:
    """Return proposals by customer, product and generator, and (p,) a number of the first two.

    One sort of numbers that hold all but the score, which is looked up again: that is faster than to sort positions.
    """
    users = np.unique(proposed.user_idx)
    user = np.searchsorted(users, proposed.user_idx)
    scores = np.empty((generators, len(users), int(proposed.rank.max(initial=0)) + 1), np.float32)
    scores[proposed.generator, user, proposed.rank] = proposed.score
    key = user.astype(np.uint64)
    for part, bits in (
        (proposed.item_idx, _ITEM_BITS),
        (proposed.generator, _GENERATOR_BITS),
        (proposed.rank, _RANK_BITS),
    ):
        key = (key << np.uint64(bits)) | part.astype(np.uint64)
    key.sort()
    rank, generator = _low(key, _RANK_BITS), _low(key >> np.uint64(_RANK_BITS), _GENERATOR_BITS)
    pair = key >> np.uint64(_RANK_BITS + _GENERATOR_BITS)
    item, user = _low(pair, _ITEM_BITS), (pair >> np.uint64(_ITEM_BITS)).astype(np.intp)
    return pair, Proposed(
        users[user], item.astype(np.int32), scores[generator, user, rank], rank.astype(np.int16), generator
    )


def _low(key: NDArray[np.uint64], bits: int) -> NDArray[np.intp]:
    return (key & np.uint64((1 << bits) - 1)).astype(np.intp)


def fused(
    proposed: Proposed,
    generators: Sequence[str],
    placement: PlacementSettings,
    connection: duckdb.DuckDBPyConnection,
) -> Candidates:
    """Return the candidates that the placement's method makes of proposals (see :func:`fuse`)."""
    voted = vote(proposed, generators, placement, connection)
    score = _combined(voted.votes, generators, placement)
    rows, rank = _best(voted.user_idx, score, placement.fused)
    return Candidates(
        voted.user_idx[rows], voted.item_idx[rows], voted.scores[rows], voted.ranks[rows], score[rows], rank
    )


def _combined(
    votes: NDArray[np.float64], generators: Sequence[str], placement: PlacementSettings
) -> NDArray[np.float64]:
    """Return (r,) what the votes make of each product; one generator after the other, so that sums are the same."""
    method = METHODS[placement.fusion]
    found = np.zeros(len(votes)) if method.combine == "sum" else np.full(len(votes), np.nan)
    for number, name in enumerate(generators):
        weight = float(placement.weights.get(name, 1.0)) if method.is_weighted else 1.0
        weighted = weight * votes[:, number]
        found = found + np.nan_to_num(weighted) if method.combine == "sum" else np.fmax(found, weighted)
    return found


def _best(
    user_idx: NDArray[np.int32], score: NDArray[np.float64], k: int
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Return the positions of each customer's k highest scores (equal ones: the first), and their ranks from 1."""
    if not len(user_idx):
        return np.empty(0, np.intp), np.empty(0, np.int64)
    start = np.flatnonzero(np.r_[True, user_idx[1:] != user_idx[:-1]])
    count = np.diff(np.r_[start, len(user_idx)])
    laid = np.full((len(start), int(count.max())), np.inf)
    laid[np.arange(laid.shape[1]) < count[:, None]] = -score
    order = np.argsort(laid, axis=1, kind="stable")[:, :k]
    kept = np.arange(order.shape[1]) < count[:, None]
    return (start[:, None] + order)[kept], np.nonzero(kept)[1] + 1
