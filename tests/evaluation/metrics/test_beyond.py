"""Metrics beyond accuracy: worked by hand, at their edges, and against plain sets on random data."""

from math import isnan, log, log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from recsys.evaluation.metrics import (
    NOTHING,
    Truth,
    calibration,
    coverage,
    diversity,
    exposure_gini,
    hits_of,
    novelty,
    serendipity,
    shown_matrix,
)
from tests.support import slow_metrics

EMPTY = np.empty(0, int)
# Two lists of three ranks over products 0 to 4, the second with one product only.
SHOWN = np.array([[0, 1, 2], [3, NOTHING, NOTHING]])


def test_lists_become_rows_by_rank() -> None:
    shown = shown_matrix(np.array([2, 5]), np.array([5, 2, 2, 9]), np.array([3, 1, 0, 4]), np.array([1, 2, 1, 1]), 3)
    assert shown.tolist() == [[0, 1, NOTHING], [3, NOTHING, NOTHING]]


def test_coverage_by_hand() -> None:
    # Products 0 to 3 of the catalogue of eight are shown; 99 isn't in it.
    assert coverage(np.array([0, 1, 2, 0, 3, 99]), np.arange(8)) == pytest.approx(4 / 8)


def test_coverage_of_an_empty_catalogue_is_zero() -> None:
    assert coverage(np.array([1]), EMPTY) == 0


def test_exposure_gini_by_hand() -> None:
    # Exposures 0, 1, 3: (-2 * 0 + 0 * 1 + 2 * 3) / (3 * 4).
    assert exposure_gini(np.array([7, 9, 9, 9]), np.array([5, 7, 9])) == pytest.approx(6 / 12)


def test_equal_exposure_is_zero_and_one_product_alone_is_near_one() -> None:
    assert exposure_gini(np.arange(10), np.arange(10)) == pytest.approx(0)
    # (m - 1) / m: all of it on one of ten.
    assert exposure_gini(np.zeros(4, int), np.arange(10)) == pytest.approx(0.9)


def test_exposure_of_nothing_is_undefined() -> None:
    assert isnan(exposure_gini(EMPTY, np.arange(3)))
    assert isnan(exposure_gini(np.array([8]), EMPTY))


def test_novelty_by_hand() -> None:
    # Of eight customers 8, 4, 1 and 2 bought products 0 to 3: 0, 1, 3 and 2 bits.
    assert novelty(SHOWN, np.array([8, 4, 1, 2, 0]), 8) == pytest.approx([4 / 3, 2])


def test_what_nobody_bought_is_as_new_as_what_one_did() -> None:
    assert novelty(np.array([[4]]), np.array([8, 4, 1, 2, 0]), 8) == pytest.approx([log2(8)])


def test_diversity_by_hand() -> None:
    # Groups a, a, b: of three pairs two differ. One product has no pair.
    found = diversity(SHOWN, np.array([0, 0, 1, 1, 1]))
    assert found[0] == pytest.approx(2 / 3)
    assert isnan(found[1])


def test_products_of_unknown_category_make_no_pair() -> None:
    # Of 0, 1, 2 the last is unknown: one pair is left, of equal groups.
    assert diversity(SHOWN, np.array([0, 0, -1, 1, 1]))[0] == 0
    assert isnan(diversity(SHOWN, np.full(5, -1))[0])


def test_one_category_alone_has_no_diversity() -> None:
    assert diversity(SHOWN[:1], np.zeros(5, int)).tolist() == [0]


def test_serendipity_by_hand() -> None:
    # Products 0 and 1 are relevant to the first; popularity shows 1 already. A third of the list surprises.
    hits = np.array([[True, True, False], [True, False, False]])
    expected = np.array([[1, 4, NOTHING], [NOTHING, NOTHING, NOTHING]])
    assert serendipity(hits, SHOWN, expected) == pytest.approx([1 / 3, 1 / 3])


def test_nothing_relevant_is_not_serendipitous() -> None:
    assert serendipity(np.zeros((2, 3), bool), SHOWN, SHOWN[:, :1]).tolist() == [0, 0]


def test_calibration_by_hand() -> None:
    # History: groups 0 and 1 alike. The list: groups 0, 0, 1.
    history = sparse.csr_array(np.array([[5.0, 5.0]]))
    q = (0.99 * 2 / 3 + 0.01 / 2, 0.99 / 3 + 0.01 / 2)
    expected = 0.5 * log(0.5 / q[0]) + 0.5 * log(0.5 / q[1])
    assert calibration(SHOWN[:1], np.array([0, 0, 1, 1, 1]), history) == pytest.approx([expected])


def test_a_list_like_the_history_is_perfectly_calibrated() -> None:
    history = sparse.csr_array(np.array([[2.0, 1.0]]))
    assert calibration(SHOWN[:1], np.array([0, 0, 1, 1, 1]), history) == pytest.approx([0])


def test_a_list_without_anything_of_the_history_is_far_off_and_finite() -> None:
    history = sparse.csr_array(np.array([[0.0, 0.0, 3.0]]))
    # Smoothed, the list has .01 of what the history has: log(1 / .01).
    assert calibration(SHOWN[:1], np.array([0, 0, 1, 1, 1]), history) == pytest.approx([log(100)])


def test_without_history_or_list_calibration_is_undefined() -> None:
    shown = np.array([[0, 1], [NOTHING, NOTHING], [2, NOTHING]])
    found = calibration(shown, np.array([0, 0, -1]), sparse.csr_array(np.array([[0.0], [1.0], [1.0]])))
    assert all(isnan(value) for value in found)


@settings(deadline=None, max_examples=100)
@given(
    lists=st.lists(st.lists(st.integers(0, 9), max_size=6, unique=True), min_size=1, max_size=5),
    data=st.data(),
    k=st.integers(1, 7),
)
def test_plain_sets_agree(lists: list[list[int]], data: st.DataObject, k: int) -> None:
    def draw(values: st.SearchStrategy[int]) -> list[int]:
        return data.draw(st.lists(values, min_size=10, max_size=10))

    buyers, groups, tastes = draw(st.integers(0, 20)), draw(st.integers(-1, 3)), draw(st.integers(0, 3))
    relevant, expected = set(draw(st.integers(0, 9))[:4]), draw(st.integers(0, 9))[:3]
    padded = [[*one, *[NOTHING] * k][:k] for one in lists]
    shown, wanted = np.array(padded), np.array(tastes[:4], float)
    users = np.arange(len(lists))
    hits = hits_of(Truth.of(np.repeat(users, len(relevant)), np.tile(list(relevant), len(lists))), shown)
    plain = dict(enumerate(groups))
    history = sparse.csr_array(np.tile(wanted, (len(lists), 1)))
    assert novelty(shown, np.array(buyers), 20) == pytest.approx(
        [slow_metrics.novelty(one, dict(enumerate(buyers)), 20) for one in padded], nan_ok=True
    )
    assert diversity(shown, np.array(groups)) == pytest.approx(
        [slow_metrics.diversity(one, plain) for one in padded], nan_ok=True
    )
    assert serendipity(hits, shown, np.tile(expected, (len(lists), 1))) == pytest.approx(
        [slow_metrics.serendipity(one, relevant, expected) for one in padded]
    )
    assert calibration(shown, np.array(groups), history) == pytest.approx(
        [slow_metrics.calibration(one, plain, dict(enumerate(wanted))) for one in padded], nan_ok=True
    )
    flat, catalogue = np.array([item for one in lists for item in one], int), np.array([0, 2, 3, 5, 8])
    assert coverage(flat, catalogue) == pytest.approx(slow_metrics.coverage(lists, set(catalogue)))
    assert exposure_gini(flat, catalogue) == pytest.approx(
        slow_metrics.exposure_gini(lists, set(catalogue)), nan_ok=True
    )
