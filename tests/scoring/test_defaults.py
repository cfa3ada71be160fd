"""The sentences of the default lists say what is true."""

import duckdb

from recsys.assets import read_sql


def test_what_nobody_bought_lately_is_not_told_as_bought() -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "create table items as select range::integer as item_idx, 'i' || range as item_id from range(3)"
        )
        connection.execute("create table eligible as select item_idx from items")
        connection.execute("create table users as select 0 as user_idx, 'young' as segment union all select 1, 'old'")
        connection.execute(
            "create table purchases as select 0 as item_idx, 0 as user_idx, 3 as age union all select 1, 1, 99"
        )
        rows = connection.execute(read_sql("scoring", "defaults.sql"), {"recent_days": 28, "items": 2}).fetchall()
    assert {(row[0], row[3]): row[-1] for row in rows} == {
        ("*", "i0"): "You are new here: 1 of our customers bought this in the last 28 days.",
        ("*", "i1"): "You are new here: this is part of our range.",
        ("segment:young", "i0"): "You are new here: 1 of our young customers bought this in the last 28 days.",
        ("segment:young", "i1"): "You are new here: this is part of our range.",
        ("segment:old", "i0"): "You are new here: 1 of our customers bought this in the last 28 days.",
        ("segment:old", "i1"): "You are new here: this is part of our range.",
    }
