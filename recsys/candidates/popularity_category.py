"""What sells best in the categories that a customer turns to."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.candidates.base import Generator, Scores, State
from recsys.candidates.popularity import Popularity
from recsys.history import History, Need
from recsys.settings import Settings

STEP = " > "  # between the steps of a category path
NARROW = 0.6  # what the category (the whole path) counts; the rest is its family's (the path's first two steps)
PRIOR = 30.0  # buyers that are added to a category's: the only product of a small one isn't its sure best seller


class PopularityCategory(Generator):
    """Scores a product by the customer's taste for its category times its part of the category's recent buyers.

    ``score(u, i) = .6 t(u, c(i)) n(i) / (n(c(i)) + 30) + .4 t(u, f(i)) n(i) / (n(f(i)) + 30)`` with t the part of
    the customer's interest that is in category c or family f, and n recent buyers, added up over the products.
    """

    name = "popularity_category"
    needs: tuple[Need, ...] = ("catalogue",)

    def fit(self, history: History, settings: Settings) -> None:
        """Number the categories and families, and count what their products sell."""
        assert history.catalogue is not None
        paths = history.catalogue.category.astype(np.str_)
        families = np.array([STEP.join(path.split(STEP)[:2]) for path in paths.tolist()], np.str_)
        self._categories, categories = np.unique(paths, return_inverse=True)
        self._families, families_of = np.unique(families, return_inverse=True)
        self._codes = np.stack([categories, families_of]).astype(np.int32)
        self._buyers = history.popularity.astype(np.float64)
        self._arrange()

    def _arrange(self) -> None:
        """Lay out, for both levels, (m, c) which product is in which, and (c, m) each product's part of it."""
        columns = np.arange(self._codes.shape[1])
        self._levels: list[tuple[sparse.csr_array, sparse.csr_array]] = []
        for codes, names in zip(self._codes, (self._categories, self._families), strict=True):
            total = np.bincount(codes, weights=self._buyers, minlength=len(names))
            shape = (len(columns), len(names))
            inside = sparse.csr_array((np.ones(len(columns)), (columns, codes)), shape=shape)
            part = self._buyers / (total[codes] + PRIOR)
            self._levels.append((inside, sparse.csr_array((part, (codes, columns)), shape=shape[::-1])))

    def scores(self, history: History, users: NDArray[np.int32]) -> Scores:
        """Spread each customer's taste over the best sellers of its categories and families."""
        weighted = (
            share * (self._taste(history, users, level) @ part)
            for share, level, (_, part) in zip((NARROW, 1 - NARROW), range(2), self._levels, strict=True)
        )
        return sparse.csr_array(sum(weighted), dtype=np.float32)

    def _taste(self, history: History, users: NDArray[np.int32], level: int) -> sparse.csr_array:
        """Return (b, c) the part of each customer's interest that lies in each category."""
        own = history.interest[users].astype(np.float64)
        own.data = np.log1p(own.data)
        total = np.asarray(own.sum(axis=1)).ravel()
        scale = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
        return sparse.csr_array(sparse.diags_array(scale) @ own @ self._levels[level][0])

    def sentences(self, history: History, users: NDArray[np.int32], columns: NDArray[np.integer]) -> list[str]:
        """Name the category where the customer turned to it, else the family."""
        rows, place = np.unique(users, return_inverse=True)
        is_own = self._taste(history, rows.astype(np.int32), 0)[place, self._codes[0, columns]] > 0
        narrow, wide = (
            names[codes[columns]] for names, codes in zip((self._categories, self._families), self._codes, strict=True)
        )
        named = [path.split(STEP)[-1] for path in np.where(np.asarray(is_own).ravel(), narrow, wide).tolist()]
        return [
            f"Popular in {name}, where you look: {{recent_buyers}} customers bought this in the last {{recent_days}}."
            if name
            else Popularity.sentence
            for name in named
        ]

    def state(self) -> State:
        """Return what was fitted."""
        return {
            "codes": self._codes,
            "buyers": self._buyers,
            "categories": self._categories,
            "families": self._families,
        }

    def restore(self, state: State, settings: Settings) -> None:
        """Take it back."""
        self._codes, self._buyers = np.asarray(state["codes"]), np.asarray(state["buyers"])
        self._categories, self._families = np.asarray(state["categories"]), np.asarray(state["families"])
        self._arrange()
