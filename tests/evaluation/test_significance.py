"""The bootstrap: against the normal interval, scipy, planted differences, and its rate of error where there is none."""

import numpy as np
import pytest
from scipy import stats

from recsys.errors import ContractError
from recsys.evaluation.significance import Difference, Estimates, Sample, Values, estimate

KNOBS = {"confidence": 0.95, "draws": 4000, "seed": 1}


def paired_difference(a: Values, b: Values, *, confidence: float, draws: int, seed: int) -> Difference:
    """Return the mean of (n,) paired differences of the same customers, as the report's comparisons estimate it."""
    sample = Sample(np.arange(len(a)), (a - b)[:, None])
    found = estimate([sample], confidence=confidence, draws=draws, seed=seed)
    return Difference(float(found.mean[0]), float(found.low[0]), float(found.high[0]), confidence)


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


def test_nobody_measured_is_no_figure() -> None:
    found = paired_difference(np.empty(0), np.empty(0), **KNOBS)
    assert np.isnan([found.difference, found.low, found.high]).all()


def test_one_customer_has_a_difference_and_no_interval() -> None:
    found = paired_difference(np.array([0.7]), np.array([0.2]), **KNOBS)
    assert found.difference == pytest.approx(0.5)
    assert np.isnan([found.low, found.high]).all()


def test_equal_models_differ_by_nothing() -> None:
    a = np.random.default_rng(1).random(50)
    found = paired_difference(a, a, **KNOBS)
    assert (found.difference, found.low, found.high) == (0, 0, 0)


@pytest.mark.parametrize("confidence", [0.9, 0.99])
def test_scipy_agrees(confidence: float) -> None:
    random = np.random.default_rng(11)
    # Skewed as per-customer metrics are: most are zero.
    a, b = (random.random(400) * (random.random(400) < share) for share in (0.4, 0.3))
    found = paired_difference(a, b, confidence=confidence, draws=40_000, seed=3)
    theirs = stats.bootstrap(
        (a, b),
        lambda x, y, axis: (x - y).mean(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        confidence_level=confidence,
        n_resamples=40_000,
        rng=np.random.default_rng(4),
    )
    error = theirs.standard_error  # a bound of 40,000 draws is itself uncertain by .03 of it at 99 %
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=0.15 * error)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=0.15 * error)


def test_the_seed_decides() -> None:
    a, b = np.random.default_rng(2).random((2, 300))
    assert paired_difference(a, b, **KNOBS) == paired_difference(a, b, **KNOBS)
    assert paired_difference(a, b, **KNOBS) != paired_difference(a, b, **{**KNOBS, "seed": 2})


def test_blocks_of_draws_are_only_a_matter_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(2).random((40, 3))
    whole = estimate([Sample(np.arange(40), values)], **KNOBS)
    monkeypatch.setattr("recsys.evaluation.significance.BLOCK", 40 * 7)
    parts = estimate([Sample(np.arange(40), values)], **KNOBS)
    assert parts.low == pytest.approx(whole.low)
    assert parts.high == pytest.approx(whole.high)


def coverage(planted: float, runs: int = 400) -> float:
    """How often the interval holds a true difference, over simulated shops."""
    random, held = np.random.default_rng(20), 0
    for run in range(runs):
        liking = random.random(150)
        a, b = ((random.random(150) < 0.5) * liking for _ in range(2))
        found = paired_difference(a + planted, b, confidence=0.95, draws=500, seed=run)
        held += found.low <= planted <= found.high
    return held / runs


def test_the_interval_holds_zero_at_its_rate_where_there_is_no_difference() -> None:
    # 400 runs: .95 with a standard error of .011.
    assert 0.92 <= coverage(0.0) <= 0.98


def test_a_planted_difference_is_held_at_the_same_rate() -> None:
    assert 0.92 <= coverage(0.03) <= 0.98


def test_a_planted_difference_is_found() -> None:
    random = np.random.default_rng(9)
    b = random.random(2000)
    found = paired_difference(b + random.normal(0.01, 0.1, 2000), b, **KNOBS)
    assert found.low > 0
    assert found.low < 0.01 < found.high


def over_cuts(*cuts: tuple[list[str], list[float]]) -> Estimates:
    return estimate([Sample(np.array(ids), np.array(values)[:, None]) for ids, values in cuts], **KNOBS)


def test_the_mean_of_the_cuts_weighs_each_cut_alike() -> None:
    # Means 2 and 5, though the first cut has three customers and the second one.
    found = over_cuts((["a", "b", "c"], [1.0, 2.0, 3.0]), (["a"], [5.0]))
    assert found.mean == pytest.approx([3.5])


def test_a_customer_is_drawn_with_all_their_cuts() -> None:
    # At each cut half the customers are far up and half far down, and the other way round at the next: a customer's
    # own cuts cancel, so drawing customers whole leaves nothing to vary.
    ids = [f"u{n}" for n in range(60)]
    up = [10.0 if n % 2 else -10.0 for n in range(60)]
    found = over_cuts((ids, up), (ids, [-value for value in up]))
    assert (found.low[0], found.high[0]) == pytest.approx((0, 0))


def test_equal_cuts_are_no_more_certain_than_one() -> None:
    # Four copies of one cut hold no news: the interval must not shrink, as it would were they independent.
    random = np.random.default_rng(3)
    ids, values = [f"u{n}" for n in range(300)], list(random.normal(0, 1, 300))
    one, four = over_cuts((ids, values)), over_cuts(*[(ids, values)] * 4)
    assert four.high - four.low == pytest.approx(one.high - one.low)


def test_other_customers_at_each_cut_make_the_mean_sharper() -> None:
    random = np.random.default_rng(3)
    cuts = [([f"{cut}-{n}" for n in range(300)], list(random.normal(0, 1, 300))) for cut in range(4)]
    one, four = over_cuts(cuts[0]), over_cuts(*cuts)
    # Half as wide: a standard error falls with the root of their number.
    assert (four.high - four.low) / (one.high - one.low) == pytest.approx(0.5, abs=0.08)


def test_over_cuts_the_interval_holds_zero_at_its_rate() -> None:
    random, held, runs = np.random.default_rng(6), 0, 300
    for run in range(runs):
        own = random.normal(0, 1, 120)  # what a customer is like at every cut
        cuts = []
        for _ in range(3):
            there = random.random(120) < 0.7
            cuts.append(Sample(np.flatnonzero(there), (own + random.normal(0, 1, 120))[there][:, None]))
        found = estimate(cuts, confidence=0.95, draws=400, seed=run)
        held += found.low[0] <= 0 <= found.high[0]
    assert 0.91 <= held / runs <= 0.985


def test_a_figure_that_is_undefined_for_a_customer_leaves_them_out() -> None:
    values = np.array([[1.0, np.nan], [3.0, 8.0], [5.0, 8.0]])
    found = estimate([Sample(np.arange(3), values)], **KNOBS)
    assert found.mean == pytest.approx([3, 8])
    assert (found.low[1], found.high[1]) == pytest.approx((8, 8))


def test_a_customer_twice_at_a_cut_is_an_error() -> None:
    with pytest.raises(ContractError, match="twice at one cut"):
        estimate([Sample(np.array([1, 1]), np.zeros((2, 1)))], **KNOBS)


def test_no_cut_is_an_error() -> None:
    with pytest.raises(ContractError, match="no cut"):
        estimate([], **KNOBS)


def test_what_customers_are_called_is_of_no_matter() -> None:
    """Names are pseudonyms that differ from home to home: the same measurements have the same intervals."""
    values = np.random.default_rng(3).normal(size=(2, 50, 1))
    named = [
        estimate(
            [Sample(np.asarray(names[:50]), values[0]), Sample(np.asarray(names[10:]), values[1])],
            confidence=0.9,
            draws=40,
            seed=1,
        )
        for names in ([f"c{number:02d}" for number in range(60)], [f"c{number:02d}" for number in range(60)][::-1])
    ]
    assert named[0].low == named[1].low
    assert named[0].high == named[1].high
