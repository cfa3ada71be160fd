"""Metrics: worked by hand, and against scikit-learn on random data."""

from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from recsys.evaluation.metrics import (
    Truth,
    average_precision,
    hit_matrix,
    hit_rate,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)

HITS = np.array([[False, True, False, True], [False, False, False, False], [True, True, True, True]])
RELEVANT = np.array([3, 2, 9])


def test_ndcg_by_hand() -> None:
    # First customer: hits at ranks 2 and 4 of 3 relevant; ideal: ranks 1, 2, 3.
    expected = (1 / log2(3) + 1 / log2(5)) / (1 + 1 / log2(3) + 1 / log2(4))
    assert ndcg(HITS, RELEVANT) == pytest.approx([expected, 0, 1])


def test_recall_precision_and_hit_rate_by_hand() -> None:
    assert recall(HITS, RELEVANT) == pytest.approx([2 / 3, 0, 4 / 9])
    assert precision(HITS, RELEVANT) == pytest.approx([0.5, 0, 1])
    assert hit_rate(HITS, RELEVANT).tolist() == [1, 0, 1]


def test_average_precision_by_hand() -> None:
    # Precision at the hits: 1/2 at rank 2, 2/4 at rank 4; divided by min(k, relevant) = 3.
    assert average_precision(HITS, RELEVANT) == pytest.approx([(0.5 + 0.5) / 3, 0, 1])


def test_reciprocal_rank_by_hand() -> None:
    assert reciprocal_rank(HITS, RELEVANT) == pytest.approx([0.5, 0, 1])


def test_hits_are_found_whatever_the_order_of_rows() -> None:
    truth = Truth.of(np.array([7, 3, 7]), np.array([1, 5, 2]))
    hits = hit_matrix(truth, np.array([7, 7, 3, 9]), np.array([2, 4, 5, 1]), np.array([2, 1, 3, 1]), 3)
    assert truth.users.tolist() == [3, 7]
    assert truth.relevant.tolist() == [1, 2]
    assert hits.tolist() == [[False, False, True], [False, True, False]]


def test_a_customer_without_a_list_counts_as_misses() -> None:
    truth = Truth.of(np.array([1, 2]), np.array([1, 1]))
    hits = hit_matrix(truth, np.array([2]), np.array([1]), np.array([1]), 10)
    assert ndcg(hits, truth.relevant).tolist() == [0, 1]


def test_ranks_beyond_k_do_not_count() -> None:
    truth = Truth.of(np.array([1]), np.array([1]))
    assert not hit_matrix(truth, np.array([1]), np.array([1]), np.array([11]), 10).any()


def test_nothing_relevant_at_all_gives_no_customers() -> None:
    truth = Truth.of(np.array([], int), np.array([], int))
    assert hit_matrix(truth, np.array([1]), np.array([1]), np.array([1]), 10).shape == (0, 10)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_ndcg_agrees_with_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores, relevant = random.permuted(np.tile(np.arange(30.0), (5, 1)), axis=1), random.random((5, 30)) < 0.3
    relevant[:, 0] = True
    users, items = np.nonzero(relevant)
    order = np.argsort(-scores, axis=1)
    shown = np.repeat(np.arange(5), 30), order.ravel(), np.tile(np.arange(1, 31), 5)
    truth = Truth.of(users, items)
    found = ndcg(hit_matrix(truth, *shown, 10), truth.relevant)
    assert found.mean() == pytest.approx(ndcg_score(relevant, scores, k=10))
