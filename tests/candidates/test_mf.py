"""Factorisation of ratings: its gradient, planted tastes, and a second library on real ratings."""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from surprise import SVD, Dataset, Reader

from recsys.candidates import make_generator
from recsys.candidates.mf import fit_ratings
from recsys.settings import CandidateSettings, load_settings
from tests.support.matrices import history_of

RATINGS_FILE = "dataset_example/ml-100k/ml-100k.inter"


def movielens() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return customers, products and ratings of MovieLens-100k, read where a package has it installed."""
    try:
        found = [file for file in files("recbole") or [] if str(file).endswith(RATINGS_FILE)]
    except PackageNotFoundError:
        found = []
    if not found:
        pytest.skip("the package with the ratings is not installed: make install")
    path = Path(str(found[0].locate()))
    assert path.open().readline().split()[:3] == ["user_id:token", "item_id:token", "rating:float"]
    rows = np.loadtxt(path, skiprows=1, usecols=(0, 1, 2))
    users, items = (np.unique(rows[:, column], return_inverse=True)[1] for column in (0, 1))
    return users, items, rows[:, 2].astype(np.float32)


def rmse(predicted: np.ndarray, ratings: np.ndarray) -> float:
    return float(np.sqrt(np.mean((predicted - ratings) ** 2)))


def test_ratings_are_predicted_as_well_as_by_a_library() -> None:
    users, items, ratings = movielens()
    assert len(ratings) == 100_000
    order = np.random.default_rng(0).permutation(len(ratings))
    train, test = order[:80_000], order[80_000:]
    matrix = sparse.csr_array((ratings[train], (users[train], items[train])), shape=(users.max() + 1, items.max() + 1))
    model = fit_ratings(matrix, CandidateSettings(), seed=1)
    ours = rmse(np.clip(model.predict(users[test], items[test]), 1, 5), ratings[test])

    raw = [(int(u), int(i), float(r), None) for u, i, r in zip(users[train], items[train], ratings[train], strict=True)]
    data = Dataset(Reader(rating_scale=(1, 5)))
    library = SVD(n_factors=100, random_state=0).fit(data.construct_trainset(raw))
    theirs = rmse(
        np.array([library.predict(u, i).est for u, i in zip(users[test], items[test], strict=True)]), ratings[test]
    )
    assert ours <= theirs + 0.01
    assert ours < rmse(np.full(len(test), ratings[train].mean()), ratings[test]) - 0.1


def test_one_step_by_hand() -> None:
    # One rating of 5 and one of 1: the mean is 3, so at the beginning the errors are -2 and 2 but for the tiny
    # factors. Adam's first step moves each value by the learning rate, against the sign of its gradient.
    chosen = CandidateSettings(mf_factors=1, mf_epochs=1, mf_batch=10, mf_learning_rate=0.1, mf_regularisation=0)
    model = fit_ratings(sparse.csr_array(np.array([[5.0, 0], [0, 1.0]])), chosen, seed=0)
    assert model.mean == 3
    assert model.customers[:, 1] == pytest.approx([0.1, -0.1], abs=1e-5)
    assert model.products[:, 2] == pytest.approx([0.1, -0.1], abs=1e-5)
    assert (model.customers[:, 2] == 1).all() and (model.products[:, 1] == 1).all()


def test_all_equal_ratings_are_predicted() -> None:
    ratings = sparse.csr_array(np.full((6, 4), 3.0, np.float32))
    model = fit_ratings(ratings, CandidateSettings(), seed=0)
    assert model.predict(np.arange(4), np.arange(4)) == pytest.approx([3.0] * 4, abs=0.02)


def planted_ratings() -> np.ndarray:
    """Two tastes: each loves one half of twelve products and dislikes the other; a tenth is unknown."""
    random = np.random.default_rng(2)
    tastes = np.repeat([[5.0] * 6 + [1.0] * 6, [1.0] * 6 + [5.0] * 6], 30, axis=0)
    return np.where(random.random(tastes.shape) < 0.1, 0, tastes)


def fitted(rated: np.ndarray):
    counts = (rated > 0).astype(np.float32)
    history = history_of(counts)
    history = type(history)(**{**history.__dict__, "ratings": sparse.csr_array(rated.astype(np.float32))})
    generator = make_generator("mf")
    generator.fit(history, load_settings(candidates=CandidateSettings(mf_factors=4, mf_epochs=300)))
    return generator, history


def test_what_is_loved_is_proposed_first() -> None:
    rated = planted_ratings()
    generator, history = fitted(rated)
    scores = generator.scores(history, np.arange(60, dtype=np.int32))
    loved = np.argsort(-scores, axis=1)[:, :6]
    assert (np.sort(loved[:30]) == np.arange(6)).all()
    assert (np.sort(loved[30:]) == np.arange(6, 12)).all()


def test_customers_and_products_without_ratings_get_nothing() -> None:
    rated = planted_ratings()
    rated[7], rated[:, 3] = 0, 0
    generator, history = fitted(rated)
    scores = generator.scores(history, np.arange(60, dtype=np.int32))
    assert np.isneginf(scores[7]).all() and np.isneginf(scores[:, 3]).all()
    assert np.isfinite(np.delete(np.delete(scores, 7, axis=0), 3, axis=1)).all()


def test_a_shop_without_ratings_gets_no_proposals() -> None:
    generator, history = fitted(np.zeros((5, 4)))
    assert np.isneginf(generator.scores(history, np.arange(5, dtype=np.int32))).all()
