"""What follows what and what is bought together, worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from recsys.candidates import make_generator
from recsys.errors import ContractError
from recsys.settings import CandidateSettings, load_settings
from tests.support.matrices import baskets_of, history_of

LONG = 1e9  # days: no decay
# Two customers and a guest; columns 0 to 3, step by step.
#   0: {0}, then {1, 2}, then {3}      1: {0}, then {1}      guest: {2, 3}
LINES = baskets_of(
    [-1, -1, 0, 0, 0, 0, 1, 1], [2, 3, 0, 1, 2, 3, 0, 1], [0, 0, 0, 1, 1, 2, 0, 1], ages=[5, 5, 3, 2, 2, 1, 2, 1]
)
COUNTS = np.array([[1, 1, 1, 1], [1, 1, 0, 0]])


def fitted(name: str, **chosen: float):
    history = history_of(COUNTS, lines=LINES)
    generator = make_generator(name)
    generator.fit(history, load_settings(candidates=CandidateSettings(**chosen)))
    return generator, history


def test_transitions_by_distance() -> None:
    plain = {"transition_half_life_days": LONG, "transition_damping": 0, "transition_shrinkage": 0}
    generator, _ = fitted("transitions", transition_window=2, **plain)
    # 0 was turned to twice: 1 followed both times, 2 once, 3 once at distance two. 1 was turned to twice too, and 3
    # followed it once; 2 once, and 3 followed. Guests have no sequence, and what is in one basket doesn't follow.
    expected = [[0, 2 / 2, 1 / 2, 1 / 2 / 2], [0, 0, 0, 1 / 2], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert generator.state()["weights"].toarray() == pytest.approx(np.array(expected))


def test_transitions_within_the_window_with_decay_damping_and_shrinkage() -> None:
    generator, _ = fitted(
        "transitions",
        transition_window=1,
        transition_half_life_days=1,
        transition_damping=0.5,
        transition_shrinkage=2,
    )
    mass_1, mass_2, mass_3 = 0.25 + 0.5, 0.25, 0.5  # decayed to the age of each basket: 2 days and 1, 2, 1
    expected = np.zeros((4, 4))
    expected[0, 1] = (0.25 + 0.5) / ((2 + 2) * mass_1**0.5)
    expected[0, 2] = 0.25 / ((2 + 2) * mass_2**0.5)
    expected[1, 3] = 0.5 / ((2 + 2) * mass_3**0.5)
    expected[2, 3] = 0.5 / ((1 + 2) * mass_3**0.5)
    assert generator.state()["weights"].toarray() == pytest.approx(expected)


def test_co_purchase_counts_guests_and_shrinks() -> None:
    generator, _ = fitted(
        "co_purchase", co_purchase_half_life_days=LONG, co_purchase_damping=0, co_purchase_shrinkage=1
    )
    # Together were 1 and 2 (a customer's), 2 and 3 (a guest's). Baskets: 1 in two, 2 in two, 3 in two.
    expected = np.zeros((4, 4))
    expected[1, 2] = expected[2, 1] = expected[2, 3] = expected[3, 2] = 1 / 3
    assert generator.state()["weights"].toarray() == pytest.approx(expected)


def test_with_full_damping_co_purchase_is_the_lift_up_to_a_factor() -> None:
    generator, _ = fitted(
        "co_purchase", co_purchase_half_life_days=LONG, co_purchase_damping=1, co_purchase_shrinkage=0
    )
    weights, baskets = generator.state()["weights"].toarray(), 6
    lift = (1 / baskets) / ((2 / baskets) * (2 / baskets))
    assert weights[1, 2] * baskets == pytest.approx(lift)


def test_large_baskets_say_less_of_each_pair() -> None:
    lines = baskets_of([0] * 7, [0, 1, 0, 2, 3, 4, 5], [0, 0, 1, 1, 1, 1, 1], ages=[2, 2, 1, 1, 1, 1, 1])
    generator = make_generator("co_purchase")
    chosen = CandidateSettings(co_purchase_half_life_days=LONG, co_purchase_damping=0, co_purchase_shrinkage=0)
    generator.fit(history_of(np.ones((1, 6)), lines=lines), load_settings(candidates=chosen))
    weights = generator.state()["weights"].toarray()
    assert weights[0, 1] == pytest.approx(weights[0, 2] * np.sqrt(4))


@pytest.mark.parametrize("name", ["transitions", "co_purchase"])
def test_what_was_turned_to_last_counts_most(name: str) -> None:
    generator, history = fitted(name, sequence_decay=0.5)
    latest = history_of(COUNTS, recency=np.array([[3, 2, 2, 1], [2, 1, 0, 0]]))
    assert generator.own(latest, np.array([0, 1], np.int32)).toarray() == pytest.approx(
        np.array([[0.25, 0.5, 0.5, 1], [0.5, 1, 0, 0]])
    )
    assert history.shape == latest.shape


def test_a_history_without_lines_is_told() -> None:
    with pytest.raises(ContractError, match="lines"):
        make_generator("transitions").fit(replace(history_of(COUNTS), lines=None), load_settings())
