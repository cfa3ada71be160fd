"""Ranking within customers, against a plain sort."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.lists import rank_within

ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 30), st.sampled_from([-np.inf, -1.5, 0.0, 0.5, 2.0, np.inf])),
    max_size=60,
    unique_by=lambda row: row[:2],
)


@given(rows=ROWS, k=st.integers(1, 12), is_grouped=st.booleans())
def test_the_first_k_of_each_customer(rows: list[tuple[int, int, float]], k: int, is_grouped: bool) -> None:
    if is_grouped:
        rows.sort(key=lambda row: row[0])
    users, items, scores = (
        np.array([row[place] for row in rows], kind) for place, kind in enumerate((int, int, float))
    )
    expected = []
    for user in sorted(set(users.tolist())):
        own = sorted((row for row in rows if row[0] == user), key=lambda row: (-row[2], row[1]))[:k]
        expected += [(user, item, rank) for rank, (_, item, _) in enumerate(own, 1)]
    order, rank = rank_within(users, items, scores, k)
    assert list(zip(users[order].tolist(), items[order].tolist(), rank.tolist(), strict=True)) == expected
