"""Sensitive categories: which they are, and who bought in them."""

import numpy as np
import pytest

from recsys.settings import ShapingSettings
from recsys.shaping.sensitive import bought_groups, sensitive_groups
from tests.support.products import taste

FOOD = ["Food > Bread"] * 20


def groups(*categories: str, **settings: object) -> list[int]:
    """Return the groups of categories in a shop that sells much else."""
    return sensitive_groups([*categories, *FOOD], ShapingSettings(**settings)).tolist()[: len(categories)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "category",
    [
        "Grocery > Beers/Ales > Beeralemalt Liquors",
        "Grocery > Domestic Wine > Popular 750ml Wines",
        "Spirits > Liquor > Traditional Vodka",
        "WINE",
        "Drug Gm > Cigarettes > Cigarettes",
        "Drug Gm > Tobacco Other > Snuff",
        "Drug Gm > Cold And Flu > Lipcare",
        "Drug Gm > Laxatives > Hemorrhoidal",
        "Drug Gm > Family Planning > Pregnancy Test Kits",
        "Drug Gm > Feminine Hygiene > Fem. Hygn. Tampons",
        "Drug Gm > Adult Incontinence > Adult Incontinence Pads",
    ],
)
def test_the_shipped_patterns_find(category: str) -> None:
    assert groups(category) == [0]


@pytest.mark.parametrize(
    "category",
    [
        "Grocery > Condiments/Sauces > Vinegar Wine/Rice",
        "Meat > Swine",
        "Grocery > Cold Cereal > Adult Cereal",
        "Meat-Pckgd > Dinner Sausage > Smoked/Cooked",
        "Drug Gm > Charcoal And Lighter Fluid > Charcoal",
        "Drug Gm > Oral Hygiene Products > Toothpaste",
        "Clearance > Sales",
        "",
    ],
)
def test_the_shipped_patterns_pass_over(category: str) -> None:
    assert groups(category) == [-1]


def test_a_group_is_the_path_up_to_the_step_that_matches() -> None:
    wine = "Grocery > Domestic Wine"
    assert groups(f"{wine} > Red", f"{wine} > White", "Grocery > Imported Wine > Red", wine.upper()) == [0, 0, 1, 0]


def test_kinds_can_be_left_out_and_categories_named() -> None:
    categories = "Food > Wine", "Drugs > Laxatives > Mild", "Home > Knives > Bread Knives", "Home > Bowls"
    assert groups(*categories, sensitive_kinds=("health",)) == [-1, 0, -1, -1]
    assert groups(*categories, sensitive_kinds=(), sensitive_categories=("home > KNIVES", "*bowl?")) == [-1, -1, 0, 1]


def test_what_a_shop_lives_by_is_not_sensitive_there() -> None:
    settings = ShapingSettings()
    cellar = ["Wine > Red", "Wine > White", "Glasses", "Drugs > Laxatives"]
    assert (sensitive_groups([*cellar, "Wine > Rose"], settings) >= 0).tolist() == [False, False, False, True, False]
    named = ShapingSettings(sensitive_categories=("wine",))
    assert (sensitive_groups(cellar[:2], named) == 0).all()


def test_bought_in_the_category() -> None:
    # Products: two of group 0, one of group 1, one of none.
    numbers = np.array([0, 0, 1, -1], np.int32)
    bought = taste([[0, 2, 0, 1], [0, 0, 1, 0], [0, 0, 0, 9]]).purchases
    users, asked = np.array([0, 0, 1, 1, 2, 2], np.int32), np.array([0, 1, 0, 1, 0, 1], np.int32)
    assert bought_groups(users, asked, bought, numbers).tolist() == [True, False, False, True, False, False]
