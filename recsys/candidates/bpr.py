"""Matrix factorisation by Bayesian personalised ranking (Rendle, Freudenthaler, Gantner, Schmidt-Thieme 2009)."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from recsys.candidates.base import Generator, Scores, State
from recsys.compute import one_blas_thread
from recsys.history import History
from recsys.settings import Settings


class BPR(Generator):
    """Scores a product by the product of its factors with the customer's, learned from pairs of products.

    It draws pairs of a product that a customer turned to and one they did not. One thread draws them, since
    several would race; a customer's factors can't be solved from their history alone, so they are kept.
    """

    name = "bpr"
    is_dense = True
    keyed_by_customer = True
    _customers: NDArray[np.float32]
    _products: NDArray[np.float32]

    def fit(self, history: History, settings: Settings) -> None:
        """Learn the factors of customers and products, with one thread."""
        from implicit.bpr import BayesianPersonalizedRanking

        chosen = settings.candidates
        # Customers without history are left out: those who come later must not change how the draws begin.
        known = np.flatnonzero(np.diff(history.interest.indptr))
        rows = sparse.csr_matrix(history.interest[known])
        n, m = history.shape
        self._customers = np.zeros((n, chosen.bpr_factors + 1), np.float32)
        self._products = np.zeros((m, chosen.bpr_factors + 1), np.float32)
        if not rows.nnz:
            return
        with threadpool_limits(1, "blas"):
            model = BayesianPersonalizedRanking(
                factors=chosen.bpr_factors,
                learning_rate=chosen.bpr_learning_rate,
                regularization=chosen.bpr_regularisation,
                iterations=chosen.bpr_iterations,
                num_threads=1,
                random_state=settings.seed,
                use_gpu=False,
            )
            model.fit(rows, show_progress=False)
        self._customers[known] = model.user_factors
        self._products = model.item_factors

    def scores(self, history: History, users: NDArray[np.int32]) -> Scores:
        """Multiply the factors; customers without history get nothing."""
        with one_blas_thread():
            found = np.asarray(self._customers[users] @ self._products.T, dtype=np.float32)
        known = np.diff(history.interest.indptr)[users] > 0
        found[~known] = -np.inf
        return found

    def state(self) -> State:
        """Return both sides' factors."""
        return {"customers": self._customers, "products": self._products}

    def restore(self, state: State, settings: Settings) -> None:
        """Take them back."""
        self._customers = np.asarray(state["customers"], np.float32)
        self._products = np.asarray(state["products"], np.float32)
