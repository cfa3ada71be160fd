"""The sentence of the generator that carries a row, filled with what the row's evidence holds."""

import duckdb
import pytest

from recsys.assets import read_sql
from recsys.candidates import GENERATORS, make_generator

TABLES = """
    create table users as select 0 as user_idx, 'ann' as user_id, 7 as bucket;
    create table items as
    select * from (values (0, 'a', 'Rye {recent_days}'), (1, 'b', 'Milk')) as titles(item_idx, item_id, title);
    create table purchases as
    select 0 as user_idx, 1 as item_idx, unnest(['2024-05-03 08:00', '2024-04-10 09:00'])::timestamp as occurred_at;
"""


def told(carrier: str, sentence: str, because: int | None, lines: int = 0, *, is_sensitive: bool = False) -> str:
    """Return the reason of a row of ann's and Milk."""
    with duckdb.connect() as connection:
        connection.execute(TABLES)
        connection.execute(
            "create table ranked as select 0 as user_idx, 1 as item_idx, 1 as rank, 0.5 as score, 'x' as source, "
            "$carrier as carrier, $sentence as sentence, $lines as pair_lines, $because::integer as because_idx, "
            "1234 as recent_buyers, $is_sensitive as is_sensitive, null::double as propensity",
            {
                "carrier": carrier,
                "sentence": sentence,
                "lines": lines,
                "because": because,
                "is_sensitive": is_sensitive,
            },
        )
        found = connection.execute(read_sql("scoring", "lists.sql"), {"recent_days": 28})
        names = [column[0] for column in found.description]
        [row] = found.fetchall()
    return str(row[names.index("reason")])


def test_sentences_by_hand() -> None:
    assert told("any", "Goes with {because}.", 0) == "Goes with Rye {recent_days}."
    assert told("any", "Goes with {because}.", None) == "Fits what you usually buy."
    assert told("any", "Just good.", None) == "Just good."
    assert told("any", "Bought by {recent_buyers} in {recent_days}.", None) == "Bought by 1234 in 28 days."
    assert told("repurchase", "any", None, 1) == "You bought this on 3 May 2024."
    assert told("due", "any", None, 2) == "You bought this 2 times, about every 23 days, last on 3 May 2024."
    assert told("repurchase", "any", None, 3) == "You bought this 3 times, last on 3 May 2024."


@pytest.mark.parametrize("carrier", ["repurchase", "due", *GENERATORS])
@pytest.mark.parametrize("because", [0, None])
def test_of_a_sensitive_product_nothing_is_told(carrier: str, because: int | None) -> None:
    sentence = "Bought by {recent_buyers} who, like you, bought {because}."
    assert told(carrier, sentence, because, 3, is_sensitive=True) == "This is part of our range."


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_has_a_whole_sentence(name: str) -> None:
    sentence = make_generator(name).sentence
    for because in (0, None):
        reason = told(name, sentence, because, lines=2)
        assert reason[0].isupper()
        assert reason.endswith(".")
        assert "{because}" not in reason
