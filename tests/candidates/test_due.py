"""What is due: the formula by hand, and what it must do whatever the numbers."""

import numpy as np
import pytest

from recsys.candidates import make_generator
from recsys.candidates.due import EXPOSURE, GAPS, OWN_GAPS
from recsys.history import History
from recsys.settings import CandidateSettings, load_settings
from tests.support.matrices import catalogue_of, history_of

SETTINGS = load_settings(candidates=CandidateSettings(due_days=28.0, due_prior=0.3, due_patience=5.0))


def bought(purchases: list[list[float]], first: list[list[float]], last: list[list[float]], **more) -> History:
    return history_of(np.array(purchases), first_days=np.array(first), last_days=np.array(last), **more)


def scores(history: History) -> np.ndarray:
    generator = make_generator("due")
    generator.fit(history, SETTINGS)
    return generator.scores(history, np.arange(history.shape[0], dtype=np.int32)).toarray()


def shrunk(gaps: float, own: float, prior: float, weight: float) -> float:
    """Return the geometric mean of two intervals."""
    return float(np.exp((gaps * np.log(own) + weight * np.log(prior)) / (gaps + weight)))


def test_the_formula_by_hand() -> None:
    # Product 0: bought 3 times by one customer, 40 to 10 days ago (2 gaps of 15 days), once by another, 60 days
    # ago. Product 1, of another category: once, 20 days ago.
    history = bought(
        [[3, 0], [1, 1]],
        [[40, 0], [60, 20]],
        [[10, 0], [60, 20]],
        catalogue=catalogue_of(categories=["a", "b"]),
    )
    everything = shrunk(2, 15, 28, GAPS)
    in_a = shrunk(2, 15, everything, GAPS)
    interval = shrunk(2, 15, in_a, GAPS), everything
    overall = 2 / (40 + 60 + 20)
    rate_a, rate_b = (2 + EXPOSURE * overall) / (100 + EXPOSURE), EXPOSURE * overall / (20 + EXPOSURE)
    again = (
        (2 + EXPOSURE * rate_a) / (100 + EXPOSURE) / overall,
        EXPOSURE * rate_b / (20 + EXPOSURE) / overall,
    )

    def score(weight: float, column: int, expected: float, last: float) -> float:
        becoming = min(1.0, (last + 28) / expected)
        return (weight + 0.3 * again[column]) * becoming / (1 + last / (5 * expected))

    expected = [
        [score(3, 0, shrunk(2, 15, interval[0], OWN_GAPS), 10), 0],
        [score(1, 0, interval[0], 60), score(1, 1, interval[1], 20)],
    ]
    assert scores(history) == pytest.approx(np.array(expected), rel=1e-5)


def test_the_score_rises_until_the_product_is_due_and_falls_when_it_is_overdue() -> None:
    # Each customer bought the one product 4 times, 100 days apart, the last time so many days ago.
    last = np.array([1, 10, 40, 60, 80, 300, 900, 3000])
    counts = np.full((len(last), 1), 4.0)
    found = scores(history_of(counts, first_days=(last + 300)[:, None], last_days=last[:, None])).ravel()
    peak = int(found.argmax())
    assert last[peak] in (60, 80), "the interval less the 28 days ahead"
    assert (np.diff(found[: peak + 1]) > 0).all()
    assert (np.diff(found[peak:]) < 0).all()


def test_what_is_bought_again_and_again_comes_before_what_is_bought_once() -> None:
    # Bread is bought again by the others, a lamp by none; the first customer bought each once.
    counts = np.array([[1, 1]] + [[6, 1]] * 20, float)
    history = history_of(counts, catalogue=catalogue_of(categories=["Bread", "Lamps"]))
    assert scores(history)[0, 0] > scores(history)[0, 1]


def test_a_new_product_takes_the_interval_of_its_category() -> None:
    # Yoghurt is bought every 10 days, salt every 100; the last customer bought a new one of each once, 15 days ago.
    count, columns = 30, 4
    counts, first, last = (np.zeros((count + 1, columns)) for _ in range(3))
    counts[:count, 0], first[:count, 0], last[:count, 0] = 5, 45, 5
    counts[:count, 1], first[:count, 1], last[:count, 1] = 3, 205, 5
    counts[count, 2:], first[count, 2:], last[count, 2:] = 1, 15, 15
    generator = make_generator("due")
    paths = catalogue_of(categories=["Yoghurt", "Salt", "Yoghurt", "Salt"])
    history = history_of(counts, first_days=first, last_days=last, catalogue=paths)
    generator.fit(history, SETTINGS)
    days = np.exp(generator.state()["interval"])
    assert days[0] < days[2] < days[3] < days[1]
    assert days[2] == pytest.approx(10, rel=0.6)
    assert days[3] == pytest.approx(100, rel=0.6)


@pytest.mark.parametrize("counts", [np.zeros((3, 2)), np.ones((3, 2)), np.zeros((0, 2)), np.zeros((2, 0))])
def test_where_nothing_is_bought_again_it_still_answers(counts: np.ndarray) -> None:
    found = scores(history_of(counts))
    assert np.isfinite(found).all()
    assert ((found > 0) == (counts > 0)).all()


def test_purchases_of_one_moment_are_no_rhythm() -> None:
    alone = scores(bought([[2.0]], [[10.0]], [[10.0]]))
    assert np.isfinite(alone).all()
    assert alone[0, 0] > 0
