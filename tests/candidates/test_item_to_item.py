"""The product that is named as the reason: the one bought that adds most to the score."""

import numpy as np
import pytest
from scipy import sparse

from recsys.candidates import make_generator
from recsys.candidates.item_cf import ItemCF
from tests.support.matrices import history_of

COUNTS = np.array([[1.0, 3, 1, 0], [1, 1, 0, 0], [0, 0, 1, 0]])


def fitted(weights: np.ndarray) -> ItemCF:
    generator = ItemCF()
    generator.weights = sparse.csr_array(weights)
    return generator


def because(generator: ItemCF, history, pairs: list[tuple[int, int]]) -> list[int]:
    users, columns = (np.array(values, np.int32) for values in zip(*pairs, strict=True))
    return generator.because(history, users, columns).tolist()


def test_the_product_that_adds_most_is_named() -> None:
    # Customer 0 has tastes ln 2, ln 4 and ln 2 of products 0, 1 and 2. Towards product 3 they add .9 ln 2 = .62,
    # .5 ln 4 = .69 and .8 ln 2 = .55; customer 1 has tastes ln 2 of products 0 and 1.
    weights = np.zeros((4, 4))
    weights[:3, 3] = [0.9, 0.5, 0.8]
    assert because(fitted(weights), history_of(COUNTS), [(0, 3), (1, 3), (2, 3), (1, 2)]) == [1, 0, 2, -1]


def test_what_was_only_looked_at_is_not_named_as_bought() -> None:
    history = history_of(COUNTS)
    interest = COUNTS.copy()
    interest[1] = [1, 1, 9, 0]  # customer 1 looked at product 2 often
    looked = history_of(interest)
    seen = type(history)(**{**vars(history), "interest": looked.interest, "seen": looked.seen})
    weights = np.zeros((4, 4))
    weights[:3, 3] = [0.1, 0.2, 0.9]
    assert because(fitted(weights), seen, [(1, 3)]) == [1]


def test_what_speaks_against_a_product_is_not_named() -> None:
    weights = np.zeros((4, 4))
    weights[:2, 3] = [-0.5, -0.1]
    assert because(fitted(weights), history_of(COUNTS), [(1, 3)]) == [-1]


def test_of_equal_ones_the_first_is_named_whatever_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.zeros((4, 4))
    weights[:3, 3] = 0.5
    pairs = [(1, 3), (2, 3), (1, 3), (0, 2)]
    assert because(fitted(weights), history_of(COUNTS), pairs) == [0, 2, 0, -1]
    monkeypatch.setattr("recsys.candidates.item_to_item.BLOCK", 1)
    assert because(fitted(weights), history_of(COUNTS), pairs) == [0, 2, 0, -1]


@pytest.mark.parametrize("name", ["popularity", "repurchase", "user_cf", "als"])
def test_others_name_nothing(name: str) -> None:
    users = np.zeros(3, np.int32)
    assert make_generator(name).because(history_of(COUNTS), users, users).tolist() == [-1, -1, -1]
