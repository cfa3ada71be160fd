"""Popularity of everyone, of a group and of a category, worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.candidates import make_generator
from recsys.candidates.popularity import lower_share
from recsys.history import History
from recsys.settings import CandidateSettings, load_settings
from tests.support.matrices import catalogue_of, history_of

SETTINGS = load_settings(candidates=CandidateSettings(group_prior=10.0))
EVERYONE = "Popular now: {recent_buyers} customers bought this in the last {recent_days}."


def fitted(name: str, history: History):
    generator = make_generator(name)
    generator.fit(history, SETTINGS)
    return generator


def scores(name: str, history: History, *users: int) -> np.ndarray:
    found = fitted(name, history).scores(history, np.array(users, np.int32))
    return found if isinstance(found, np.ndarray) else found.toarray()


def told(name: str, history: History, user: int, column: int) -> str:
    [sentence] = fitted(name, history).sentences(history, np.array([user], np.int32), np.array([column]))
    return sentence


def test_all_time_counts_buyers_and_not_lines() -> None:
    history = history_of(np.array([[9, 1, 0], [0, 1, 0]]), popularity=np.zeros(3))
    assert scores("popularity_all", history, 0).tolist() == [[1, 2, -np.inf]]
    assert told("popularity_all", history, 0, 1) == "A favourite: 2 customers have bought this."


def windows(recent: list[int], earlier: list[int], customers: int = 60) -> History:
    """Return a history in which so many customers bought each product in the two windows.

    In both, all customers bought the last product, so that the shop as a whole neither grows nor shrinks.
    """
    matrices = {
        name: np.array([[float(user < count) for count in (*counts, customers)] for user in range(customers)])
        for name, counts in (("recent", recent), ("earlier", earlier))
    }
    return history_of(matrices["recent"] + matrices["earlier"], **matrices)


def test_the_lower_bound_of_a_share_by_hand() -> None:
    # Wilson with z = 1.645, z^2 = 2.706. For 3 of 4: (.75 + .3383 - 1.645 sqrt(.046875 + .04229)) / 1.6765
    # = (1.0883 - .4912) / 1.6765 = .3561. For 30 of 40: (.75 + .03383 - 1.645 sqrt(.0046875 + .000423)) / 1.06765
    # = (.78383 - .11760) / 1.06765 = .6240.
    found = lower_share(np.array([3.0, 30, 0, 0]), np.array([4.0, 40, 0, 5]))
    assert found == pytest.approx([0.3561, 0.6240, 0, 0], abs=1e-3)


def test_few_buyers_more_are_no_trend() -> None:
    # The growth is at least .3561 / .6439 = .55 for 1 -> 3, and .6240 / .3760 = 1.660 for 10 -> 30, which is
    # 30 - 30 / 1.660 = 11.92 buyers more than without growing.
    history = windows(recent=[3, 30, 10], earlier=[1, 10, 10])
    found = scores("popularity_trending", history, 0)[0]
    assert found[1] == pytest.approx(11.92, abs=0.03)
    assert np.isneginf(found[[0, 2, 3]]).all()
    assert told("popularity_trending", history, 0, 1) == (
        "On the rise: 30 customers bought this in the last {recent_days}, 10 in the {recent_days} before."
    )


def test_a_product_that_grows_as_the_shop_does_is_no_trend() -> None:
    # Twice as many customers come as before: 10 -> 20 is what every product did.
    recent = np.array([[float(user < 20), 1.0] for user in range(60)])
    earlier = np.array([[float(user < 10), float(user < 30)] for user in range(60)])
    history = history_of(recent + earlier, recent=recent, earlier=earlier)
    assert np.isneginf(scores("popularity_trending", history, 0)).all()


def test_without_a_window_before_nothing_is_a_trend() -> None:
    history = history_of(np.ones((40, 3)))
    assert np.isneginf(scores("popularity_trending", history, 0)).all()


def segmented(counts: np.ndarray, segments: list[str]) -> History:
    return history_of(counts, segments=segments, markets=segments)


@pytest.mark.parametrize("name", ["popularity_segment", "popularity_market"])
def test_shares_of_a_group_by_hand(name: str) -> None:
    # Four customers are active, two of them of group a; the fifth is of b and bought nothing lately.
    counts = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0]])
    history = segmented(counts, ["a", "a", "b", "b", "b"])
    # everyone: 2/4 and 3/4. a: (2 + 10 * .5) / (2 + 10), (1 + 10 * .75) / 12. b: (0 + 5) / 12, (2 + 7.5) / 12
    assert scores(name, history, 0, 4) == pytest.approx(
        np.array([[7 / 12, 8.5 / 12, -np.inf], [5 / 12, 9.5 / 12, -np.inf]]), abs=1e-6
    )


def test_a_big_group_goes_its_own_way_and_a_small_one_does_not() -> None:
    # In the big group (100 customers) all buy product 1, everyone else product 0; the small group has one customer.
    counts = np.array([[0, 1]] * 100 + [[1, 0]] * 200 + [[0, 1]])
    history = segmented(counts, ["big"] * 100 + ["rest"] * 200 + ["small"])
    big, small = scores("popularity_segment", history, 0, 300)
    assert big[1] > big[0]
    assert small[0] > small[1]


def test_a_group_that_the_fit_did_not_know_gets_what_everyone_buys() -> None:
    history = segmented(np.array([[1, 0], [1, 1]]), ["a", "b"])
    generator = fitted("popularity_segment", history)
    later = segmented(np.array([[0, 0], [1, 0], [1, 1]]), ["c", "b", "a"])
    found = generator.scores(later, np.arange(3, dtype=np.int32))
    assert found[0] == pytest.approx([1.0, 0.5])
    assert found[1] == pytest.approx([11 / 11, 6 / 11])
    assert found[2] == pytest.approx([11 / 11, 5 / 11])


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.integers(0, 1), min_size=4, max_size=4), min_size=1, max_size=9))
def test_one_segment_of_all_is_popularity(rows: list[list[int]]) -> None:
    history = segmented(np.array(rows), ["all"] * len(rows))
    plain, grouped = (scores(name, history, 0)[0] for name in ("popularity", "popularity_segment"))
    assert (np.isfinite(plain) == np.isfinite(grouped)).all()
    shares = plain / max((np.array(rows).sum(axis=1) > 0).sum(), 1)
    assert grouped == pytest.approx(shares, abs=1e-6)


def test_a_sentence_about_a_group_needs_five_buyers_and_a_name() -> None:
    counts = np.array([[1, 1]] * 4 + [[1, 0]] + [[1, 1]] * 9)
    history = segmented(counts, ["seniors"] * 5 + ["unknown"] * 9)
    expected = "Popular with our seniors customers: 5 bought this in the last {recent_days}."
    assert told("popularity_segment", history, 0, 0) == expected
    assert told("popularity_segment", history, 0, 1) == EVERYONE
    assert told("popularity_segment", history, 9, 0) == EVERYONE
    there = "Popular where you shop: 5 customers who shop there bought this in the last {recent_days}."
    assert told("popularity_market", history, 0, 0) == there


PATHS = ["Food > Bread > Rye", "Food > Bread > Rye", "Food > Bread > Wheat", "Home > Lamps > Lamps"]


def test_best_sellers_of_a_category_by_hand() -> None:
    # The customer's interest is log 2 each in Rye (product 0) and Lamps (product 3): half of it each.
    counts = np.array([[1, 0, 0, 1]])
    buyers = np.array([20.0, 10.0, 40.0, 5.0])
    history = history_of(counts, popularity=buyers, catalogue=catalogue_of(categories=PATHS))
    rye, bread, lamps = 30 + 30, 70 + 30, 5 + 30
    expected = [
        0.6 * 0.5 * 20 / rye + 0.4 * 0.5 * 20 / bread,
        0.6 * 0.5 * 10 / rye + 0.4 * 0.5 * 10 / bread,
        0.4 * 0.5 * 40 / bread,
        0.5 * 5 / lamps,  # the only product of its category: not its best seller for sure
    ]
    assert scores("popularity_category", history, 0)[0] == pytest.approx(expected, abs=1e-6)


def test_a_category_of_one_product_does_not_win_by_being_alone() -> None:
    paths = ["Big > Big"] * 3 + ["Small > Small"]
    history = history_of(
        np.array([[1, 0, 0, 1]]), popularity=np.array([300.0, 200, 100, 1]), catalogue=catalogue_of(categories=paths)
    )
    assert scores("popularity_category", history, 0)[0].argmin() == 3


def test_the_sentence_names_the_category_that_the_customer_turned_to() -> None:
    history = history_of(np.array([[1, 0, 0, 0], [0, 0, 0, 0]]), catalogue=catalogue_of(categories=PATHS))
    rest = ", where you look: {recent_buyers} customers bought this in the last {recent_days}."
    assert told("popularity_category", history, 0, 1) == f"Popular in Rye{rest}"
    assert told("popularity_category", history, 0, 2) == f"Popular in Bread{rest}"
    nameless = history_of(np.array([[1, 0]]), catalogue=catalogue_of(titles=["a", "b"]))
    assert told("popularity_category", nameless, 0, 1) == EVERYONE
