"""The whole of shaping: properties of every list, and input that is out of the ordinary."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.settings import ShapingSettings
from recsys.shaping import Shaped, Shaper, Taste
from tests.support.products import CUT, Product, product_table, taste

PLAIN = ShapingSettings(diversity="off", calibration_weight=0.0)
PACKS = [
    (f"Shelf {n % 4} > Row {n % 7} > Kind {n % 3}", f"Brand {n % 5}" if n % 6 else "", f"Thing {n}") for n in range(20)
]
RANGE = [Product(category, brand, f"{title}, {litres} l") for category, brand, title in PACKS for litres in (1, 2)]
RANGE += [
    Product("Drinks > Wine"),
    Product("", "", "Product x"),
    Product("Drugs > Laxatives", ratings=9, mean_rating=0.1),
]


def shaped(
    shaper: Shaper, rows: list[tuple[int, int, float]], known: Taste, *, visible: int = 10, kept: int = 20
) -> dict[int, list[int]]:
    """Return each customer's products (numbers, not item_idx) in order."""
    return listed(rows, shape(shaper, rows, known, visible=visible, kept=kept))


def shape(shaper: Shaper, rows: list[tuple[int, int, float]], known: Taste, *, visible: int, kept: int) -> Shaped:
    user, product, score = columns(rows)
    return shaper.shape(user, 10 * product, score, known, visible=visible, kept=kept)


def columns(rows: list[tuple[int, int, float]]) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    return (
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] for row in rows], np.int32),
        np.array([row[2] for row in rows], float),
    )


def listed(rows: list[tuple[int, int, float]], found: Shaped) -> dict[int, list[int]]:
    lists: dict[int, list[int]] = {}
    for place, rank in zip(found.rows, found.rank, strict=True):
        own = lists.setdefault(rows[place][0], [])
        own.append(rows[place][1])
        assert len(own) == rank
    return lists


def test_the_steps_in_their_order() -> None:
    products = [
        Product(available=False),
        Product("Drinks > Wine"),
        Product(title="Rye, 1 lb", brand="b"),
        Product(title="Rye, 2 lb", brand="b"),
        Product("Drugs > Laxatives"),
        Product("Food > Cake"),
    ]
    rows = [(user, n, 10.0 - n) for user in (0, 1) for n in range(6)]
    known = taste([[0, 0, 0, 0, 1, 0], [0, 1, 2, 5, 0, 0]])
    shaper = Shaper.of(product_table(products), PLAIN, 1)
    # The first bought a laxative but no wine, the second wine, and both packs of rye repeatedly.
    assert shaped(shaper, rows, known) == {0: [2, 4, 5], 1: [1, 2, 3, 5]}
    hidden = Shaper.of(product_table(products), PLAIN.model_copy(update={"sensitive": "hide"}), 1)
    assert shaped(hidden, rows, known) == {0: [2, 5], 1: [2, 3, 5]}
    shown = Shaper.of(product_table(products), PLAIN.model_copy(update={"sensitive": "show"}), 1)
    assert shaped(shown, rows, known)[0] == [1, 2, 4, 5]


SETTINGS = st.builds(
    ShapingSettings,
    sensitive=st.sampled_from(["show", "only_if_bought", "hide"]),
    near_duplicates=st.sampled_from(["show", "once", "once_unless_bought"]),
    diversity=st.sampled_from(["off", "mmr", "dpp"]),
    diversity_weight=st.sampled_from([0.0, 0.1, 2.0]),
    calibration_weight=st.sampled_from([0.0, 0.5]),
    pool=st.sampled_from([1, 5, 12, 50]),
    exploration=st.sampled_from([0.0, 0.5, 1.0]),
)


@settings(max_examples=60, deadline=None)
@given(SETTINGS, st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 30), st.booleans())
def test_properties_of_every_list(rules: ShapingSettings, seed: int, visible: int, kept: int, tied: bool) -> None:
    random = np.random.default_rng(seed)
    users, products = 12, len(RANGE)
    known = taste(random.poisson(0.2, (users, products)).tolist())
    chosen = random.random((users, products)) < random.choice([0.1, 0.5, 1.0])
    rows = [(int(u), int(p), 1.0 if tied else float(random.normal())) for u, p in zip(*np.nonzero(chosen), strict=True)]
    shaper = Shaper.of(product_table(RANGE), rules, 5)
    found = shape(shaper, rows, known, visible=visible, kept=kept)
    lists = listed(rows, found)
    for user, own in lists.items():
        candidates = [product for row_user, product, _ in rows if row_user == user]
        assert len(own) == len(set(own)) <= kept
        assert set(own) <= set(candidates)
        assert len(RANGE) - 1 not in own, "rated badly"
        assert rules.sensitive == "show" or len(RANGE) - 3 not in own or known.purchases[user, len(RANGE) - 3] > 0
        packs = [product // 2 for product in own if product < 40]
        assert rules.near_duplicates != "once" or len(packs) == len(set(packs))
        if rules.near_duplicates == "show":
            # A wine that may be hidden, and a product that is rated badly: everything else may be shown.
            assert len(own) >= min(kept, len(candidates) - 2)
    drawn = ~np.isnan(found.propensity)
    assert (found.rank[drawn] == min(visible, kept)).all()
    assert ((found.propensity[drawn] > 0) & (found.propensity[drawn] <= rules.exploration)).all()
    assert one_by_one(shaper, rows, known, visible, kept) == lists


def one_by_one(
    shaper: Shaper, rows: list[tuple[int, int, float]], known: Taste, visible: int, kept: int
) -> dict[int, list[int]]:
    """Shape each customer alone, the last first, with their rows in another order."""
    lists: dict[int, list[int]] = {}
    for user in sorted({row[0] for row in rows}, reverse=True):
        own = [row for row in reversed(rows) if row[0] == user]
        lists |= shaped(shaper, own, known, visible=visible, kept=kept)
    return lists


def test_more_rows_do_not_change_the_first_ones() -> None:
    random = np.random.default_rng(3)
    rows = [(0, n, float(random.normal())) for n in range(40)]
    known = taste(random.poisson(0.5, (1, len(RANGE))).tolist())
    shaper = Shaper.of(product_table(RANGE), ShapingSettings(pool=15, diversity_weight=1.0), 5)
    long = shaped(shaper, rows, known, kept=35)[0]
    assert shaped(shaper, rows, known, kept=10)[0] == long[:10]
    assert shaped(shaper, rows, known, kept=20)[0] == long[:20]


@pytest.mark.parametrize("diversity", ["off", "mmr", "dpp"])
def test_all_equal_scores_and_products_without_anything(diversity: str) -> None:
    products = [Product("", "", f"Product {n}") for n in range(12)]
    rules = ShapingSettings(diversity=diversity, calibration_weight=1.0)  # type: ignore[arg-type]
    shaper = Shaper.of(product_table(products), rules, 1)
    rows = [(0, n, 3.0) for n in range(12)]
    # Nothing tells the products apart but their order.
    assert shaped(shaper, rows, Taste.unknown(1, 12, CUT))[0] == list(range(12))


def test_a_category_of_one_product_and_k_larger_than_the_catalogue() -> None:
    products = [Product(f"Shelf {n}") for n in range(3)]
    shaper = Shaper.of(product_table(products), ShapingSettings(), 1)
    assert shaped(shaper, [(0, n, float(n)) for n in range(3)], taste([[1, 0, 0]]), kept=500)[0] == [2, 1, 0]


def test_nobody_and_nothing() -> None:
    shaper = Shaper.of(product_table([]), ShapingSettings(), 1)
    found = shape(shaper, [], Taste.unknown(3, 0, CUT), visible=10, kept=20)
    assert (len(found.rows), len(found.rank), len(found.propensity)) == (0, 0, 0)


def test_customers_whose_candidates_are_all_left_out_have_no_list() -> None:
    shaper = Shaper.of(product_table([Product("Wine"), *[Product()] * 2]), PLAIN, 1)
    assert shaped(shaper, [(4, 0, 1.0), (6, 1, 1.0)], Taste.unknown(7, 3, CUT)) == {6: [1]}
