"""The best products of a block: what choosing customer by customer gives, for every shape of scores."""

from datetime import datetime

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from recsys.candidates.choosing import Proposals, Scores, best, choose
from recsys.history import Groups, History

K = 12
ROWS = 40
SHAPES = ("dense", "not all numbers", "zeros", "the same to all", "sparse", "sparse and long", "nothing")


def history(products: int) -> History:
    random = np.random.default_rng(5)
    seen = sparse.csr_array(sparse.random(ROWS * 2, products, 0.05, rng=random, format="csr", dtype=np.float32))
    nothing = sparse.csr_array(seen.shape, dtype=np.float32)
    groups = Groups.of(np.full(ROWS * 2, ""))
    matrices = dict.fromkeys(("purchases", "weights", "interest", "recency", "first_days", "last_days"), nothing)
    return History(
        cut_at=datetime(2025, 1, 1),
        items=np.arange(products, dtype=np.int32) * 3,
        **matrices,
        recent=nothing,
        earlier=nothing,
        seen=seen,
        popularity=np.zeros(products),
        segments=groups,
        markets=groups,
    )


def scores_of(shape: str, products: int) -> Scores:
    random = np.random.default_rng(9)
    # Few values, so that many are equal.
    dense = np.round(random.normal(size=(ROWS, products)), 1).astype(np.float32)
    dense[random.random(dense.shape) < 0.2] = -np.inf
    dense[0] = -np.inf
    if shape == "not all numbers":
        dense[1, ::3], dense[2, ::2] = np.nan, np.inf
    elif shape == "zeros":
        dense[:] = 0.0
        dense[:, ::2] = -0.0
    elif shape == "the same to all":
        return np.broadcast_to(dense[1], dense.shape)
    elif shape.startswith("sparse"):
        density = 0.9 if shape.endswith("long") else 0.1
        found = sparse.csr_array(sparse.random(ROWS, products, density, rng=random, format="csr", dtype=np.float32))
        found.data = np.round(found.data - 0.3, 1)
        return found
    return dense if shape != "nothing" else np.full_like(dense, -np.inf)


def one_by_one(scores: Scores, history: History, users: NDArray[np.int32], *, repeats: bool) -> list[tuple[float, ...]]:
    rows = []
    for row, user in enumerate(users):
        if isinstance(scores, np.ndarray):
            columns = np.arange(scores.shape[1], dtype=np.int32)
            values, usable = scores[row], np.isfinite(scores[row])
        else:
            span = slice(scores.indptr[row], scores.indptr[row + 1])
            columns, values = scores.indices[span], scores.data[span]
            usable = values > 0
        if not repeats:
            usable = usable & ~np.isin(columns, history.seen[[user]].indices)
        values, columns = values[usable], columns[usable]
        order = best(values, columns, K)
        ranked = zip(history.items[columns[order]], values[order], range(1, K + 1), strict=False)
        rows += [(int(user), int(item), float(value), rank) for item, value, rank in ranked]
    return rows


def rows_of(found: Proposals) -> list[tuple[float, ...]]:
    columns = (found.user_idx, found.item_idx, found.score, found.rank)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("products", [30, 6000])
@pytest.mark.parametrize("shape", SHAPES)
def test_all_at_once_is_as_one_by_one(shape: str, products: int, repeats: bool) -> None:
    known, scores = history(products), scores_of(shape, products)
    users = np.arange(ROWS, dtype=np.int32) + 7
    found, _ = choose(scores, known, users, K, (repeats, not repeats))
    assert rows_of(found) == one_by_one(scores, known, users, repeats=repeats)
    assert (found.user_idx.dtype, found.score.dtype, found.rank.dtype) == (np.int32, np.float32, np.int16)


def test_nobody_is_proposed_nothing() -> None:
    [found] = choose(scores_of("dense", 30)[:0], history(30), np.empty(0, np.int32), K, (False,))
    assert rows_of(found) == []
