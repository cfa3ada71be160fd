"""What the customers of one segment or one market bought recently."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.candidates.base import Generator, Scores, State
from recsys.candidates.popularity import Popularity, buyers, customers
from recsys.history import Groups, History
from recsys.settings import Settings

FEWEST_TOLD = 5  # buyers: with fewer, a sentence about a group would tell what single customers did
UNNAMED = ("", "unknown")  # groups of customers about whom the shop knows nothing


class GroupPopularity(Generator):
    """Scores a product by its buyers' share of a group, smoothed towards everyone's.

    ``(n(g, i) + k n(i) / n) / (n(g) + k)`` with n the customers who bought anything in the recent days, n(i)
    those who bought the product, the same within group g, and k the setting ``group_prior``: so many customers
    like everyone are added to each group. So a small or unknown group falls back to what everyone buys.
    """

    told: ClassVar[str]  # the sentence where the group has enough buyers

    def groups(self, history: History) -> Groups:
        """Return the customers' groups."""
        raise NotImplementedError

    def fit(self, history: History, settings: Settings) -> None:
        """Count each group's buyers; the last row is of an unknown group, which has none."""
        groups, recent = self.groups(history), history.recent
        numbers = np.arange(len(groups.codes))
        shape = (len(groups.names) + 1, len(numbers))
        members = sparse.csr_array((np.ones(len(numbers)), (groups.codes, numbers)), shape=shape)
        self._counts = sparse.csr_array(members @ (recent > 0).astype(np.float64))
        self._sizes = np.asarray(members @ (np.diff(recent.indptr) > 0), np.float64)
        self._names = np.array(groups.names, np.str_)
        self._shares = buyers(recent) / max(customers(recent), 1)
        self._prior = settings.candidates.group_prior

    def scores(self, history: History, users: NDArray[np.int32]) -> Scores:
        """Return the smoothed shares; what nobody bought recently is not proposed."""
        rows, place = np.unique(self._rows(history, users), return_inverse=True)
        counts = self._counts[rows].toarray() + self._prior * self._shares
        smoothed = counts / (self._sizes[rows] + self._prior)[:, None]
        return np.where(self._shares > 0, smoothed, -np.inf).astype(np.float32)[place]

    def sentences(self, history: History, users: NDArray[np.int32], columns: NDArray[np.integer]) -> list[str]:
        """Tell the group's buyers; everyone's where those are few, or the group has no name."""
        rows = self._rows(history, users)
        counts = np.asarray(self._counts[rows, columns]).ravel()
        names = [*self._names.tolist(), ""]
        return [
            Popularity.sentence
            if count < FEWEST_TOLD or names[row] in UNNAMED
            else self.told.format(group=names[row], count=int(count))
            for row, count in zip(rows.tolist(), counts.tolist(), strict=True)
        ]

    def _rows(self, history: History, users: NDArray[np.int32]) -> NDArray[np.intp]:
        """Return the customers' rows of the counts: what is fitted may know other groups than this history."""
        known = {name: row for row, name in enumerate(self._names.tolist())}
        groups = self.groups(history)
        rows = np.array([known.get(name, len(known)) for name in groups.names], np.intp)
        return rows[groups.codes[users]]

    def state(self) -> State:
        """Return what was fitted."""
        return {"counts": self._counts, "sizes": self._sizes, "names": self._names, "shares": self._shares}

    def restore(self, state: State, settings: Settings) -> None:
        """Take it back."""
        self._counts = sparse.csr_array(state["counts"])
        self._sizes, self._names = np.asarray(state["sizes"]), np.asarray(state["names"])
        self._shares, self._prior = np.asarray(state["shares"]), settings.candidates.group_prior


class PopularitySegment(GroupPopularity):
    """What customers of the same segment buy."""

    name = "popularity_segment"
    told = "Popular with our {group} customers: {count} bought this in the last {{recent_days}}."

    def groups(self, history: History) -> Groups:
        """Return the segments."""
        return history.segments


class PopularityMarket(GroupPopularity):
    """What customers of the same market buy. Its name may be a number that says nothing to them: it isn't told."""

    name = "popularity_market"
    told = "Popular where you shop: {count} customers who shop there bought this in the last {{recent_days}}."

    def groups(self, history: History) -> Groups:
        """Return the markets where the customers buy most."""
        return history.markets
