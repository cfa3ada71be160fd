"""What the shop's rules keep out of lists."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.knowledge import Rule, Side
from recsys.settings import ShapingSettings
from recsys.shaping import Bans, Shaper
from tests.support.products import Product, product_table, taste

PLAIN = ShapingSettings(diversity="off", calibration_weight=0, sensitive="show", near_duplicates="show")
PRODUCTS = [
    Product("Food > Meat > Beef", "Farm"),
    Product("Food > Vegan", "Green"),
    Product("Food > Meat", "Green"),
    Product("Food", "Farm"),
    Product("Tools", "Iron"),
]
BEEF, VEGAN, HAM, FOOD, HAMMER = range(5)


def item(column: int) -> Side:
    return Side(item_idx=10 * column)


def never(left: Side, right: Side, **more) -> Rule:
    return Rule("n", "never_together", left, right, **more)


def shown(
    rules: list[Rule], ranked: list[int], placement: str = "for_you", products: list[Product] = PRODUCTS, **more
) -> list[int]:
    """Return one customer's list of the products ranked so."""
    table = product_table(products)
    chosen = PLAIN.model_copy(update=more)
    shaper = Shaper.of(table, chosen, 1, Bans.of(rules, table, placement))
    column = np.array(ranked)
    scores = -np.arange(len(ranked), dtype=float)
    known = taste([[0.0] * len(products)])
    shaped = shaper.shape(np.zeros(len(ranked), np.int32), 10 * column, scores, known, visible=3, kept=10)
    assert shaped.rank.tolist() == list(range(1, len(shaped.rows) + 1))
    return column[shaped.rows].tolist()


def test_of_two_that_never_stand_together_the_higher_ranked_stays() -> None:
    rule = never(item(BEEF), item(VEGAN))
    assert shown([rule], [HAMMER, BEEF, VEGAN, FOOD]) == [HAMMER, BEEF, FOOD]
    assert shown([rule], [VEGAN, HAMMER, BEEF, FOOD]) == [VEGAN, HAMMER, FOOD]
    assert shown([], [HAMMER, BEEF, VEGAN]) == [HAMMER, BEEF, VEGAN]


def test_a_category_covers_what_is_below_it_and_a_brand_all_of_it() -> None:
    rule = never(Side(category="Food > Meat"), Side(category="Food > Vegan"))
    assert shown([rule], [BEEF, VEGAN, HAM, FOOD]) == [BEEF, HAM, FOOD]
    assert shown([never(Side(brand="Green"), item(HAMMER))], [HAMMER, HAM, BEEF, VEGAN]) == [HAMMER, BEEF]


def test_what_did_not_stay_drives_nothing_out() -> None:
    rules = [never(item(BEEF), item(VEGAN)), never(item(VEGAN), item(FOOD))]
    assert shown(rules, [BEEF, VEGAN, FOOD]) == [BEEF, FOOD]
    assert shown(rules, [VEGAN, BEEF, FOOD]) == [VEGAN]


def test_a_category_beside_itself_leaves_one_of_its_products() -> None:
    rule = never(Side(category="Food > Meat"), Side(category="Food > Meat"))
    assert shown([rule], [HAM, BEEF, VEGAN]) == [HAM, VEGAN]


def test_what_is_replaced_is_not_shown_and_drives_nothing_out() -> None:
    rules = [Rule("r", "replaces", item(HAM), item(BEEF)), never(item(BEEF), item(VEGAN))]
    assert shown(rules, [BEEF, VEGAN, HAM]) == [VEGAN, HAM]


def test_what_replaces_its_own_brand_stays() -> None:
    assert shown([Rule("r", "replaces", item(HAM), Side(brand="Green"))], [VEGAN, HAM, BEEF]) == [HAM, BEEF]


@pytest.mark.parametrize("kind", ["goes_with", "boost"])
def test_what_proposes_keeps_nothing_out(kind: str) -> None:
    assert shown([Rule("r", kind, item(HAM), item(BEEF))], [BEEF, HAM]) == [BEEF, HAM]


def test_a_rule_of_one_placement_counts_there() -> None:
    rules = [
        never(item(BEEF), item(VEGAN), placement="discover"),
        Rule("r", "replaces", item(HAM), item(FOOD), placement="discover"),
    ]
    assert shown(rules, [BEEF, VEGAN, FOOD], "for_you") == [BEEF, VEGAN, FOOD]
    assert shown(rules, [BEEF, VEGAN, FOOD], "discover") == [BEEF]


def test_a_product_that_does_not_exist_keeps_nothing_out() -> None:
    assert shown([never(Side(), item(BEEF)), Rule("r", "replaces", item(HAM), Side())], [BEEF, HAM]) == [BEEF, HAM]


def brute_force(rules: list[tuple[int, int]], ranked: list[int]) -> list[int]:
    kept: list[int] = []
    for column in ranked:
        if not any({column, other} == {left, right} and left != right for other in kept for left, right in rules):
            kept.append(column)
    return kept


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=12),
    st.lists(st.permutations(range(12)), min_size=1, max_size=4),
)
def test_many_customers_by_brute_force(pairs: list[tuple[int, int]], ranked: list[list[int]]) -> None:
    table = product_table([Product()] * 12)
    pairs = [(left, right) for left, right in pairs if left != right]
    bans = Bans.of([never(item(left), item(right)) for left, right in pairs], table, "for_you")
    users = np.repeat(np.arange(len(ranked)), 12)
    column = np.concatenate([np.array(one) for one in ranked]).astype(np.intp)
    stays = bans.allow(users, column)
    for user, one in enumerate(ranked):
        assert column[stays & (users == user)].tolist() == brute_force(pairs, one)


@pytest.mark.parametrize("more", [{"exploration": 1.0}, {"diversity": "dpp", "diversity_weight": 2.0}])
def test_drawn_and_varied_rows_keep_to_it_too(more: dict) -> None:
    products = [Product(f"Kind {n % 3}") for n in range(40)]
    rule = never(Side(category="Kind 1"), Side(category="Kind 2"))
    found = shown([rule], list(range(40)), products=products, **more)
    kinds = {column % 3 for column in found}
    assert len(found) == 10
    assert kinds == {0, 1}
