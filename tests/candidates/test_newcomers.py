"""Newcomers: the formula by hand, whom it speaks to, and that what it learned finds planted groups."""

from math import exp, log, sqrt

import numpy as np
import pytest

from recsys.candidates import make_generator
from recsys.candidates.newcomers import FEWEST
from recsys.history import History
from recsys.settings import CandidateSettings, load_settings
from tests.support.matrices import history_of, traits_of

SETTINGS = load_settings(candidates=CandidateSettings(group_prior=10.0, newcomer_lines=3, newcomer_days=28))


def scores(history: History, *users: int) -> np.ndarray:
    generator = make_generator("newcomers")
    generator.fit(history, SETTINGS)
    return np.asarray(generator.scores(history, np.array(users, np.int32)))


def two_groups(ages: tuple[str, str] = ("young", "old")) -> History:
    """Return 60 customers of each of two segments who bought one product each, and a newcomer of either.

    Those of segment a bought product 0, those of b product 1; half of each group also bought product 2.
    """
    counts = np.zeros((122, 3))
    counts[:60, 0] = counts[60:120, 1] = 5
    counts[:120:2, 2] = 5
    segments = ["a"] * 60 + ["b"] * 60 + ["a", "b"]
    traits = traits_of([{"age": ages[segment == "b"]} for segment in segments])
    return history_of(counts, segments=segments, traits=traits, first_days=counts * 100)


def test_the_formula_by_hand() -> None:
    # 120 customers are active; half of everyone bought each product. Of the newcomer's segment and of those of the
    # same age (60 each) all bought product 0 and none product 1.
    often, never = log((60 + 10 * 0.5) / 70 / 0.5), log((0 + 10 * 0.5) / 70 / 0.5)
    expected = [0.5 * exp(2 * often / sqrt(2)), 0.5 * exp(2 * never / sqrt(2)), 0.5]
    assert scores(two_groups(), 120)[0] == pytest.approx(expected, rel=1e-5)


def test_a_newcomer_gets_what_the_group_buys() -> None:
    found = scores(two_groups(), 120, 121)
    assert found.argmax(axis=1).tolist() == [0, 1]


def test_only_new_and_light_customers_are_spoken_to() -> None:
    counts = np.array([[4.0, 0], [3, 0], [4, 0], [0, 0]])
    first = np.array([[29.0, 0], [400, 0], [28, 0], [0, 0]])
    found = scores(history_of(counts, first_days=first), 0, 1, 2, 3)
    assert np.isfinite(found).any(axis=1).tolist() == [False, True, True, True]


def test_a_customer_of_whom_nothing_is_known_gets_what_everyone_buys() -> None:
    fitted = make_generator("newcomers")
    fitted.fit(two_groups(), SETTINGS)
    stranger = history_of(np.zeros((1, 3)), segments=["never seen"], traits=traits_of([{"age": "unheard of"}]))
    assert fitted.scores(stranger, np.zeros(1, np.int32))[0] == pytest.approx([0.5, 0.5, 0.5])


def test_a_value_that_few_customers_have_is_left_out() -> None:
    for few, is_used in ((FEWEST - 1, False), (FEWEST, True)):
        counts = np.zeros((61, 2))
        counts[:60, 0] = 5
        counts[:few, 1] = 5
        traits = traits_of([{"pet": "cat"} if row < few or row == 60 else {} for row in range(61)])
        generator = make_generator("newcomers")
        generator.fit(history_of(counts, traits=traits), SETTINGS)
        assert ("pet=cat" in generator.state()["names"].tolist()) is is_used


def test_a_small_segment_falls_back_to_everyone() -> None:
    counts = np.zeros((202, 2))
    counts[:200, 0], counts[200, 1] = 5, 5
    history = history_of(counts, segments=["big"] * 200 + ["small"] * 2)
    assert scores(history, 201)[0].argmax() == 0


def test_the_sentence_tells_of_the_segment() -> None:
    history = two_groups()
    generator = make_generator("newcomers")
    generator.fit(history, SETTINGS)
    users, columns = np.array([120, 120], np.int32), np.array([0, 1])
    assert generator.sentences(history, users, columns) == [
        "Popular with our a customers: 60 bought this in the last {recent_days}.",
        "Popular now: {recent_buyers} customers bought this in the last {recent_days}.",
    ]


def test_nobody_bought_anything_lately() -> None:
    history = history_of(np.ones((3, 2)), recent=np.zeros((3, 2)))
    assert np.isneginf(scores(history, 0, 1, 2)).all()
