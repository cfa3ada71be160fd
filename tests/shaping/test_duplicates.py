"""Duplicates: one product in several packs is shown once."""

import numpy as np
import pytest

from recsys.settings import ShapingSettings
from recsys.shaping.duplicates import Twins, shown_once
from tests.support.products import Product, product_table

COLA = [
    Product("Drinks > Cola", "Brown", "Cola, 330 ml, no. 1"),
    Product("Drinks > Cola", "Brown", "Cola, 1.5 l, no. 2"),
    Product("Drinks > Cola", "Brown", "Cola, 330 ml, no. 3"),  # another kind of the same size
    Product("Drinks > Cola", "Black", "Cola, 1.5 l, no. 4"),
    Product("Food > Sweets", "Brown", "Cola, 2 oz, no. 5"),
    Product("Drinks > Cola", "Brown", "Cola, 330 ml, no. 1"),  # the first once more
]


def kept(columns: list[int], rule: str, lines: list[int] | None = None, users: list[int] | None = None) -> list[int]:
    """Return the columns that stay of a list, best first."""
    settings = ShapingSettings(near_duplicates=rule)  # type: ignore[arg-type]
    column = np.array(columns, np.intp)
    user = np.array(users or [0] * len(columns), np.int32)
    bought = np.array(lines or [0] * len(columns), float)
    stays = shown_once(user, column, bought, Twins.of(product_table(COLA)), settings)
    return column[stays].tolist()


def test_the_best_ranked_size_stays_with_others_of_that_size() -> None:
    assert kept([1, 0, 2, 3, 4, 5], "once") == [1, 3, 4]
    assert kept([0, 1, 2, 3, 4, 5], "once") == [0, 2, 3, 4]


def test_customers_do_not_take_from_each_other() -> None:
    assert kept([0, 1, 1, 0], "once", users=[4, 4, 7, 7]) == [0, 1]


@pytest.mark.parametrize(
    ("lines", "left"), [([2, 3, 0], [0, 1, 2]), ([2, 1, 0], [0, 2]), ([1, 5, 0], [0, 2]), ([0, 0, 0], [0, 2])]
)
def test_sizes_that_are_bought_repeatedly_stay_together(lines: list[int], left: list[int]) -> None:
    assert kept([0, 1, 2], "once_unless_bought", lines) == left


def test_show_keeps_all_but_the_very_same_row() -> None:
    assert kept([0, 1, 5, 0], "show") == [0, 1, 5]
    assert kept([0, 0], "once_unless_bought", [9, 9]) == [0]


def test_products_without_brand_category_and_title_are_not_one() -> None:
    table = product_table([Product("", "", "Product a"), Product("", "", "Product b")])
    twins = Twins.of(table)
    stays = shown_once(np.zeros(2, np.int32), np.arange(2), np.zeros(2), twins, ShapingSettings(near_duplicates="once"))
    assert stays.all()
