"""From ranked candidates to lists: every step but the exposure caps, which need the lists of all customers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from recsys import columns as c
from recsys.history import History
from recsys.lists import rank_within
from recsys.settings import ShapingSettings
from recsys.shaping.calibration import Calibration, family_shares
from recsys.shaping.diversity import DeterminantalPointProcess, MaximalMarginalRelevance
from recsys.shaping.duplicates import Twins, shown_once
from recsys.shaping.exploration import draw, explore
from recsys.shaping.greedy import Term, choose_greedily, relevance
from recsys.shaping.knowledge import Bans
from recsys.shaping.pairs import values_at
from recsys.shaping.quality import good_enough
from recsys.shaping.sensitive import bought_groups, sensitive_groups
from recsys.shaping.similarity import Likeness

DIVERSITY: dict[str, Callable[[NDArray[np.intp], Likeness], Term]] = {
    "mmr": MaximalMarginalRelevance,
    "dpp": DeterminantalPointProcess,
}


@dataclass(frozen=True)
class Shaped:
    """Lists as rows of what was given.

    Attributes:
        rows: (s,) positions of the rows, by customer and rank.
        rank: (s,) from 1.
        propensity: (s,) how probable it was that an explored row was drawn; NaN for rows that weren't.
    """

    rows: NDArray[np.intp]
    rank: NDArray[np.int32]
    propensity: NDArray[np.float64]


@dataclass(frozen=True)
class Taste:
    """What customers bought before a moment.

    Attributes:
        cut_at: the moment.
        purchases: (n, m) purchase lines of each customer and product.
        weights: (n, m) the same with time decay.
    """

    cut_at: datetime
    purchases: sparse.csr_array
    weights: sparse.csr_array

    @classmethod
    def of(cls, history: History) -> "Taste":
        """Take it from a history."""
        return cls(history.cut_at, history.purchases, history.weights)

    @classmethod
    def unknown(cls, customers: int, products: int, cut_at: datetime) -> "Taste":
        """Return that of customers who bought nothing."""
        nothing = sparse.csr_array((customers, products), dtype=np.float32)
        return cls(cut_at, nothing, nothing)


@dataclass(frozen=True)
class Shaper:
    """The shaping of one placement over the products of one history.

    Attributes:
        settings: of the placement.
        seed: of the exploration.
        items: (m,) item_idx, ascending.
        usable: (m,) good enough to be shown.
        sensitive: (m,) the number of the sensitive category, -1 without one.
        twins: which products are the same.
        likeness: how alike products are.
        bans: what the shop's rules keep out.
    """

    settings: ShapingSettings
    seed: int
    items: NDArray[np.int32]
    usable: NDArray[np.bool_]
    sensitive: NDArray[np.int32]
    twins: Twins
    likeness: Likeness
    bans: Bans = field(default_factory=Bans)

    @classmethod
    def of(cls, products: pa.Table, settings: ShapingSettings, seed: int, bans: Bans | None = None) -> "Shaper":
        """Prepare the products that ``read_products`` returned."""
        return cls(
            settings=settings,
            seed=seed,
            items=products[c.ITEM_IDX].to_numpy().astype(np.int32),
            usable=good_enough(products, settings),
            sensitive=sensitive_groups(products[c.CATEGORY].to_pylist(), settings),
            twins=Twins.of(products),
            likeness=Likeness.of(products),
            bans=bans or Bans(),
        )

    def columns(self, item_idx: NDArray[np.integer]) -> NDArray[np.intp]:
        """Return the products' places in ``items``."""
        return np.searchsorted(self.items, item_idx)

    def shape(
        self,
        user_idx: NDArray[np.integer],
        item_idx: NDArray[np.integer],
        scores: NDArray[np.floating],
        taste: Taste,
        *,
        visible: int,
        kept: int,
    ) -> Shaped:
        """Make the lists of a block of customers; what one customer gets doesn't depend on the others.

        Args:
            user_idx: (r,) rows of the taste.
            item_idx: (r,) candidates, all of ``items``.
            scores: (r,) higher is better, comparable within a customer; ties: the lower item_idx.
            taste: what the customers bought; its columns are ``items``.
            visible: rows of a list that customers see.
            kept: rows of a list, spare ones included.
        """
        order, _ = rank_within(user_idx, item_idx, scores, len(user_idx))
        order = order[self._stays(user_idx[order].astype(np.int32), self.columns(item_idx[order]), taste)]
        users, number = np.unique(user_idx[order], return_inverse=True)
        rank = np.arange(len(order)) - np.searchsorted(number, number)
        size = max(self.settings.pool, kept)
        in_pool = rank < size
        pool = np.full((len(users), size), -1, np.intp)
        pool[number[in_pool], rank[in_pool]] = order[in_pool]
        chosen = np.where(pool[:, :kept] >= 0, np.arange(kept), -1)
        head = pool[:, : self.settings.pool]
        best = self._choose(head, users.astype(np.int32), item_idx, scores, taste, min(kept, head.shape[1]))
        chosen[:, : best.shape[1]] = best
        moment = int(taste.cut_at.replace(tzinfo=UTC).timestamp())
        draws = draw(users, self.seed, moment)
        chosen, propensity = explore(chosen, head >= 0, draws, self.settings.exploration, min(visible, kept))
        is_there = chosen >= 0
        at = np.nonzero(is_there)
        return Shaped(
            rows=pool[at[0], chosen[is_there]],
            rank=(at[1] + 1).astype(np.int32),
            propensity=propensity[is_there],
        )

    def _stays(self, users: NDArray[np.int32], column: NDArray[np.intp], taste: Taste) -> NDArray[np.intp]:
        """Return the positions of ordered rows that may be shown."""
        stays = self.usable[column]
        group = self.sensitive[column]
        if self.settings.sensitive == "hide":
            stays &= group < 0
        elif self.settings.sensitive == "only_if_bought":
            asked = np.flatnonzero(group >= 0)
            stays[asked] &= bought_groups(users[asked], group[asked], taste.purchases, self.sensitive)
        left = np.flatnonzero(stays)
        lines = values_at(taste.purchases, users[left], column[left])
        left = left[shown_once(users[left], column[left], lines, self.twins, self.settings)]
        return left[self.bans.allow(users[left], column[left])]

    def _choose(
        self,
        pool: NDArray[np.intp],
        users: NDArray[np.int32],
        item_idx: NDArray[np.integer],
        scores: NDArray[np.floating],
        taste: Taste,
        kept: int,
    ) -> NDArray[np.intp]:
        """Return (c, k) places in the pools, best first, -1 where a pool has no product left."""
        weights = self.settings.diversity_weight, self.settings.calibration_weight
        is_diverse = self.settings.diversity != "off" and weights[0] > 0
        is_there = pool >= 0
        if not is_diverse and weights[1] <= 0:
            return np.where(is_there[:, :kept], np.arange(kept), -1)
        column = np.where(is_there, self.columns(item_idx[pool]), 0)
        relevant = relevance(np.where(is_there, scores[pool], -np.inf))
        terms: list[tuple[float, Term]] = []
        if is_diverse:
            terms.append((weights[0], DIVERSITY[self.settings.diversity](column, self.likeness)))
        if weights[1] > 0:
            family = self.likeness.family
            shares = family_shares(taste.weights, users, column, family)
            terms.append((weights[1], Calibration(column, shares, family)))
        return choose_greedily(relevant, terms, kept)
