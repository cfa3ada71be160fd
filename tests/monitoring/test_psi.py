"""The population stability index against values worked out by hand."""

from math import log

import numpy as np
import pytest

from recsys.monitoring.psi import psi, psi_of_counts


def test_shares_of_two_bins_by_hand() -> None:
    # 50.5 and 50.5 of 101 against 80.5 and 20.5 of 101: half a row is added to each bin.
    now, then = (80.5 / 101, 20.5 / 101), (50.5 / 101, 50.5 / 101)
    expected = (now[0] - then[0]) * log(now[0] / then[0]) + (now[1] - then[1]) * log(now[1] / then[1])
    assert psi_of_counts(np.array([50, 50]), np.array([80, 20])) == pytest.approx(expected)
    assert expected == pytest.approx(0.4063, abs=1e-4)


def test_the_same_distribution_has_not_moved() -> None:
    values = np.arange(1000.0)
    assert psi(values, values) == 0
    assert psi(values, np.repeat(values, 3)) == pytest.approx(0, abs=1e-3)


def test_ten_bins_of_ten_values_each_are_counted_up_to_and_with_their_edge() -> None:
    # Bins of 1 to 10, 11 to 20 and so on; all that is there now lies in the last.
    then, now = np.arange(1.0, 101.0), np.full(100, 95.0)
    share_then, full, none = 10.5 / 105, 100.5 / 105, 0.5 / 105
    expected = (full - share_then) * log(full / share_then) + 9 * (none - share_then) * log(none / share_then)
    assert psi(then, now) == pytest.approx(expected)


def test_what_is_missing_is_a_bin_of_its_own() -> None:
    then = np.array([1.0] * 100)
    now = np.array([1.0] * 50 + [np.nan] * 50)
    expected = (50.5 / 101 - 100.5 / 101) * log(50.5 / 100.5) + (50.5 / 101 - 0.5 / 101) * log(50.5 / 0.5)
    assert psi(then, now) == pytest.approx(expected)


def test_a_bin_that_is_empty_on_both_sides_changes_nothing() -> None:
    assert psi_of_counts(np.array([5, 0, 5]), np.array([2, 0, 8])) == psi_of_counts(np.array([5, 5]), np.array([2, 8]))


def test_a_shift_by_one_deviation_is_a_breach_and_another_draw_is_none() -> None:
    rng = np.random.default_rng(1)
    then = rng.normal(size=5000)
    assert psi(then, rng.normal(size=5000)) < 0.02
    assert psi(then, rng.normal(loc=1, size=5000)) > 0.25


def test_nothing_can_not_be_compared() -> None:
    with pytest.raises(ValueError, match="without values"):
        psi(np.array([]), np.array([1.0]))
