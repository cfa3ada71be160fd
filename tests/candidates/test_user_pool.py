"""User-based filtering in a big shop: only customers who are asked, only neighbours of a pool."""

import numpy as np
import pytest
from scipy import sparse

from recsys.candidates import make_generator
from recsys.candidates.base import draw_customers, tastes
from recsys.candidates.similarity import cosine_columns, neighbours
from recsys.settings import CandidateSettings, Settings, Similarity
from tests.support.matrices import history_of

SETTINGS = CandidateSettings()
CUSTOMERS = 600


@pytest.fixture
def interest() -> sparse.csr_array:
    random = np.random.default_rng(3)
    return sparse.csr_array(sparse.random(CUSTOMERS, 80, 0.08, rng=random, format="csr", dtype=np.float32))


@pytest.mark.parametrize("similarity", ["cosine", "tfidf", "bm25"])
def test_who_is_asked_gets_the_neighbours_that_all_would_give(
    interest: sparse.csr_array, similarity: Similarity
) -> None:
    asked = np.arange(5, CUSTOMERS, 2, dtype=np.int32)
    whole = neighbours(interest, similarity, 9, SETTINGS, 2)
    part = neighbours(interest, similarity, 9, SETTINGS, 2, asked=asked)
    assert (whole[asked] != part[asked]).nnz == 0
    assert part.nnz == part[asked].nnz > 0


def test_neighbours_are_the_nearest_of_the_pool(interest: sparse.csr_array) -> None:
    pool = np.arange(0, CUSTOMERS, 3, dtype=np.int32)
    found = neighbours(interest, "cosine", 9, SETTINGS, 2, pool=pool).toarray()
    every = neighbours(interest, "cosine", CUSTOMERS, SETTINGS, 2).toarray()
    outside = np.setdiff1d(np.arange(CUSTOMERS), pool)
    every[:, outside] = 0
    assert not found[:, outside].any()
    assert not found.diagonal().any()
    assert np.array_equal(np.sort(found, axis=1)[:, -9:], np.sort(every, axis=1)[:, -9:])


def test_the_number_of_threads_changes_nothing(interest: sparse.csr_array) -> None:
    pool = draw_customers(interest, 200, 1)
    one, two = (neighbours(interest, "cosine", 9, SETTINGS, threads, pool=pool) for threads in (1, 2))
    assert (one != two).nnz == 0


def test_a_pool_is_drawn_of_customers_with_a_history(interest: sparse.csr_array) -> None:
    silent = interest.copy()
    silent.data[: silent.indptr[50]] = 0
    silent.eliminate_zeros()
    pool = draw_customers(silent, 100, 1)
    assert len(np.unique(pool)) == 100
    assert pool.min() >= 50
    assert np.array_equal(pool, draw_customers(silent, 100, 1))
    assert not np.array_equal(pool, draw_customers(silent, 100, 2))
    assert np.array_equal(draw_customers(silent, CUSTOMERS, 1), np.flatnonzero(np.diff(silent.indptr)))


def test_columns_have_the_neighbours_that_rows_of_the_transpose_have(interest: sparse.csr_array) -> None:
    found = cosine_columns(tastes(interest), 9, 2)
    expected = neighbours(sparse.csr_array(interest.T), "cosine", 9, SETTINGS, 2)
    assert found.nnz == expected.nnz > 0
    assert (found != expected).nnz == 0


def test_als_learns_from_a_draw_in_a_large_shop(interest: sparse.csr_array) -> None:
    history = history_of(interest.toarray())
    chosen = SETTINGS.model_copy(update={"als_customers": 100, "als_factors": 4, "als_iterations": 3})
    drawn = draw_customers(history.interest, 100, Settings().seed)
    whole, part = make_generator("als"), make_generator("als")
    whole.fit(history, Settings(candidates=chosen))
    part.fit(history_of(interest[drawn].toarray()), Settings(candidates=chosen))
    assert np.array_equal(whole.state()["factors"], part.state()["factors"])


def test_what_is_kept_of_others_is_kept_of_the_pool(interest: sparse.csr_array) -> None:
    history, users = history_of(interest.toarray()), np.arange(40, dtype=np.int32)
    chosen = SETTINGS.model_copy(update={"user_pool": 100, "user_neighbours": 9})
    generator = make_generator("user_cf")
    generator.fit(history, Settings(candidates=chosen))
    state = generator.state()
    assert (state["tastes"].shape[0], state["neighbours"].shape) == (100, (CUSTOMERS, 100))
    pool = draw_customers(history.interest, 100, Settings().seed)
    near = neighbours(history.interest, "cosine", 9, chosen, 2, pool=pool)
    expected = sparse.csr_array(near[users] @ tastes(history.interest))
    assert expected.nnz > 0
    assert (sparse.csr_array(generator.scores(history, users)) != expected).nnz == 0
