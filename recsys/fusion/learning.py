"""Learns the generators' fusion weights from what customers bought after earlier cuts.

Coordinate ascent: one generator's weight after the other is replaced by the factor of it, of a small grid, that
gives the best figure, until a whole round changes nothing. A change must pay: equal figures keep the weight. It
is deterministic, and needs no gradient, which a figure of ranks doesn't have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys import columns as c
from recsys.compute import fetch_columns
from recsys.fusion.fusing import METHODS, Voted, read_proposed, vote
from recsys.settings import PlacementSettings

CUSTOMERS = 500  # drawn a cut: enough to tell weights apart, and memory has a bound
FACTORS = (0.0, 0.25, 0.5, 0.8, 1.25, 2.0, 4.0)
ROUNDS = 6
K = 10


@dataclass(frozen=True)
class Lesson:
    """What is learned from at one cut: the generators' proposals and the file of what was bought afterwards."""

    proposals: Mapping[str, Path]
    truth: Path


@dataclass(frozen=True)
class _Votes:
    """The candidates of n customers, each row filled up to the same width.

    Attributes:
        votes: (g, n, w) of each generator; 0 where it did not propose the product.
        hits: (n, w) whether the candidate was bought.
        filled: (n, w) whether there is a candidate at all.
        relevant: (n,) products that were bought, candidates or not.
    """

    votes: NDArray[np.float64]
    hits: NDArray[np.bool_]
    filled: NDArray[np.bool_]
    relevant: NDArray[np.int64]


def learn_weights(
    connection: duckdb.DuckDBPyConnection,
    lessons: Sequence[Lesson],
    generators: Sequence[str],
    placement: PlacementSettings,
    seed: int,
) -> dict[str, float]:
    """Return the weight of every generator, the highest being 1.

    The figure is NDCG@10 of the fused list plus the recall of all that fusion keeps for the ranker, averaged over
    customers and cuts.

    Args:
        connection: any; fusion with the placement's method must work on it.
        lessons: cuts that may be learned from: never the one that is measured.
        generators: the recipe's.
        placement: its method, its weights to begin with, how many candidates are kept.
        seed: of the draw of customers.
    """
    begin = np.array([placement.weights.get(name, 1.0) for name in generators])
    parts = [_read(connection, lesson, generators, placement, seed) for lesson in lessons]
    parts = [part for part in parts if len(part.relevant)]
    if parts:
        begin = _ascend(begin, parts, placement)
    highest = begin.max() or 1.0
    return {name: round(float(weight / highest), 6) for name, weight in zip(generators, begin, strict=True)}


def _ascend(weights: NDArray[np.float64], parts: Sequence[_Votes], placement: PlacementSettings) -> NDArray[np.float64]:
    best = _figure(weights, parts, placement)
    for _ in range(ROUNDS):
        before = best
        for position in range(len(weights)):
            start = weights[position] or weights.max()
            for factor in FACTORS:
                tried = weights.copy()
                tried[position] = start * factor
                found = _figure(tried, parts, placement)
                if found > best + 1e-9:
                    weights, best = tried, found
        if best == before:
            break
    return weights


def _figure(weights: NDArray[np.float64], parts: Sequence[_Votes], placement: PlacementSettings) -> float:
    values = [_figures(weights, part, placement) for part in parts]
    return float(np.concatenate(values).mean())


def _figures(weights: NDArray[np.float64], part: _Votes, placement: PlacementSettings) -> NDArray[np.float64]:
    score = np.zeros(part.filled.shape)
    # One generator after the other, since a matrix product may add in another order on another machine.
    for weight, votes in zip(weights, part.votes, strict=True):
        weighted = weight * votes
        score = score + weighted if METHODS[placement.fusion].combine == "sum" else np.maximum(score, weighted)
    score[~part.filled] = -1.0
    order = np.argsort(-score, axis=1, kind="stable")[:, : placement.fused]
    hits = np.take_along_axis(part.hits, order, axis=1)
    discount = 1 / np.log2(np.arange(2, K + 2))
    ideal = np.cumsum(discount)[np.minimum(part.relevant, K) - 1]
    gained = (hits[:, :K] * discount[: hits.shape[1]]).sum(axis=1)
    return np.asarray(gained / ideal + hits.sum(axis=1) / part.relevant)


def _read(
    connection: duckdb.DuckDBPyConnection,
    lesson: Lesson,
    generators: Sequence[str],
    placement: PlacementSettings,
    seed: int,
) -> _Votes:
    """Read the candidates, by item_idx, of a draw of the customers who bought something."""
    relevant = "is_eligible" if placement.repeats else "is_eligible and is_new"
    connection.execute(
        "create or replace temp table lesson_truth as "
        f"select user_idx, item_idx from read_parquet($truth) where {relevant}",
        {"truth": str(lesson.truth)},
    )
    counts = connection.sql(
        "select user_idx, count(*) as relevant from lesson_truth group by user_idx order by user_idx"
    ).to_arrow_table()
    users = counts[c.USER_IDX].to_numpy()
    if len(users) > CUSTOMERS:
        users = np.sort(np.random.default_rng(seed).choice(users, CUSTOMERS, replace=False))
    proposed = read_proposed(lesson.proposals, generators, users)
    voted = vote(proposed.of(users), generators, placement, connection)
    pairs = pa.table({c.USER_IDX: voted.user_idx, c.ITEM_IDX: voted.item_idx})
    connection.register("lesson_pairs", pairs)
    hits = fetch_columns(
        connection,
        "select lesson_truth.item_idx is not null as is_hit from lesson_pairs left join lesson_truth "
        "on lesson_pairs.user_idx = lesson_truth.user_idx and lesson_pairs.item_idx = lesson_truth.item_idx "
        "order by lesson_pairs.user_idx, lesson_pairs.item_idx",
    )["is_hit"]
    connection.unregister("lesson_pairs")
    kept = np.isin(counts[c.USER_IDX].to_numpy(), users)
    return _fill(voted, hits.astype(bool), users, counts["relevant"].to_numpy()[kept])


def _fill(voted: Voted, is_hit: NDArray[np.bool_], users: NDArray[np.integer], relevant: NDArray[np.int64]) -> _Votes:
    row = np.searchsorted(users, voted.user_idx)
    place = np.arange(len(row)) - np.searchsorted(row, row)
    shape = (len(users), int(place.max()) + 1 if len(place) else 1)
    votes = np.zeros((voted.votes.shape[1], *shape))
    hits, filled = np.zeros(shape, bool), np.zeros(shape, bool)
    hits[row, place] = is_hit
    filled[row, place] = True
    votes[:, row, place] = np.nan_to_num(voted.votes).T
    return _Votes(votes, hits, filled, relevant)
