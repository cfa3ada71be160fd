"""How much lists change, worked by hand."""

import numpy as np
import pytest

from recsys.evaluation.champion import changes
from recsys.lists import Lists


def lists(**rows: list[int]) -> Lists:
    parts = [(int(user[1:]), item, rank) for user, items in rows.items() for rank, item in enumerate(items, 1)]
    return Lists(*np.array(parts, np.int32).reshape(-1, 3).T)


def test_changes_are_counted_over_customers_who_have_both_lists() -> None:
    before = lists(u1=[1, 2, 3], u2=[1, 2], u3=[4, 5], u8=[1])
    # 1: another order is the same list; 2: one of two is new; 3: one is gone, none new.
    after = lists(u1=[3, 1, 2], u2=[1, 7], u3=[4], u9=[1])
    found = changes(before, after)
    assert found == {"new_products": pytest.approx(1 / 3), "same_lists": pytest.approx(1 / 3)}


def test_only_the_ten_that_are_seen_count() -> None:
    found = changes(lists(u1=list(range(12))), lists(u1=[*range(10), 20, 21]))
    assert found == {"new_products": 0, "same_lists": 1}


def test_nobody_with_both_lists_is_no_change_to_tell() -> None:
    assert changes(lists(u1=[1]), lists(u2=[1])) == {}
