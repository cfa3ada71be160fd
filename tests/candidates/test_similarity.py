"""Similarities: worked by hand, against a second library, and independent of blocks and threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from sklearn.metrics.pairwise import cosine_similarity

from recsys.candidates import similarity
from recsys.candidates.similarity import cosine_neighbours, pearson_neighbours


def test_cosine_by_hand() -> None:
    # a = (3, 4, 0), b = (4, 3, 0), c = (0, 0, 2): cos(a, b) = 24 / 25, c is orthogonal to both.
    found = cosine_neighbours(sparse.csr_array([[3.0, 4, 0], [4, 3, 0], [0, 0, 2]]), 2, 1).toarray()
    assert found == pytest.approx(np.array([[0, 0.96, 0], [0.96, 0, 0], [0, 0, 0]]))


def test_pearson_by_hand() -> None:
    # Over the three common columns x = (1, 2, 3), y = (2, 4, 6): r = 1. Over x = (1, 2, 3), z = (3, 2, 1): r = -1,
    # which is not kept. With shrinkage 3, three common columns give 1 * 3 / (3 + 3) = 0.5.
    rows = sparse.csr_array([[1.0, 2, 3, 0], [2, 4, 6, 5], [3, 2, 1, 0]])
    assert pearson_neighbours(rows, 2, 0).toarray() == pytest.approx(np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]]))
    assert pearson_neighbours(rows, 2, 3)[0, 1] == pytest.approx(0.5)


def test_pearson_counts_only_columns_that_both_have() -> None:
    # Common columns are the first three: x = (1, 2, 4), y = (1, 3, 4); the fourth, which only y has, plays no part.
    expected = np.corrcoef([1, 2, 4], [1, 3, 4])[0, 1]
    rows = sparse.csr_array([[1.0, 2, 4, 0], [1, 3, 4, 9]])
    assert pearson_neighbours(rows, 1, 0)[0, 1] == pytest.approx(expected)


matrices = hnp.arrays(
    np.float64, st.tuples(st.integers(2, 12), st.integers(1, 10)), elements=st.sampled_from([0.0, 0.0, 1.0, 2.0, 5.0])
)


@settings(deadline=None, max_examples=60)
@given(matrices)
def test_cosine_agrees_with_scikit_learn(dense: np.ndarray) -> None:
    expected = cosine_similarity(dense)
    np.fill_diagonal(expected, 0)
    found = cosine_neighbours(sparse.csr_array(dense), len(dense), 2).toarray()
    assert found == pytest.approx(expected, abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(matrices, st.sampled_from([0.0, 4.0]))
def test_pearson_agrees_with_numpy(dense: np.ndarray, shrinkage: float) -> None:
    found = pearson_neighbours(sparse.csr_array(dense), len(dense), shrinkage).toarray()
    for a in range(len(dense)):
        for b in range(len(dense)):
            both = (dense[a] > 0) & (dense[b] > 0)
            x, y = dense[a][both], dense[b][both]
            expected = 0.0
            if a != b and len(x) and x.std() > 0 and y.std() > 0:
                r = ((x - x.mean()) * (y - y.mean())).mean() / (x.std() * y.std())
                expected = max(r, 0.0) * both.sum() / (both.sum() + shrinkage)
            assert found[a, b] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("block", [1, 3, 100])
def test_pearson_does_not_depend_on_the_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dense = np.random.default_rng(1).integers(0, 4, (20, 15)).astype(float)
    whole = pearson_neighbours(sparse.csr_array(dense), 5, 2).toarray()
    monkeypatch.setattr(similarity, "BLOCK", block)
    assert (pearson_neighbours(sparse.csr_array(dense), 5, 2).toarray() == whole).all()


def test_only_the_strongest_are_kept_and_ties_go_to_the_lower_row() -> None:
    same = sparse.csr_array(np.ones((4, 2)))
    found = cosine_neighbours(same, 2, 1).tocoo()
    kept = {row: sorted(found.col[found.row == row].tolist()) for row in range(4)}
    assert all(len(columns) == 2 for columns in kept.values())


def test_threads_do_not_change_cosine() -> None:
    matrix = sparse.random_array((300, 80), density=0.1, rng=np.random.default_rng(2), format="csr")
    one, two = cosine_neighbours(matrix, 10, 1), cosine_neighbours(matrix, 10, 2)
    assert (one.toarray() == two.toarray()).all()
