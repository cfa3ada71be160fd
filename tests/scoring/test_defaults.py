"""The default lists: smoothed by hand, as the generators do, and in sentences that say what is true."""

from typing import Any

import duckdb
import pytest

from recsys.assets import read_sql

SEGMENTS = ("young", "old")


def rows_of(buyers: dict[tuple[str, str], int], *, prior: float = 10.0, age: float = 3, items: int = 2) -> list[Any]:
    """Return the default lists of a shop in which so many customers of a segment bought a product.

    Each segment's customers are the fewest that its best seller needs.
    """
    with duckdb.connect() as connection:
        connection.execute(
            "create table items as select range::integer as item_idx, 'i' || range as item_id from range(3)"
        )
        connection.execute("create table eligible as select item_idx from items")
        connection.execute(
            "create table users as select range::integer as user_idx, "
            "case when range < 100 then 'young' else 'old' end as segment from range(200)"
        )
        connection.execute("create table purchases (item_idx integer, user_idx integer, age double)")
        for (segment, item), count in buyers.items():
            first = SEGMENTS.index(segment) * 100
            connection.execute(
                "insert into purchases select $1, $2 + range, $3 from range($4)", [int(item[1:]), first, age, count]
            )
        return connection.execute(
            read_sql("scoring", "defaults.sql"), {"recent_days": 28, "items": items, "prior": prior, "fewest": 5}
        ).fetchall()


def test_segments_are_smoothed_towards_everyone() -> None:
    # 20 young customers are active (15 bought i1) and 60 old ones (60 bought i0): 80 in all. For the young, i0 has
    # (20 * 80 + 10 * 80) / (20 + 10) = 80, i1 (15 * 80 + 10 * 15) / 30 = 45. For the old ones, i0 (60 * 80 +
    # 10 * 80) / 70 = 80, i1 (0 + 10 * 15) / 70.
    rows = rows_of({("young", "i0"): 20, ("young", "i1"): 15, ("old", "i0"): 60})
    assert [(row[0], row[2], row[3]) for row in rows] == [
        ("*", 1, "i0"),
        ("*", 2, "i1"),
        ("segment:old", 1, "i0"),
        ("segment:old", 2, "i1"),
        ("segment:young", 1, "i0"),
        ("segment:young", 2, "i1"),
    ]
    assert [row[5] for row in rows] == pytest.approx([80, 15, 80, 150 / 70, 80, 45])


def test_few_customers_do_not_decide_a_segments_list() -> None:
    buyers = {("young", "i2"): 2, ("old", "i0"): 90, ("old", "i1"): 30}
    assert [row[3] for row in rows_of(buyers) if row[0] == "segment:young"] == ["i0", "i1"]
    # Where nothing is added the segment goes its own way.
    assert [row[3] for row in rows_of(buyers, prior=0.01) if row[0] == "segment:young"] == ["i2", "i0"]


def test_sentences_tell_the_segments_buyers_where_they_are_enough() -> None:
    rows = rows_of({("young", "i0"): 5, ("old", "i1"): 4})
    assert {(row[0], row[3]): row[-1] for row in rows} == {
        ("*", "i0"): "You are new here: 5 of our customers bought this in the last 28 days.",
        ("*", "i1"): "You are new here: 4 of our customers bought this in the last 28 days.",
        ("segment:young", "i0"): "You are new here: 5 of our young customers bought this in the last 28 days.",
        ("segment:young", "i1"): "You are new here: 4 of our customers bought this in the last 28 days.",
        ("segment:old", "i1"): "You are new here: 4 of our customers bought this in the last 28 days.",
        ("segment:old", "i0"): "You are new here: 5 of our customers bought this in the last 28 days.",
    }


def test_what_nobody_bought_lately_is_not_told_as_bought() -> None:
    rows = rows_of({("young", "i0"): 9}, age=99)
    assert {row[-1] for row in rows} == {"You are new here: this is part of our range."}
    assert {row[5] for row in rows} == {0}
    assert [row[3] for row in rows] == ["i0", "i1"] * 3
