"""Likeness of products: shared steps of the category path, and the brand."""

from itertools import product

import numpy as np
import pytest

from recsys.shaping.similarity import Likeness
from tests.support.products import Product, product_table

PRODUCTS = [
    Product("A > B > C", "x"),
    Product("A > B > D", "x"),
    Product("A > E", "y"),
    Product("F", ""),
    Product("", "x"),
    Product("A > B > C", ""),
    Product("", ""),
]


@pytest.fixture(scope="module")
def likeness() -> Likeness:
    return Likeness.of(product_table(PRODUCTS))


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [(0, 5, 1.0), (0, 1, 2 / 3), (0, 2, 1 / np.sqrt(6)), (0, 3, 0.0), (0, 4, 0.0), (4, 6, 0.0)],
)
def test_the_cosine_of_category_paths(likeness: Likeness, one: int, other: int, alike: float) -> None:
    assert likeness.of_categories(np.intp(one), np.intp(other)) == pytest.approx(alike)


@pytest.mark.parametrize(
    ("one", "other", "alike"), [(0, 1, 0.9 * (0.8 * 2 / 3 + 0.2)), (0, 5, 0.72), (0, 4, 0.18), (3, 6, 0.0)]
)
def test_category_and_brand_together(likeness: Likeness, one: int, other: int, alike: float) -> None:
    assert likeness.between(np.intp(one), np.intp(other)) == pytest.approx(alike)


def test_families_are_the_first_two_steps(likeness: Likeness) -> None:
    family = likeness.family.tolist()
    assert family[0] == family[1] == family[5] != family[2]
    assert family[4] == family[6] == -1
    assert family[3] >= 0


def test_likeness_is_positive_definite() -> None:
    paths = [" > ".join(steps) for depth in range(4) for steps in product("ab", repeat=depth)]
    products = [Product(path, brand) for path in paths for brand in ("", "x", "y")]
    likeness = Likeness.of(product_table(products))
    every = np.arange(len(products))
    matrix = likeness.between(every[:, None], every[None, :])
    np.fill_diagonal(matrix, 1.0)
    assert np.linalg.eigvalsh(matrix).min() > 0.09


def test_a_shop_without_categories_or_products() -> None:
    nothing = Likeness.of(product_table([Product("", "")]))
    assert nothing.between(np.zeros(1, np.intp), np.zeros(1, np.intp)).tolist() == [0.0]
    assert Likeness.of(product_table([])).paths.shape[0] == 0
