"""The customer's own products that are due."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.candidates.base import Generator, Scores, State
from recsys.history import History, Need
from recsys.settings import Settings

GAPS = 20.0  # between purchases of a product that weigh as much as the interval of its category
OWN_GAPS = 4.0  # of one customer that weigh as much as the interval of the product
EXPOSURE = 1000.0  # customer days of the category's rate of repeats that are added to a product's
SHORTEST = 0.5  # days: what is bought twice a day is due at every visit


@dataclass(frozen=True)
class _Pairs:
    """Customers' products: (p,) arrays, in the order of the matrices.

    Attributes:
        column: the product.
        gaps: between the purchases; 0 where all happened at one moment.
        own: mean days of a gap; ``SHORTEST`` at least, also where there is none.
        first_days: since the first purchase.
        last_days: since the last one.
    """

    column: NDArray[np.int32]
    gaps: NDArray[np.float64]
    own: NDArray[np.float64]
    first_days: NDArray[np.float64]
    last_days: NDArray[np.float64]

    @classmethod
    def of(cls, purchases: sparse.csr_array, first_days: sparse.csr_array, last_days: sparse.csr_array) -> "_Pairs":
        first, last = first_days.data.astype(np.float64), last_days.data.astype(np.float64)
        gaps = np.where(first > last, purchases.data - 1.0, 0.0)
        own = np.maximum((first - last) / np.maximum(gaps, 1.0), SHORTEST)
        return cls(purchases.indices, gaps, own, first, last)


class Due(Generator):
    """Proposes what the customer bought before, in the order of how much it is bought again and how due it is.

    With w the decayed purchases (as ``repurchase``), a the days since the last one and d the interval expected::

        score = (w + p r) * min(1, (a + h) / d) / (1 + a / (q d))

    r is how often the product is bought again by those who bought it, against all products (its repeats for
    each day since a first purchase), p the setting ``due_prior``. The second factor rises until the product becomes
    due within the horizon h (``due_days``), the last halves the score of what is q (``due_patience``) intervals
    overdue. d is the geometric mean of the customer's own interval, counted once a gap, and the product's, counted
    ``OWN_GAPS`` times. The product's is the median of its customers' intervals, an interval counted once a gap,
    shrunk in the same way towards the category's, and that towards all products'.
    """

    name = "due"
    needs: tuple[Need, ...] = ("catalogue",)

    def fit(self, history: History, settings: Settings) -> None:
        """Learn each product's interval and how often it is bought again."""
        assert history.catalogue is not None
        _, category = np.unique(history.catalogue.category.astype(np.str_), return_inverse=True)
        pairs = _Pairs.of(history.purchases, history.first_days, history.last_days)
        again = pairs.gaps > 0
        column, logs, gaps = pairs.column[again], np.log(pairs.own[again]), pairs.gaps[again]
        usual = np.array([np.log(settings.candidates.due_days)])  # where nothing was ever bought again
        everything = _shrunk_medians(np.zeros_like(column), logs, gaps, usual)
        wide = _shrunk_medians(category[column], logs, gaps, np.repeat(everything, category.max(initial=-1) + 1))
        self._interval = _shrunk_medians(column, logs, gaps, wide[category]).astype(np.float32)
        self._again = _repeat_rates(pairs, category).astype(np.float32)
        self._use(settings)

    def _use(self, settings: Settings) -> None:
        chosen = settings.candidates
        self._prior, self._horizon, self._patience = chosen.due_prior, chosen.due_days, chosen.due_patience

    def scores(self, history: History, users: NDArray[np.int32]) -> Scores:
        """Score the customers' own products."""
        weights = history.weights[users]
        pairs = _Pairs.of(history.purchases[users], history.first_days[users], history.last_days[users])
        expected = np.exp(
            (pairs.gaps * np.log(pairs.own) + OWN_GAPS * self._interval[pairs.column]) / (pairs.gaps + OWN_GAPS)
        )
        becoming = np.minimum(1.0, (pairs.last_days + self._horizon) / expected)
        waiting = 1 + pairs.last_days / (self._patience * expected)
        again = weights.data + self._prior * self._again[pairs.column]
        return sparse.csr_array(
            ((again * becoming / waiting).astype(np.float32), weights.indices, weights.indptr), shape=weights.shape
        )

    def state(self) -> State:
        """Return the logarithm of each product's interval in days, and how often it is bought again."""
        return {"interval": self._interval, "again": self._again}

    def restore(self, state: State, settings: Settings) -> None:
        """Take it back."""
        self._interval, self._again = np.asarray(state["interval"]), np.asarray(state["again"])
        self._use(settings)


def _shrunk_medians(
    group: NDArray[np.integer], logs: NDArray[np.float64], gaps: NDArray[np.float64], towards: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (g,) each group's median of ``logs``, each weighing its gaps, shrunk towards the group's prior."""
    order = np.lexsort((logs, group))
    group, logs, gaps = group[order], logs[order], gaps[order]
    total = np.bincount(group, weights=gaps, minlength=len(towards))
    before = np.cumsum(gaps) - gaps - (np.cumsum(total) - total)[group]
    is_upper = before + gaps >= total[group] / 2
    found, first = np.unique(group[is_upper], return_index=True)
    result = towards.copy()
    medians = logs[is_upper][first]
    result[found] = (total[found] * medians + GAPS * towards[found]) / (total[found] + GAPS)
    return result


def _repeat_rates(pairs: _Pairs, category: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return (m,) the repeats a day of each product against those of all, shrunk towards its category's."""
    repeats = np.bincount(pairs.column, weights=pairs.gaps, minlength=len(category))
    days = np.bincount(pairs.column, weights=pairs.first_days, minlength=len(category))
    if not repeats.sum():
        return np.ones(len(category))
    overall = repeats.sum() / days.sum()
    groups = category.max() + 1
    rates = (np.bincount(category, weights=repeats, minlength=groups) + EXPOSURE * overall) / (
        np.bincount(category, weights=days, minlength=groups) + EXPOSURE
    )
    return np.asarray((repeats + EXPOSURE * rates[category]) / (days + EXPOSURE) / overall)
