"""Matrix factorisation with biases on ratings (Koren, Bell, Volinsky 2009), trained by Adam (Kingma, Ba 2015)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from recsys.candidates.base import Generator, Scores, State
from recsys.compute import one_blas_thread
from recsys.history import History, Need
from recsys.settings import CandidateSettings, Settings

Floats = NDArray[np.float32]
FADING = (0.9, 0.999)  # of Adam's first and second moment
TINY = 1e-8
START = 0.02  # standard deviation of the factors at the beginning


@dataclass(frozen=True)
class RatingModel:
    """What predicts a rating: mean + customer's bias + product's bias + product of the factors.

    Attributes:
        mean: of all ratings.
        customers: (n, f + 2) factors, then the customer's bias, then a one.
        products: (m, f + 2) factors, then a one, then the product's bias.
    """

    mean: float
    customers: Floats
    products: Floats

    def predict(self, users: NDArray[np.integer], columns: NDArray[np.integer]) -> Floats:
        """Return (r,) predicted ratings of pairs."""
        return np.asarray((self.customers[users] * self.products[columns]).sum(axis=1) + self.mean, np.float32)


class _Side:
    """The factors of one side, with Adam's moments; only rows that a batch holds are moved."""

    def __init__(self, values: Floats, moved: Floats) -> None:
        self.values, self._moved = values, moved
        self._first, self._second = np.zeros_like(values), np.zeros_like(values)

    def step(self, index: NDArray[np.integer], gradient: Floats, rate: float, time: int) -> None:
        """Move the rows by the sum of their gradients."""
        rows, place = np.unique(index, return_inverse=True)
        ones = np.ones(len(index), np.float32)
        summed = sparse.csr_array((ones, (place, np.arange(len(index)))), shape=(len(rows), len(index))) @ gradient
        fade, fade_square = FADING
        first = self._first[rows] * fade + (1 - fade) * summed
        second = self._second[rows] * fade_square + (1 - fade_square) * summed**2
        self._first[rows], self._second[rows] = first, second
        move = (first / (1 - fade**time)) / (np.sqrt(second / (1 - fade_square**time)) + TINY)
        self.values[rows] -= rate * move * self._moved


def fit_ratings(ratings: sparse.csr_array, settings: CandidateSettings, seed: int) -> RatingModel:
    """Learn from (n, m) ratings, explicit zeros included.

    Minimises, over the ratings r of customer u and product i::

        1/2 (mean + b_u + b_i + p_u . q_i - r)^2 + mf_regularisation / 2 (|p_u|^2 + |q_i|^2 + b_u^2 + b_i^2)
    """
    pairs = ratings.tocoo()
    users, columns, values = pairs.row, pairs.col, pairs.data.astype(np.float32)
    mean = float(values.astype(np.float64).mean()) if len(values) else 0.0
    customers, products = _begin(ratings.shape, settings.mf_factors, seed)
    wanted, decay = values - np.float32(mean), np.float32(settings.mf_regularisation)
    for time, batch in enumerate(_batches(len(values), settings, seed), 1):
        user, column = users[batch], columns[batch]
        own, other = customers.values[user], products.values[column]
        error = ((own * other).sum(axis=1) - wanted[batch])[:, None]
        rate = settings.mf_learning_rate
        customers.step(user, error * other + decay * own, rate, time)
        products.step(column, error * own + decay * other, rate, time)
    return RatingModel(mean, customers.values, products.values)


def _begin(shape: tuple[int, int], factors: int, seed: int) -> tuple[_Side, _Side]:
    """Return both sides at the beginning; products are drawn first, so that more customers change none of them."""
    random = np.random.default_rng(seed)
    sides = []
    for rows, one in ((shape[1], factors), (shape[0], factors + 1)):
        values = np.zeros((rows, factors + 2), np.float32)
        values[:, :factors] = random.normal(0, START, (rows, factors))
        values[:, one] = 1
        moved = np.ones(factors + 2, np.float32)
        moved[one] = 0
        sides.append(_Side(values, moved))
    products, customers = sides
    return customers, products


def _batches(count: int, settings: CandidateSettings, seed: int) -> Iterator[NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    for _ in range(settings.mf_epochs):
        order = random.permutation(count)
        for start in range(0, count, settings.mf_batch):
            yield order[start : start + settings.mf_batch]


class MF(Generator):
    """Proposes what customers who rated something would rate highest, of the products that anybody rated."""

    name = "mf"
    is_dense = True
    needs: tuple[Need, ...] = ("ratings",)
    keyed_by_customer = True
    sentence = "You are likely to rate this highly."

    def fit(self, history: History, settings: Settings) -> None:
        """Learn from the ratings that customers gave. One BLAS thread: more would change the last digits."""
        ratings = history.ratings
        if ratings is None or not ratings.nnz:
            ratings = sparse.csr_array(history.shape, dtype=np.float32)
        with threadpool_limits(1, "blas"):
            model = fit_ratings(ratings, settings.candidates, settings.seed)
        self._customers, self._products = model.customers, model.products
        self._raters = np.diff(ratings.indptr) > 0
        self._rated = np.bincount(ratings.indices, minlength=ratings.shape[1]) > 0

    def scores(self, history: History, users: NDArray[np.int32]) -> Scores:
        """Return the predicted ratings, less their mean; nothing for customers who rated nothing."""
        with one_blas_thread():
            found = np.asarray(self._customers[users] @ self._products.T, dtype=np.float32)
        found[~self._raters[users]] = -np.inf
        found[:, ~self._rated] = -np.inf
        return found

    def state(self) -> State:
        """Return both sides' factors, and who rated and was rated."""
        return {
            "customers": self._customers,
            "products": self._products,
            "raters": self._raters,
            "rated": self._rated,
        }

    def restore(self, state: State, settings: Settings) -> None:
        """Take them back."""
        self._customers = np.asarray(state["customers"], np.float32)
        self._products = np.asarray(state["products"], np.float32)
        self._raters, self._rated = np.asarray(state["raters"], bool), np.asarray(state["rated"], bool)
