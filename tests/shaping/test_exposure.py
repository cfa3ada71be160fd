"""Exposure caps: they hold while lists have anything else to show, whatever the order of the rows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.settings import ShapingSettings
from recsys.shaping.exposure import cap_exposure, has_caps

Row = tuple[str, int, str, str | None, float | None]  # customer, rank, product, brand, propensity
SCHEMA = pa.schema(
    [
        ("subject_id", pa.string()),
        ("rank", pa.int16()),
        ("item_id", pa.string()),
        ("brand", pa.string()),
        ("propensity", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Capped:
    lists: dict[str, list[str]]
    places: set[tuple[str, int]]  # customer and rank of the rows that got a place


def rows_of(lists: dict[str, Sequence[str]], brand: str | None = None) -> list[Row]:
    """Return rows; a product's brand is its first letter, or that given."""
    return [
        (user, rank, item, item[0] if brand is None else brand, None)
        for user, items in lists.items()
        for rank, item in enumerate(items, 1)
    ]


def capped(
    rows: list[Row], shown: int, others: int = 0, taken: Sequence[tuple[str, str, int]] = (), **caps: float
) -> Capped:
    items = {(user, rank): item for user, rank, item, _, _ in rows}
    with duckdb.connect() as connection:
        connection.register(
            "listed", pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA)
        )
        if others:
            connection.execute("create temp table taken (item_id varchar, brand varchar, places bigint)")
            connection.executemany("insert into taken values (?, ?, ?)", taken)
        cap_exposure(connection, ShapingSettings(**caps), shown=shown, others=others)
        found = connection.execute("select subject_id, former_rank, rank from capped order by 1, 3").fetchall()
        places = connection.execute("select subject_id, rank from admitted").fetchall()
    lists: dict[str, list[str]] = {}
    for user, former, rank in found:
        lists.setdefault(user, []).append(items[user, former])
        assert rank == len(lists[user])
    return Capped(lists, set(places))


def test_a_product_takes_no_more_than_its_share() -> None:
    lists = {user: ("a1", "b1", "c1") for user in "wxyz"}
    found = capped(rows_of(lists), shown=1, item_cap=0.5)
    # Four places, two for a product: two customers keep a1, for two others b1 moves up and a1 goes behind c1.
    assert Counter(tuple(items) for items in found.lists.values()) == {("a1", "b1", "c1"): 2, ("b1", "c1", "a1"): 2}


def test_a_brand_takes_no_more_than_its_share() -> None:
    lists = {user: ("a1", "a2", "b1") for user in "wxyz"}
    found = capped(rows_of(lists), shown=1, brand_cap=0.25)
    # One place for a brand: one customer keeps a1, one sees b1, and the others have nothing left but full brands.
    assert Counter(items[0] for items in found.lists.values()) == {"a1": 3, "b1": 1}
    assert Counter(item[0] for item in (items[0] for items in found.lists.values() if items[0] == "b1")) == {"b": 1}
    assert len(found.places) == 2


@pytest.mark.parametrize(("caps", "left"), [({"item_cap": 0.5}, 1), ({"brand_cap": 0.5}, 0)])
def test_places_in_lists_that_stay_are_given_away_before(caps: dict[str, float], left: int) -> None:
    lists = {user: ("a1", "b1", "c1") for user in "yz"}
    # Of four places with those of two others a product takes two, and so does a brand: one of them has a1, one a2.
    found = capped(rows_of(lists), 1, 2, [("a1", "a", 1), ("a2", "a", 1)], **caps)
    assert Counter(items[0] for items in found.lists.values()) == Counter({"a1": left, "b1": 2 - left})


def test_products_without_a_brand_have_no_cap_of_brands() -> None:
    lists = {user: ("a1", "a2") for user in "wxyz"}
    found = capped(rows_of(lists, brand=""), shown=1, brand_cap=0.25)
    assert set(map(tuple, found.lists.values())) == {("a1", "a2")}


def test_explored_rows_come_first() -> None:
    rows = rows_of({user: ("a1", "b1", "c1") for user in "wxyz"})
    drawn = [("v", 1, "b1", "b", None), ("v", 2, "a1", "a", 0.01), ("v", 3, "c1", "c", None)]
    found = capped([*rows, *drawn], shown=2, item_cap=0.1)
    # Ten places, one for a product: the explored row has a1's, though others rank it first.
    assert ("v", 2) in found.places
    assert not [user for user in "wxyz" if (user, 1) in found.places]


def test_shares_of_one_are_no_caps() -> None:
    lists = {user: ("a1", "b1") for user in "wxyz"}
    assert not has_caps(ShapingSettings())
    assert has_caps(ShapingSettings(brand_cap=0.9))
    assert set(map(tuple, capped(rows_of(lists), shown=1).lists.values())) == {("a1", "b1")}
    assert capped([], shown=1, item_cap=0.5).lists == {}


PRODUCTS = [f"{brand}{number}" for brand in "abc" for number in range(3)]
USERS = st.sampled_from([f"u{n}" for n in range(9)])
LISTS = st.dictionaries(USERS, st.lists(st.sampled_from(PRODUCTS), min_size=1, max_size=6, unique=True))


@settings(max_examples=40, deadline=None)
@given(LISTS, st.integers(1, 4), st.sampled_from([0.1, 0.3, 1.0]), st.sampled_from([0.2, 0.5, 1.0]), st.randoms())
def test_caps_hold_or_nothing_else_is_left(
    lists: dict[str, list[str]], shown: int, item_cap: float, brand_cap: float, random: object
) -> None:
    rows = rows_of(lists)
    found = capped(rows, shown, item_cap=item_cap, brand_cap=brand_cap)
    places = len(lists) * shown
    most_items, most_brands = (max(1, int(share * places + 1e-9)) for share in (item_cap, brand_cap))
    got = [lists[user][rank - 1] for user, rank in found.places]
    items, brands = Counter(got), Counter(item[0] for item in got)
    assert max([*items.values(), 0]) <= most_items
    assert max([*brands.values(), 0]) <= most_brands
    for user, own in found.lists.items():
        assert sorted(own) == sorted(lists[user])
        placed = [item for rank, item in enumerate(lists[user], 1) if (user, rank) in found.places]
        assert own[: len(placed)] == placed, "those with a place are first, in their order"
        assert len(placed) <= shown
        refused = [item for item in lists[user] if item not in placed]
        if len(placed) == shown:
            last = max(lists[user].index(item) for item in placed)
            refused = [item for item in refused if lists[user].index(item) < last]
        for item in refused:
            assert items[item] == most_items or brands[item[0]] == most_brands, "only what is full is refused"
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert capped(rows, shown, item_cap=item_cap, brand_cap=brand_cap) == found


@pytest.mark.parametrize("shown", [1, 2])
def test_lists_that_are_shorter_than_shown(shown: int) -> None:
    assert capped(rows_of({"u": ["a1"]}), shown=shown, item_cap=0.01).lists == {"u": ["a1"]}
