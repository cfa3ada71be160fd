"""Ranking metrics: worked by hand, against scikit-learn, and against plain sets on random data."""

from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from recsys.errors import ContractError
from recsys.evaluation.metrics import (
    METRICS,
    Truth,
    average_precision,
    hit_matrix,
    hit_rate,
    ndcg,
    per_customer,
    precision,
    recall,
    reciprocal_rank,
)
from tests.support import slow_metrics

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


def test_every_k_counts_its_own_ranks() -> None:
    # Ranks 1 and 2 hold one hit of three relevant, at rank 2.
    found = per_customer(HITS[:1], RELEVANT[:1], (2, 4))
    assert list(found)[:4] == ["ndcg@2", "ndcg@4", "recall@2", "recall@4"]
    assert found["ndcg@2"] == pytest.approx([(1 / log2(3)) / (1 + 1 / log2(3))])
    assert found["recall@2"] == pytest.approx([1 / 3])
    assert found["precision@2"] == pytest.approx([1 / 2])
    assert found["map@2"] == pytest.approx([(1 / 2) / 2])
    assert found["mrr@2"] == pytest.approx([1 / 2])


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
    hits = hit_matrix(truth, np.array([1]), np.array([1]), np.array([1]), 10)
    assert hits.shape == (0, 10)
    assert all(len(values) == 0 for values in per_customer(hits, truth.relevant, (10,)).values())


def test_a_customer_with_nothing_relevant_is_an_error() -> None:
    with pytest.raises(ContractError, match="without a relevant product can't be measured"):
        per_customer(HITS, np.array([1, 0, 1]), (4,))


def test_a_relevant_pair_given_twice_is_one() -> None:
    assert Truth.of(np.array([1, 1]), np.array([4, 4])).relevant.tolist() == [1]


def test_a_product_shown_twice_is_hit_once() -> None:
    truth = Truth.of(np.array([1, 1]), np.array([4, 5]))
    hits = hit_matrix(truth, np.array([1, 1, 1]), np.array([4, 4, 5]), np.array([1, 2, 3]), 3)
    assert hits.tolist() == [[True, False, True]]
    assert recall(hits, truth.relevant) == pytest.approx([1])


def test_two_products_at_one_rank_are_an_error() -> None:
    truth = Truth.of(np.array([8]), np.array([4]))
    with pytest.raises(ContractError, match="customer 8 has more than one product at rank 2"):
        hit_matrix(truth, np.array([8, 8]), np.array([4, 5]), np.array([2, 2]), 3)


def test_ranks_count_from_one() -> None:
    with pytest.raises(ContractError, match="rank 0; ranks count from 1"):
        hit_matrix(Truth.of(np.array([8]), np.array([4])), np.array([8]), np.array([4]), np.array([0]), 3)


def test_a_list_shorter_than_k_misses_what_it_lacks() -> None:
    # Two of five ranks are filled, both hits, of three relevant.
    truth = Truth.of(np.array([1, 1, 1]), np.array([1, 2, 3]))
    hits = hit_matrix(truth, np.array([1, 1]), np.array([1, 2]), np.array([1, 2]), 5)
    assert precision(hits, truth.relevant) == pytest.approx([2 / 5])
    assert recall(hits, truth.relevant) == pytest.approx([2 / 3])


def test_k_larger_than_the_catalogue() -> None:
    # The whole catalogue of two is shown; the only relevant product stands second.
    truth = Truth.of(np.array([1]), np.array([1]))
    hits = hit_matrix(truth, np.array([1, 1]), np.array([0, 1]), np.array([1, 2]), 50)
    assert ndcg(hits, truth.relevant) == pytest.approx([1 / log2(3)])
    assert recall(hits, truth.relevant) == pytest.approx([1])
    assert precision(hits, truth.relevant) == pytest.approx([1 / 50])


def test_lists_read_too_short_for_a_k_are_an_error() -> None:
    with pytest.raises(ContractError, match="up to rank 4, so nothing is known at k = 20"):
        per_customer(HITS, RELEVANT, (2, 20))


def test_truth_restricted_to_some_products() -> None:
    truth = Truth.of(np.array([1, 1, 2, 3]), np.array([4, 5, 5, 6])).restricted(np.array([5, 6]))
    assert truth.users.tolist() == [1, 2, 3]
    assert truth.relevant.tolist() == [1, 1, 1]
    assert truth.restricted(np.array([4])).users.tolist() == []


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_scikit_learn_agrees(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores, relevant = random.permuted(np.tile(np.arange(30.0), (5, 1)), axis=1), random.random((5, 30)) < 0.3
    relevant[:, 0] = True
    users, items = np.nonzero(relevant)
    order = np.argsort(-scores, axis=1)
    shown = np.repeat(np.arange(5), 30), order.ravel(), np.tile(np.arange(1, 31), 5)
    truth = Truth.of(users, items)
    hits = hit_matrix(truth, *shown, 30)
    found = per_customer(hits, truth.relevant, (5, 10, 30))
    for k in (5, 10, 30):
        assert found[f"ndcg@{k}"].mean() == pytest.approx(ndcg_score(relevant, scores, k=k))
    # Over the whole catalogue it is the average precision of information retrieval.
    expected = [average_precision_score(*one) for one in zip(relevant, scores, strict=True)]
    assert found["map@30"] == pytest.approx(expected)


@settings(deadline=None, max_examples=100)
@given(
    lists=st.lists(st.lists(st.integers(0, 12), max_size=8), min_size=1, max_size=6),
    wanted=st.data(),
    k=st.integers(1, 10),
)
def test_plain_sets_agree(lists: list[list[int]], wanted: st.DataObject, k: int) -> None:
    relevant = [wanted.draw(st.sets(st.integers(0, 14), min_size=1, max_size=9)) for _ in lists]
    truth = Truth.of(
        np.repeat(np.arange(len(lists)), [len(one) for one in relevant]), np.array([i for one in relevant for i in one])
    )
    rows = [(user, item, rank) for user, one in enumerate(lists) for rank, item in enumerate(one, 1)]
    columns = np.array(rows, int).reshape(-1, 3).T
    found = per_customer(hit_matrix(truth, *columns, k), truth.relevant, (k,))
    assert list(found) == [f"{name}@{k}" for name in METRICS]
    for name, slow in slow_metrics.RANKING.items():
        expected = [slow(one, own, k) for one, own in zip(lists, relevant, strict=True)]
        assert found[f"{name}@{k}"] == pytest.approx(expected), name
