"""Exploration: seeded draws into the last visible place, with their propensity."""

import numpy as np
import pytest

from recsys.shaping.exploration import draw, explore

CHOSEN = np.array([[0, 1, 2, 3, 4]])
THERE = np.ones((1, 7), bool)


def explored(
    which: float, *, chosen: np.ndarray = CHOSEN, there: np.ndarray = THERE, visible: int = 3
) -> tuple[list, list]:
    lists, propensity = explore(chosen, there, np.array([[0.1, which]]), 0.2, visible)
    return lists[0].tolist(), propensity[0].tolist()


@pytest.mark.parametrize(
    ("which", "expected"),
    [(0.0, [0, 1, 3, 2, 4]), (0.3, [0, 1, 4, 2, 3]), (0.5, [0, 1, 5, 2, 3]), (0.99, [0, 1, 6, 2, 3])],
)
def test_a_deeper_product_takes_the_last_visible_place(which: float, expected: list[int]) -> None:
    lists, propensity = explored(which)
    assert lists == expected
    # Four products stood below the third place, and one list in five explores.
    assert propensity[2] == pytest.approx(0.2 / 4)
    assert np.isnan(propensity)[[0, 1, 3, 4]].all()


def test_lists_that_are_not_drawn_stay() -> None:
    lists, propensity = explore(CHOSEN, THERE, np.array([[0.2, 0.5]]), 0.2, 3)
    assert lists.tolist() == CHOSEN.tolist()
    assert np.isnan(propensity).all()


@pytest.mark.parametrize(
    ("chosen", "there"),
    [
        (np.array([[0, 1, 2, -1, -1]]), np.array([[True] * 3 + [False] * 4])),  # nothing is deeper down
        (np.array([[0, 1, -1, -1, -1]]), np.array([[True] * 2 + [False] * 5])),  # the list is short
    ],
)
def test_nothing_to_draw(chosen: np.ndarray, there: np.ndarray) -> None:
    lists, propensity = explored(0.5, chosen=chosen, there=there)
    assert lists == chosen[0].tolist()
    assert np.isnan(propensity).all()


def test_lists_without_spare_rows_explore_as_well() -> None:
    lists, _ = explored(0.0, chosen=CHOSEN[:, :3])
    assert lists == [0, 1, 3]
    assert explored(0.0, visible=9)[0] == CHOSEN[0].tolist()


def test_draws_are_uniform_and_their_own_for_each_customer_seed_and_moment() -> None:
    users = np.arange(20_000)
    drawn = draw(users, 7, 1_700_000_000)
    assert drawn.shape == (20_000, 2)
    for column in drawn.T:
        counts = np.histogram(column, 10, (0, 1))[0]
        assert abs(counts - 2000).max() < 200
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.03
    assert (draw(users[5:9], 7, 1_700_000_000) == drawn[5:9]).all()
    for other in (draw(users, 8, 1_700_000_000), draw(users, 7, 1_700_086_400)):
        assert abs(np.corrcoef(other[:, 0], drawn[:, 0])[0, 1]) < 0.03
