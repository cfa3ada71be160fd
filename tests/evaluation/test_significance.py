"""The paired bootstrap: against the normal interval, and where the answer is plain."""

import numpy as np
import pytest

from recsys.evaluation.significance import paired_difference

KNOBS = {"confidence": 0.95, "draws": 4000, "seed": 1}


def test_the_interval_is_that_of_the_mean() -> None:
    random = np.random.default_rng(5)
    a, b = random.normal(0.3, 1, 800), random.normal(0, 1, 800)
    found = paired_difference(a, b, **KNOBS)
    error = (a - b).std() / np.sqrt(800)
    assert found.difference == pytest.approx((a - b).mean())
    assert found.low == pytest.approx(found.difference - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(found.difference + 1.96 * error, abs=0.15 * error)


def test_pairs_are_kept_together() -> None:
    b = np.random.default_rng(5).normal(0, 100, 500)
    found = paired_difference(b + 0.1, b, **KNOBS)
    assert (found.low, found.high) == pytest.approx((0.1, 0.1))


def test_nobody_measured_is_no_difference() -> None:
    assert paired_difference(np.empty(0), np.empty(0), **KNOBS).difference == 0
