"""Calibration: the list takes on the proportions of the customer's purchases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.shaping.calibration import SMOOTHING, Calibration, family_shares
from recsys.shaping.greedy import choose_greedily
from tests.support.products import taste

FAMILY = np.array([0, 0, 0, 1, 1, 2, -1], np.int32)


def divergence(shares: np.ndarray, chosen: list[int]) -> float:
    """Return KL(p || q') of a list, as Steck defines it."""
    listed = np.bincount(FAMILY[[n for n in chosen if FAMILY[n] >= 0]], minlength=3) / max(len(chosen), 1)
    smooth = (1 - SMOOTHING) * listed + SMOOTHING * shares
    bought = shares > 0
    return float((shares[bought] * np.log(shares[bought] / smooth[bought])).sum())


def test_shares_of_families() -> None:
    weights = taste([[3, 0, 0, 1, 0, 0, 4], [0] * 7]).weights
    pool = np.array([[0, 3, 5, 6], [0, 3, 5, 6]])
    found = family_shares(weights, np.array([0, 1], np.int32), pool, FAMILY)
    # Half of what the first customer bought has no family.
    assert found.tolist() == [[3 / 8, 1 / 8, 0, 0], [0, 0, 0, 0]]


def test_a_list_in_the_customers_proportions() -> None:
    pool, shares = np.arange(7)[None, :], np.array([2 / 3, 1 / 3, 0])
    term = Calibration(pool, np.where(FAMILY >= 0, shares[FAMILY], 0)[None, :], FAMILY)
    relevant = np.linspace(1, 0.9, 7)[None, :]
    # All of family 0 is ranked first, but a third of the list is due to family 1; nothing else is bought.
    assert choose_greedily(relevant, [(10.0, term)], 5)[0].tolist()[:3] == [0, 3, 1]


@given(
    st.lists(st.integers(0, 5), min_size=3, max_size=3).filter(any),
    st.permutations(range(7)),
)
def test_the_gain_is_what_the_divergence_loses(bought: list[int], order: list[int]) -> None:
    shares = np.array(bought) / sum(bought)
    term = Calibration(np.arange(7)[None, :], np.where(FAMILY >= 0, shares[FAMILY], 0)[None, :], FAMILY)
    chosen: list[int] = []
    for place in order:
        # The gain leaves out what all candidates have in common, so differences are compared.
        gain, left = term.gain()[0], [n for n in range(7) if n not in chosen]
        after = np.array([divergence(shares, [*chosen, n]) for n in left])
        assert gain[left] - gain[left[0]] == pytest.approx(after[0] - after, abs=1e-9)
        term.choose(np.array([place]))
        chosen.append(place)
