"""EASE against its closed form, worked out densely."""

import numpy as np
import pytest

from recsys.candidates import make_generator
from recsys.errors import ContractError
from recsys.settings import CandidateSettings, load_settings
from tests.support.matrices import history_of, planted


def settings_of(**chosen: float):
    return load_settings(threads=1, candidates=CandidateSettings(**{"ease_l2": 2.0, **chosen}))


def closed_form(x: np.ndarray, l2: float) -> np.ndarray:
    inverse = np.linalg.inv(x.T @ x + l2 * np.eye(x.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def fitted(counts: np.ndarray, **chosen: float) -> np.ndarray:
    generator = make_generator("ease")
    generator.fit(history_of(counts), settings_of(**chosen))
    return generator.state()["weights"].toarray()


def test_weights_are_those_of_the_closed_form() -> None:
    counts = planted()
    expected = closed_form(np.log1p(counts.astype(np.float64)), 2.0)
    assert fitted(counts) == pytest.approx(expected, abs=1e-5)


def test_two_products_by_hand() -> None:
    # X'X = ln(2)^2 [[2, 1], [1, 1]]; with l2 = ln(2)^2 times 1 the inverse is proportional to [[2, -1], [-1, 3]]
    unit = np.log(2) ** 2
    weights = fitted(np.array([[1, 1], [1, 0]]), ease_l2=unit)
    assert weights == pytest.approx(np.array([[0, 1 / 3], [1 / 2, 0]]), abs=1e-6)


def test_products_beyond_the_limit_are_left_out() -> None:
    counts = planted()
    limited = fitted(counts, ease_items=10)
    kept = np.sort(np.argsort(-(counts > 0).sum(axis=0), kind="stable")[:10])
    others = np.setdiff1d(np.arange(counts.shape[1]), kept)
    assert not limited[others].any() and not limited[:, others].any()
    inner = closed_form(np.log1p(counts[:, kept].astype(np.float64)), 2.0)
    assert limited[np.ix_(kept, kept)] == pytest.approx(inner, abs=1e-5)


def test_the_weights_farthest_from_zero_are_kept() -> None:
    counts = planted()
    whole, few = fitted(counts), fitted(counts, ease_weights=3)
    assert ((few != 0).sum(axis=1) == 3).all()
    for row, other in zip(few, whole, strict=True):
        assert set(np.flatnonzero(row)) == set(np.argsort(-np.abs(other), kind="stable")[:3])
        assert row[row != 0] == pytest.approx(other[row != 0])


def test_a_matrix_that_cannot_be_inverted_says_what_to_set() -> None:
    twins = np.repeat(np.array([[1.0], [2.0], [3.0]]), 40, axis=1)
    with pytest.raises(ContractError, match="ease_l2"):
        fitted(twins, ease_l2=1e-12)
