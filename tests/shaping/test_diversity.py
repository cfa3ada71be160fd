"""Diversity: the choices of MMR and of the determinantal point process, worked out by hand and by brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.shaping.diversity import DeterminantalPointProcess, MaximalMarginalRelevance
from recsys.shaping.greedy import choose_greedily, relevance
from recsys.shaping.similarity import Likeness
from tests.support.products import Product, product_table

# Two breads, a milk and a bread of another shelf; likeness of the breads .72, of bread and cake .36.
SHELVES = Likeness.of(
    product_table([Product("Food > Bread"), Product("Food > Bread"), Product("Dairy > Milk"), Product("Food > Cake")])
)
POOL = np.arange(4)[None, :]
SCORES = np.array([[1.0, 0.9, 0.5, 0.0]])


@pytest.mark.parametrize(
    ("weight", "chosen"),
    [
        # Second place: .9 - w .72 against .5 - 0 and 0 - w .36. Third, after milk: the bread's .9 - w .72 against
        # the cake's 0 - w .36.
        (0.5, [0, 1, 2, 3]),
        (0.6, [0, 2, 1, 3]),
        (3.0, [0, 2, 3, 1]),
    ],
)
def test_mmr_by_hand(weight: float, chosen: list[int]) -> None:
    term = MaximalMarginalRelevance(POOL, SHELVES)
    assert choose_greedily(SCORES, [(weight, term)], 4)[0].tolist() == chosen


def test_dpp_by_hand() -> None:
    term = DeterminantalPointProcess(POOL, SHELVES)
    term.choose(np.array([0]))
    # Beside the first bread a product adds log(1 - likeness^2).
    assert np.exp(term.gain())[0, 1:] == pytest.approx([1 - 0.72**2, 1, 1 - 0.36**2])


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "a > b", "a > c", "d", ""]), st.sampled_from(["", "x"])), min_size=3, max_size=7
    )
)
def test_dpp_adds_the_growth_of_the_determinant(kinds: list[tuple[str, str]]) -> None:
    likeness = Likeness.of(product_table([Product(*kind) for kind in kinds]))
    every = np.arange(len(kinds))
    matrix = likeness.between(every[:, None], every[None, :])
    np.fill_diagonal(matrix, 1.0)
    term = DeterminantalPointProcess(every[None, :], likeness)
    taken: list[int] = []
    for place in reversed(every[1:]):
        gain = np.exp(term.gain())[0]
        whole = np.linalg.det(matrix[np.ix_(taken, taken)]) if taken else 1.0
        for other in set(every) - set(taken):
            own = [*taken, other]
            assert gain[other] == pytest.approx(np.linalg.det(matrix[np.ix_(own, own)]) / whole, abs=1e-9)
        term.choose(np.array([place]))
        taken.append(int(place))


def test_relevance_is_scaled_in_each_pool() -> None:
    scores = np.array([[4.0, 3.0, 2.0], [7.0, 7.0, -np.inf], [-np.inf] * 3])
    expected = [[1.0, 0.5, 0.0], [0.0, 0.0, -np.inf], [-np.inf] * 3]
    assert relevance(scores).tolist() == expected


def test_pools_that_run_out_leave_places_empty() -> None:
    relevant = np.array([[0.5, 0.2], [0.5, -np.inf], [-np.inf, -np.inf]])
    pool = np.zeros((3, 2), np.intp)
    for term in (MaximalMarginalRelevance(pool, SHELVES), DeterminantalPointProcess(pool, SHELVES)):
        assert choose_greedily(relevant, [(1.0, term)], 3).tolist() == [[0, 1, -1], [0, -1, -1], [-1, -1, -1]]
