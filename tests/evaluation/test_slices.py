"""Slices: who is in which, worked by hand."""

import numpy as np

from recsys.evaluation.slices import Slice, customer_slices, item_slices


def members(slices: list[Slice]) -> dict[str, list[int]]:
    return {one.name: one.members.tolist() for one in slices}


def test_customers_by_age_and_thirds_of_purchases() -> None:
    users = np.arange(10, 18)
    # The last two came within 28 days; the others have 1 to 6 lines: thirds at 2.67 and 4.33.
    lines, days = np.array([1, 2, 3, 4, 5, 6, 99, 1]), np.array([90, 90, 90, 90, 90, 29, 28, 3])
    found = customer_slices(users, lines, days, new_days=28, segments={"b": [10, 17], "a": np.array([11])})
    assert members(found) == {
        "new customers": [16, 17],
        "light customers": [10, 11],
        "medium customers": [12, 13],
        "heavy customers": [14, 15],
        "segment: a": [11],
        "segment: b": [10, 17],
    }
    assert {one.kind for one in found} == {"customers"}


def test_everybody_new_leaves_the_thirds_empty() -> None:
    found = members(customer_slices(np.arange(3), np.ones(3, int), np.ones(3), new_days=28))
    assert [len(own) for own in found.values()] == [3, 0, 0, 0]


def test_no_customers_at_all() -> None:
    none = np.empty(0, int)
    assert all(not own for own in members(customer_slices(none, none, none.astype(float), new_days=28)).values())


def test_customers_who_are_all_alike_are_light() -> None:
    found = members(customer_slices(np.arange(4), np.full(4, 7), np.full(4, 90), new_days=28))
    assert [len(own) for own in found.values()] == [0, 4, 0, 0]


def test_the_head_has_half_of_the_purchases() -> None:
    # 40 + 30 of 130 reach half with the second product; product 5 is new and counts to neither.
    items, lines = np.array([3, 4, 5, 6, 7]), np.array([20, 40, 500, 40, 30])
    days = np.array([90.0, 90, 5, np.nan, 90])
    found = item_slices(items, lines, days, new_days=28)
    assert members(found) == {"new products": [5], "head products": [4, 6], "tail products": [7, 3]}
    assert {one.kind for one in found} == {"products"}


def test_equal_products_go_to_the_head_by_their_number() -> None:
    found = members(item_slices(np.array([9, 2, 5, 1]), np.full(4, 10), None, new_days=28))
    assert found == {"new products": [], "head products": [1, 2], "tail products": [5, 9]}


def test_no_products_at_all() -> None:
    none = np.empty(0, int)
    assert all(not own for own in members(item_slices(none, none, None, new_days=28)).values())
