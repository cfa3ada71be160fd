"""Similarities: worked by hand, against other libraries, and independent of blocks and threads."""

from math import log, sqrt
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.metrics.pairwise import cosine_similarity

from recsys.candidates import similarity
from recsys.candidates.base import tastes
from recsys.candidates.similarity import bm25, capped, neighbours, pearson_neighbours, strongest, tfidf
from recsys.settings import CandidateSettings, Similarity


def found(kind: Similarity, dense: Any, k: int | None = None, threads: int = 1, **chosen: float) -> np.ndarray:
    """Return the (n, n) similarities of the rows of ``dense``."""
    rows = sparse.csr_array(np.asarray(dense, float))
    result = neighbours(rows, kind, k or rows.shape[0], CandidateSettings(**chosen), threads)
    assert result.dtype == np.float32
    return np.asarray(result.toarray())


def untasted(dense: Any) -> np.ndarray:
    """Return what has these tastes."""
    return np.expm1(np.asarray(dense, float))


def test_cosine_by_hand() -> None:
    # a = (3, 4, 0), b = (4, 3, 0), c = (0, 0, 2): cos(a, b) = 24 / 25, c is orthogonal to both.
    rows = untasted([[3, 4, 0], [4, 3, 0], [0, 0, 2]])
    assert found("cosine", rows) == pytest.approx(np.array([[0, 0.96, 0], [0.96, 0, 0], [0, 0, 0]]))


def test_pearson_by_hand() -> None:
    # Over the three common columns x = (1, 2, 3), y = (2, 4, 6): r = 1. Over x = (1, 2, 3), z = (3, 2, 1): r = -1,
    # which is not kept. With shrinkage 3, three common columns give 1 * 3 / (3 + 3) = 0.5.
    rows = untasted([[1, 2, 3, 0], [2, 4, 6, 5], [3, 2, 1, 0]])
    assert found("pearson", rows, pearson_shrinkage=0) == pytest.approx(np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]]))
    assert found("pearson", rows, pearson_shrinkage=3)[0, 1] == pytest.approx(0.5)


def test_pearson_counts_only_columns_that_both_have() -> None:
    # Common columns are the first three: x = (1, 2, 4), y = (1, 3, 4); the fourth, which only y has, plays no part.
    expected = np.corrcoef([1, 2, 4], [1, 3, 4])[0, 1]
    rows = untasted([[1, 2, 4, 0], [1, 3, 4, 9]])
    assert found("pearson", rows, pearson_shrinkage=0)[0, 1] == pytest.approx(expected)


def test_tfidf_by_hand() -> None:
    # Four rows with something. Column 0 is in two of them, idf ln(4 / 3); the others in one each, idf ln(4 / 2).
    rows = [[4, 9, 0, 0, 0], [1, 0, 1, 0, 0], [0, 0, 0, 7, 0], [0, 0, 0, 0, 7], [0, 0, 0, 0, 0]]
    often, seldom = log(4 / 3), log(4 / 2)
    weighted = tfidf(sparse.csr_array(np.array(rows, float))).toarray()
    assert weighted[:2] == pytest.approx(np.array([[2 * often, 3 * seldom, 0, 0, 0], [often, 0, seldom, 0, 0]]))
    cosine = 2 * often * often / (sqrt(4 * often**2 + 9 * seldom**2) * sqrt(often**2 + seldom**2))
    assert found("tfidf", rows)[0, 1] == pytest.approx(cosine)


def test_bm25_by_hand() -> None:
    # Four rows with something: they sum to 6, 2, 4 and 4, the mean is 4. With b = 1/2 the first two rows' lengths
    # count as 1/2 + 1/2 * 6/4 = 5/4 and 1/2 + 1/2 * 2/4 = 3/4. With k1 = 4 a value v becomes
    # v (4 + 1) / (4 * length + v), times the idf of its column.
    rows = [[4, 2, 0, 0], [1, 0, 1, 0], [0, 0, 0, 4], [0, 0, 0, 4], [0, 0, 0, 0]]
    often, seldom = log(4 / 3), log(4 / 2)
    expected = [[4 * 5 / (5 + 4) * often, 2 * 5 / (5 + 2) * seldom, 0, 0], [5 / (3 + 1) * often, 0, 5 / 4 * seldom, 0]]
    weighted = bm25(sparse.csr_array(np.array(rows, float)), k1=4, b=0.5).toarray()
    assert weighted[:2] == pytest.approx(np.array(expected))
    assert found("bm25", rows, bm25_k1=4, bm25_b=0.5)[0, 1] == pytest.approx(20 / 9 * 5 / 4 * often * often)


def test_conditional_probability_by_hand() -> None:
    # a has columns 0 to 3, b has 0 and 1, c has 0 to 2 and 4 to 8: |a| = 4, |b| = 2, |c| = 8; ab = 2, ac = 3, bc = 2.
    rows = np.zeros((3, 9))
    rows[0, :4], rows[1, :2], rows[2, [0, 1, 2, 4, 5, 6, 7, 8]] = 5, 1, 2
    likely = found("conditional", rows, conditional_damping=0, conditional_shrinkage=0)
    assert likely == pytest.approx(np.array([[0, 2 / 4, 3 / 4], [2 / 2, 0, 2 / 2], [3 / 8, 2 / 8, 0]]))
    damped = found("conditional", rows, conditional_damping=0.5, conditional_shrinkage=4)
    assert damped[0] == pytest.approx(np.array([0, 2 / (8 * sqrt(2)), 3 / (8 * sqrt(8))]))
    # With damping the popular c no longer comes first for a.
    assert likely[0].argmax() == 2
    assert found("conditional", rows, 1, conditional_damping=1)[0].argmax() == 1


matrices = hnp.arrays(
    np.float64, st.tuples(st.integers(2, 12), st.integers(1, 10)), elements=st.sampled_from([0.0, 0.0, 1.0, 2.0, 5.0])
)


@settings(deadline=None, max_examples=60)
@given(matrices)
def test_cosine_agrees_with_scikit_learn(dense: np.ndarray) -> None:
    expected = cosine_similarity(np.log1p(dense))
    np.fill_diagonal(expected, 0)
    assert found("cosine", dense, threads=2) == pytest.approx(expected, abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(matrices, st.sampled_from([0.0, 4.0]))
def test_pearson_agrees_with_numpy(dense: np.ndarray, shrinkage: float) -> None:
    result = found("pearson", untasted(dense), pearson_shrinkage=shrinkage)
    for a in range(len(dense)):
        for b in range(len(dense)):
            both = (dense[a] > 0) & (dense[b] > 0)
            x, y = dense[a][both], dense[b][both]
            expected = 0.0
            if a != b and len(x) and x.std() > 0 and y.std() > 0:
                r = ((x - x.mean()) * (y - y.mean())).mean() / (x.std() * y.std())
                expected = max(r, 0.0) * both.sum() / (both.sum() + shrinkage)
            assert result[a, b] == pytest.approx(expected, abs=1e-5)


@settings(deadline=None, max_examples=60)
@given(matrices, st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0.0, 4.0]))
def test_conditional_probability_agrees_with_counting(dense: np.ndarray, damping: float, shrinkage: float) -> None:
    result = found("conditional", dense, conditional_damping=damping, conditional_shrinkage=shrinkage)
    has = dense > 0
    for a in range(len(dense)):
        for b in range(len(dense)):
            both = (has[a] & has[b]).sum()
            expected = both / ((has[a].sum() + shrinkage) * has[b].sum() ** damping) if both and a != b else 0
            assert result[a, b] == pytest.approx(expected, abs=1e-6)


def bought() -> sparse.csr_matrix:
    """Return counts of 60 products (rows) by 90 customers, none of them empty."""
    random = np.random.default_rng(5)
    dense = random.poisson(2, (60, 90)) * (random.random((60, 90)) < 0.2)
    dense[np.arange(60), np.arange(60)] = 1
    dense[np.arange(60, 90) % 7, np.arange(60, 90)] = 2
    return sparse.csr_matrix(dense.astype(float))


@pytest.mark.parametrize(
    ("kind", "library"),
    [
        ("cosine", CosineRecommender(K=60)),
        ("tfidf", TFIDFRecommender(K=60)),
        ("bm25", BM25Recommender(K=60, K1=2.0, B=0.6)),
    ],
)
def test_weightings_agree_with_implicit(kind: Similarity, library: Any) -> None:
    counts = bought()
    # The library takes customers as rows. It takes cosines of counts, where ours are of tastes.
    library.fit(sparse.csr_matrix(tastes(counts) if kind == "cosine" else counts).T.tocsr(), show_progress=False)
    expected = library.similarity.toarray()
    np.fill_diagonal(expected, 0)
    assert found(kind, counts.toarray(), bm25_k1=2.0, bm25_b=0.6) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_frequencies_agree_with_scikit_learn() -> None:
    # ln(n / (1 + df)) is scikit-learn's unsmoothed ln(n / df) + 1 with one row more in df and one less in the sum.
    counts = bought()
    weighted = tfidf(sparse.csr_array(counts))
    held = (counts > 0).sum(axis=0).A1
    theirs = TfidfTransformer(norm=None, smooth_idf=False).fit(counts).idf_
    ours = weighted.toarray() / np.maximum(np.sqrt(counts.toarray()), 1e-9)
    assert ours.max(axis=0) == pytest.approx(theirs - 1 - np.log((1 + held) / held))


@pytest.mark.parametrize("block", [1, 3, 100])
def test_pearson_does_not_depend_on_the_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dense = np.random.default_rng(1).integers(0, 4, (20, 15)).astype(float)
    whole = pearson_neighbours(sparse.csr_array(dense), 5, 2).toarray()
    monkeypatch.setattr(similarity, "BLOCK", block)
    assert (pearson_neighbours(sparse.csr_array(dense), 5, 2).toarray() == whole).all()


@pytest.mark.parametrize("kind", get_args(Similarity))
def test_only_the_strongest_others_are_kept(kind: Similarity) -> None:
    dense = np.random.default_rng(4).integers(0, 4, (30, 25)).astype(float)
    whole, kept = found(kind, dense), found(kind, dense, 4)
    assert not whole.diagonal().any()
    for row, few in zip(whole, kept, strict=True):
        assert (few > 0).sum() <= 4
        assert sorted(few[few > 0]) == pytest.approx(sorted(row[row > 0])[-4:])


def test_ties_go_to_the_lower_column() -> None:
    matrix = sparse.csr_array(np.array([[9.0, 1, 2, 1], [1, 0, 1, 1], [0, -1, 5, 0], [1, 0, 0, 0]]))
    expected = [[0, 1, 2, 0], [1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert strongest([matrix[:1], matrix[1:]], 2, 4).toarray().tolist() == expected


@pytest.mark.parametrize("kind", get_args(Similarity))
def test_threads_do_not_change_what_is_found(kind: Similarity) -> None:
    dense = sparse.random_array((300, 80), density=0.1, rng=np.random.default_rng(2)).toarray() * 9
    assert (found(kind, dense, 10, threads=1) == found(kind, dense, 10, threads=2)).all()


@pytest.mark.parametrize("kind", get_args(Similarity))
def test_rows_without_anything_have_no_neighbours(kind: Similarity) -> None:
    assert not found(kind, np.zeros((3, 2))).any()
    assert not found(kind, np.ones((1, 2))).any()
    lonely = found(kind, [[1, 2, 0], [2, 1, 0], [0, 0, 0], [1, 3, 1]])
    assert np.isfinite(lonely).all()
    assert not lonely[2].any()
    assert not lonely[:, 2].any()


@pytest.mark.parametrize("kind", get_args(Similarity))
def test_rows_without_anything_change_nothing(kind: Similarity) -> None:
    dense = np.random.default_rng(6).integers(0, 4, (20, 15)).astype(float)
    more = found(kind, np.concatenate([dense, np.zeros((9, 15))]))
    assert (more[:20, :20] == found(kind, dense)).all()


def test_the_largest_entries_of_a_column_are_kept() -> None:
    matrix = sparse.csr_array(np.array([[3.0, 1, 0], [5, 0, 2], [3, 4, 0], [1, 0, 0]]))
    assert capped(matrix, 2).toarray().tolist() == [[3, 1, 0], [5, 0, 2], [0, 4, 0], [0, 0, 0]]
    assert capped(matrix, 4) is matrix


def test_neighbours_of_capped_counts_are_nearly_the_exact_ones() -> None:
    """Twenty groups of customers share products of their own; one product everybody buys costs most of the pairs."""
    random = np.random.default_rng(4)
    own = np.kron(np.eye(20), random.random((40, 30)) < 0.4) * random.integers(1, 5, (800, 600))
    matrix = sparse.csr_array(np.column_stack([np.ones(800), own]))
    chosen = CandidateSettings()

    def near(cap: int) -> list[set[int]]:
        found = neighbours(capped(matrix, cap), "cosine", 10, chosen, 1)
        return [set(found.indices[a:b].tolist()) for a, b in zip(found.indptr[:-1], found.indptr[1:], strict=True)]

    exact, quick = near(800), near(100)
    recall = np.mean([len(a & b) / len(a) for a, b in zip(exact, quick, strict=True)])
    assert recall > 0.95
    assert quick != exact
