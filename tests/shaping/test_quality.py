"""Low quality: what is out of stock, rated too seldom or rated badly."""

import pytest

from recsys.settings import ShapingSettings
from recsys.shaping.quality import good_enough
from tests.support.products import Product, product_table

RATED = [
    Product(ratings=9, mean_rating=0.8),
    Product(ratings=9, mean_rating=0.2),
    Product(ratings=4, mean_rating=0.0),
    Product(),
    Product(ratings=9, mean_rating=0.9, available=False),
]


def kept(products: list[Product], **settings: float) -> list[int]:
    found = good_enough(product_table(products), ShapingSettings(**settings))  # type: ignore[arg-type]
    return [number for number, good in enumerate(found) if good]


def test_bad_means_count_from_the_fifth_rating_on() -> None:
    assert kept(RATED) == [0, 2, 3]


@pytest.mark.parametrize(("least", "left"), [(1, [0, 2]), (5, [0]), (10, [])])
def test_products_need_so_many_ratings(least: int, left: list[int]) -> None:
    assert kept(RATED, min_ratings=least) == left


def test_a_shop_without_ratings_is_not_judged_by_them() -> None:
    assert kept([Product(), Product(available=False)], min_ratings=50) == [0]


def test_equal_ratings_say_nothing() -> None:
    # All rate everything the same, so there is no scale: the mean is unknown.
    assert kept([Product(ratings=50, mean_rating=None)] * 2) == [0, 1]
