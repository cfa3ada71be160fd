"""Titles: sizes and article numbers are told from what a product is."""

import pytest

from recsys.shaping.titles import split_title


@pytest.mark.parametrize(
    ("title", "stem", "size"),
    [
        ("Cat Treats, 2.1 oz, no. 969778", "cat treats", "2.1 oz"),
        ("Cat Treats, no. 12", "cat treats", ""),
        ("Cola 12 x 330 ml", "cola", "12 x 330 ml"),
        ("COLA 1,5 l", "cola", "1,5 l"),
        ("Egg Nog, qt, no. 1026608", "egg nog", "qt"),
        ("Napkins, .5 oz", "napkins", ".5 oz"),
        ("Refrigerated Pudding, 6/4 oz", "refrigerated pudding", "6/4 oz"),
        ("Set of 6 glasses", "glasses", "set of 6"),
        ("T-Shirt XL", "t shirt", "xl"),
        ("Eggs Large, 12 ct", "eggs", "large 12 ct"),
        ("Twin Pack Soap", "soap", "twin pack"),
    ],
)
def test_sizes_are_taken_out(title: str, stem: str, size: str) -> None:
    assert split_title(title) == (title.lower(), stem, size)


@pytest.mark.parametrize("title", ["7 up", "product 12 of group 3", "windows 11", "rye bread"])
def test_other_numbers_stay(title: str) -> None:
    assert split_title(title) == (title, title, "")


def test_a_title_of_nothing_but_a_size_is_its_own_stem() -> None:
    assert split_title("500 g") == ("500 g", "500 g", "500 g")
    assert split_title("") == ("", "", "")
