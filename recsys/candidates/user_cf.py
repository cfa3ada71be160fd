"""User-based collaborative filtering: what customers with the same taste buy."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.candidates.base import BLOCK, FITS, Generator, Scores, State, only_purchases, tastes
from recsys.candidates.similarity import capped, neighbours
from recsys.history import History
from recsys.settings import Settings, Similarity


class UserCF(Generator):
    """Scores a product by the tastes of the customer's nearest others: sum over v of sim(u, v) taste(v, i)."""

    keyed_by_customer = True
    sentence = "Bought by customers whose taste is most like yours."
    bought: sparse.csr_array | None = None  # (n, m) 1 where a customer bought a product; None if all interest is that

    def __init__(self, similarity: Similarity | None = None) -> None:
        """Give it a similarity, that of the settings if None."""
        self.name = f"user_{similarity or 'cf'}"
        self._similarity = similarity

    def fit(self, history: History, settings: Settings) -> None:
        """Find each customer's neighbours over products.

        Comparing all with all is quadratic, so the others are those of a pool (``user_pool``); in a smaller shop, all.
        """
        chosen = settings.candidates
        everyone = history.shape[0]
        is_part = history.asked is not None and len(history.asked) < everyone
        self._tastes = tastes(history.interest)
        self.neighbours = neighbours(
            capped(history.interest, chosen.max_item_customers),
            self._similarity or chosen.similarity,
            chosen.user_neighbours,
            chosen,
            settings.thread_count,
            asked=history.asked if is_part else None,
            pool=draw_pool(history.interest, chosen.user_pool, settings.seed) if everyone > chosen.user_pool else None,
        )

    def learn_claims(self, history: History) -> None:
        """Keep what the others bought, if they did more than buy."""
        if not only_purchases(history):
            self.bought = sparse.csr_array(history.purchases > 0).astype(np.float32)

    def sentences(self, history: History, users: NDArray[np.int32], columns: NDArray[np.integer]) -> list[str]:
        """Say that the nearest others bought a product only where one did."""
        if self.bought is None:
            return super().sentences(history, users, columns)
        told: list[str] = []
        for start in range(0, len(users), BLOCK):
            block = slice(start, start + BLOCK)
            rows, place = np.unique(users[block], return_inverse=True)
            found = sparse.csr_array(self.neighbours[rows] @ self.bought)
            is_true = found[place, columns[block]] > 0
            told += [self.sentence if one else FITS for one in np.asarray(is_true).ravel()]
        return told

    def scores(self, history: History, users: NDArray[np.int32]) -> Scores:
        """Sum the neighbours' tastes."""
        return sparse.csr_array(self.neighbours[users] @ self._tastes)

    def state(self) -> State:
        """Return what was fitted; of the others, only those who are somebody's neighbour."""
        others = np.bincount(self.neighbours.indices, minlength=self.neighbours.shape[1]) > 0
        state: State = {"neighbours": self.neighbours, "tastes": _only(self._tastes, others)}
        return state | ({} if self.bought is None else {"bought": _only(self.bought, others)})

    def restore(self, state: State, settings: Settings) -> None:
        """Take it back."""
        self.neighbours = sparse.csr_array(state["neighbours"])
        self._tastes = sparse.csr_array(state["tastes"])
        self.bought = sparse.csr_array(state["bought"]) if "bought" in state else None


def _only(matrix: sparse.csr_array, rows: NDArray[np.bool_]) -> sparse.csr_array:
    """Return a matrix of the same shape with entries in some rows alone."""
    sizes = np.diff(matrix.indptr)
    kept = np.repeat(rows, sizes)
    edges = np.concatenate([[0], np.cumsum(np.where(rows, sizes, 0))])
    return sparse.csr_array((matrix.data[kept], matrix.indices[kept], edges), shape=matrix.shape)


def draw_pool(interest: sparse.csr_array, most: int, seed: int) -> NDArray[np.int32]:
    """Return a seeded draw of customers who have a history, ascending; all of them if they are few."""
    known = np.flatnonzero(np.diff(interest.indptr)).astype(np.int32)
    if len(known) <= most:
        return known
    return np.sort(np.random.default_rng(seed).choice(known, most, replace=False))
