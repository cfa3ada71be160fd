"""Matrix factorisation by alternating least squares on implicit feedback (Hu, Koren, Volinsky 2008)."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from recsys.candidates.base import Generator, Scores, State, draw_customers, tastes
from recsys.compute import one_blas_thread
from recsys.history import History
from recsys.settings import Settings


def confidence(interest: sparse.csr_array, alpha: float) -> sparse.csr_matrix:
    """Return (n, m) 1 + alpha * taste where there is an interest: the library's data is c itself."""
    result = sparse.csr_matrix(tastes(interest))
    result.data = 1 + alpha * result.data
    return result


START = 0.1  # standard deviation of the factors that the first iteration begins with


class ALS(Generator):
    """Scores a product by the product of its factors with the customer's.

    The customer's factors are solved from their own history against the products' factors when they are
    scored, so the fitted state holds nothing of a customer, and a history that changed counts at once.
    """

    name = "als"
    is_dense = True

    def fit(self, history: History, settings: Settings) -> None:
        """Learn the products' factors. One BLAS thread: more of them would change the last digits.

        In a large shop they are learned from a draw of customers (``als_customers``).
        """
        from implicit.als import AlternatingLeastSquares

        chosen, interest = settings.candidates, history.interest
        if interest.shape[0] > chosen.als_customers:
            interest = interest[draw_customers(interest, chosen.als_customers, settings.seed)]
        with threadpool_limits(1, "blas"):
            model = AlternatingLeastSquares(
                factors=chosen.als_factors,
                regularization=chosen.als_regularisation,
                iterations=chosen.als_iterations,
                num_threads=settings.thread_count,
                random_state=settings.seed,
                use_gpu=False,
            )
            # The start depends on the products alone, so that customers who join later change nothing earlier.
            start = np.random.default_rng(settings.seed).normal(0, START, (history.shape[1], chosen.als_factors))
            model.item_factors = start.astype(np.float32)
            model.user_factors = np.zeros((interest.shape[0], chosen.als_factors), np.float32)
            model.fit(confidence(interest, chosen.als_alpha), show_progress=False)
        self._use(model.item_factors, settings)

    def _use(self, factors: NDArray[np.float32], settings: Settings) -> None:
        self.factors = factors
        with one_blas_thread():
            self._gram = factors.T @ factors
        self._alpha, self._regularisation = (
            settings.candidates.als_alpha,
            settings.candidates.als_regularisation,
        )

    def state(self) -> State:
        """Return the products' factors."""
        return {"factors": self.factors}

    def restore(self, state: State, settings: Settings) -> None:
        """Take the factors back."""
        self._use(np.asarray(state["factors"]), settings)

    def scores(self, history: History, users: NDArray[np.int32]) -> Scores:
        """Solve the customers' factors and multiply."""
        rows = tastes(history.interest[users])
        edges = rows.indptr
        spans = [slice(edges[row], edges[row + 1]) for row in range(len(users))]
        with one_blas_thread():
            sides = [self._sides(rows.indices[span], rows.data[span]) for span in spans]
            left, right = (np.stack(side) for side in zip(*sides, strict=True))
            own = np.linalg.solve(left, right[:, :, None])[:, :, 0].astype(np.float32)
            return np.asarray(own @ self.factors.T, dtype=np.float32)

    def _sides(
        self, columns: NDArray[np.integer], data: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return both sides of (Y'Y + Y'(C - I)Y + lambda I) x = Y'C p for one customer."""
        liked = self.factors[columns]
        extra = (self._alpha * data)[:, None]
        ridge = self._regularisation * np.eye(self._gram.shape[0], dtype=np.float32)
        return self._gram + (liked * extra).T @ liked + ridge, ((1 + extra) * liked).sum(axis=0)
