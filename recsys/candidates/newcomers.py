"""What customers of the same kind buy, for those of whom little else is known."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.candidates.base import Generator, Scores, State
from recsys.candidates.popularity import Popularity, buyers, customers
from recsys.candidates.popularity_groups import FEWEST_TOLD, UNNAMED, PopularitySegment
from recsys.history import History, Need
from recsys.settings import Settings

SEGMENT = "segment="  # begins the name of a segment among the groups
FEWEST = 20  # customers of an attribute's value who bought anything recently: with fewer it is left out


class Newcomers(Generator):
    """Scores products for new and light customers by their segment and by what else the shop knows of them.

    With p the share of everyone who bought a product in the recent days, and p(g) the share of each group g that
    the customer belongs to (the segment, and the values of the attributes), smoothed towards p by ``group_prior``
    customers::

        score = p * exp(sum over g of log(p(g) / p) / sqrt(number of groups))

    The groups overlap, so their evidence is not simply added up; nor is it only averaged, since each says
    something of its own. A customer without any group gets what everyone buys. Customers with more than
    ``newcomer_lines`` purchases, the first of them longer than ``newcomer_days`` ago, get nothing.
    """

    name = "newcomers"
    needs: tuple[Need, ...] = ("traits",)
    scoring_needs: tuple[Need, ...] = ("traits",)

    def fit(self, history: History, settings: Settings) -> None:
        """Count each group's buyers."""
        groups, names = _groups(history, np.arange(history.shape[0], dtype=np.int32))
        sizes = np.asarray((groups.T @ (np.diff(history.recent.indptr) > 0)), np.float64).ravel()
        kept = [number for number, name in enumerate(names) if name.startswith(SEGMENT) or sizes[number] >= FEWEST]
        self._names = np.array([names[number] for number in kept], np.str_)
        self._sizes = sizes[kept]
        self._counts = sparse.csr_array(sparse.csr_array(groups.T)[kept] @ (history.recent > 0).astype(np.float64))
        self._shares = buyers(history.recent) / max(customers(history.recent), 1)
        self._use(settings)

    def _use(self, settings: Settings) -> None:
        """Turn counts into log(p(g) / p): for no buyers it is log(k / (n(g) + k)), and each buyer adds to that."""
        chosen = settings.candidates
        self._lines, self._days = chosen.newcomer_lines, chosen.newcomer_days
        self._added = self._counts.copy()
        self._added.data = np.log1p(self._counts.data / (chosen.group_prior * self._shares[self._counts.indices]))
        self._least = np.log(chosen.group_prior / (self._sizes + chosen.group_prior))

    def scores(self, history: History, users: NDArray[np.int32]) -> Scores:
        """Score the new and light customers among these."""
        result = np.full((len(users), history.shape[1]), -np.inf, np.float32)
        lines = np.asarray(history.purchases[users].sum(axis=1)).ravel()
        known_days = history.first_days[users].max(axis=1).toarray().ravel()
        rows = np.flatnonzero((lines <= self._lines) | (known_days <= self._days))
        groups = self._known_groups(history, users[rows])
        count = np.maximum(np.diff(groups.indptr), 1)[:, None]
        lifts = (groups @ self._added).toarray() + (groups @ self._least)[:, None]
        found = self._shares * np.exp(lifts / np.sqrt(count))
        result[rows] = np.where(self._shares > 0, found, -np.inf)
        return result

    def _known_groups(self, history: History, users: NDArray[np.int32]) -> sparse.csr_array:
        """Return (b, g) which of the fitted groups the customers belong to."""
        groups, names = _groups(history, users)
        place = {name: number for number, name in enumerate(self._names.tolist())}
        known = np.array([place.get(name, -1) for name in names], np.intp)
        own = groups.tocoo()
        is_known = known[own.col] >= 0
        shape = (len(users), len(self._names))
        return sparse.csr_array((own.data[is_known], (own.row[is_known], known[own.col[is_known]])), shape=shape)

    def sentences(self, history: History, users: NDArray[np.int32], columns: NDArray[np.integer]) -> list[str]:
        """Tell the segment's buyers; everyone's where those are few, or the segment has no name."""
        place = {name: number for number, name in enumerate(self._names.tolist())}
        told = []
        for code, column in zip(history.segments.codes[users], columns, strict=True):
            name = history.segments.names[code]
            row = None if name in UNNAMED else place.get(SEGMENT + name)
            count = 0 if row is None else int(self._counts[row, column])
            few = count < FEWEST_TOLD
            told.append(Popularity.sentence if few else PopularitySegment.told.format(group=name, count=count))
        return told

    def state(self) -> State:
        """Return what was fitted."""
        return {"counts": self._counts, "sizes": self._sizes, "names": self._names, "shares": self._shares}

    def restore(self, state: State, settings: Settings) -> None:
        """Take it back."""
        self._counts = sparse.csr_array(state["counts"])
        self._sizes, self._names = np.asarray(state["sizes"]), np.asarray(state["names"])
        self._shares = np.asarray(state["shares"])
        self._use(settings)


def _groups(history: History, users: NDArray[np.int32]) -> tuple[sparse.csr_array, list[str]]:
    """Return (b, g) customers and their groups, and the groups' names: segments, then attributes."""
    assert history.traits is not None
    rows = np.arange(len(users))
    shape = (len(users), len(history.segments.names))
    segments = sparse.csr_array((np.ones(len(users)), (rows, history.segments.codes[users])), shape=shape)
    names = [*(SEGMENT + name for name in history.segments.names), *history.traits.names]
    return sparse.csr_array(sparse.hstack([segments, history.traits.members[users]])), names
