"""What the shop knows of its products, written down as rules (see ``recsys.knowledge``)."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.candidates.base import BECAUSE, BLOCK, FITS, Generator, Scores, State, tastes
from recsys.candidates.choosing import best
from recsys.errors import ContractError
from recsys.history import History, Need, ShopRules
from recsys.knowledge.rules import BOOST, GOES_WITH, REPLACES
from recsys.settings import Settings

NAMED: Final = {
    GOES_WITH: f"Goes with {BECAUSE}, which you bought.",
    REPLACES: f"Takes the place of {BECAUSE}, which you bought.",
}
UNNAMED: Final = {  # told of what is recommended no more
    GOES_WITH: "Goes with something that you bought.",
    REPLACES: "Takes the place of something that you bought.",
}
IN_SEASON: Final = "In season now."
CHOSEN: Final = "Chosen by the shop."
ROUNDING: Final = 1e-6  # what is left of a product's word for itself once that is taken off again


@dataclass(frozen=True)
class _Spoken:
    """The rules that count in a placement (r), over m products that may be recommended and s that may not.

    Attributes:
        kinds: (r,) their kinds.
        sources: (r, m + s) 1 where the purchase of a product makes the rule speak.
        proposed: (r, m) for which products, and how strongly.
        itself: (m,) what products would say of themselves.
        boost: (1, m) what is said to everyone.
        is_seasonal: (m,) products that a season speaks for.
    """

    kinds: NDArray[np.str_]
    sources: sparse.csr_array
    proposed: sparse.csr_array
    itself: NDArray[np.float64]
    boost: sparse.csr_array
    is_seasonal: NDArray[np.bool_]

    @classmethod
    def of(
        cls, kinds: NDArray[np.str_], seasonal: NDArray[np.bool_], sources: sparse.csr_array, proposed: sparse.csr_array
    ) -> "_Spoken":
        m = proposed.shape[1]
        boosts = kinds == BOOST
        return cls(
            kinds=kinds,
            sources=sources,
            proposed=proposed,
            itself=np.asarray(sources[:, :m].multiply(proposed).sum(axis=0), np.float64).ravel(),
            boost=sparse.csr_array(boosts[None, :].astype(np.float64)) @ proposed,
            is_seasonal=np.asarray(proposed[boosts & seasonal].sum(axis=0)).ravel() > 0,
        )


class Knowledge(Generator):
    """Scores products by the shop's own rules: what goes with a purchase, what takes its place, what is boosted.

    With own(u, j) the logarithm of 1 + the purchases, which fade with time::

        score(u, i) = sum over rules r, purchases j != i of r's source, of own(u, j) weight(r, i)
                      + sum over boosts r of weight(r, i)

    The source is the left side of ``goes_with`` and the right side of ``replaces``; i is of the other side. Where that
    side has many products, the ``knowledge_items`` with most recent buyers speak for it, the best with the whole
    weight: weight(r, i) = weight(r) (1 + buyers(i)) / (1 + most buyers in the side). Rules count from after the moment
    that they were known, while they hold; those of one placement only there, and only when lists are made.
    """

    name = "knowledge"
    by_placement = True
    needs: tuple[Need, ...] = ("rules",)
    scoring_needs: tuple[Need, ...] = ("rules",)

    def fit(self, history: History, settings: Settings) -> None:
        """Take the rules that hold, and choose what they propose."""
        written = _rules(history)
        kinds = np.array([rule.kind for rule in written.rules], np.str_)
        goes, replaces, boosts = (sparse.diags_array(1.0 * (kinds == kind)) for kind in (GOES_WITH, REPLACES, BOOST))
        m = history.shape[1]
        self._sources = _rows(goes @ written.left + replaces @ written.right)
        targets = _rows((goes @ written.right + (replaces + boosts) @ written.left)[:, :m])
        weights = [rule.weight for rule in written.rules]
        self._proposed = _most_bought(targets, weights, history.popularity, settings.candidates.knowledge_items)
        self._kinds = kinds
        self._placements = np.array([rule.placement or "" for rule in written.rules], np.str_)
        self._seasonal = np.array([rule.period.is_seasonal for rule in written.rules], bool)
        self._outside = written.outside
        self._spoken: dict[str | None, _Spoken] = {}

    def _in(self, placement: str | None) -> _Spoken:
        """Return the rules that count in a placement."""
        if placement not in self._spoken:
            kept = np.isin(self._placements, ["", placement or ""])
            parts = (self._kinds[kept], self._seasonal[kept], self._sources[kept], self._proposed[kept])
            self._spoken[placement] = _Spoken.of(*parts)
        return self._spoken[placement]

    def _own(self, history: History, users: NDArray[np.int32], here: sparse.csr_array) -> sparse.csr_array:
        """Return (b, m + s) tastes: ``here`` of the history's products, and those of the products outside."""
        written = _rules(history)
        place = np.minimum(np.searchsorted(self._outside, written.outside), max(len(self._outside) - 1, 0))
        known = np.isin(written.outside, self._outside)
        bought = written.bought[users].tocoo()
        kept = known[bought.col]
        entries = (bought.data[kept], (bought.row[kept], place[bought.col[kept]]))
        outside = sparse.csr_array(entries, shape=(len(users), len(self._outside)))
        return tastes(sparse.csr_array(sparse.hstack([here, outside], format="csr")))

    def scores(self, history: History, users: NDArray[np.int32]) -> Scores:
        """Add up what the rules say."""
        spoken, m = self._in(history.placement), history.shape[1]
        own = self._own(history, users, history.weights[users]).astype(np.float64)
        said = sparse.csr_array(
            own @ spoken.sources.T @ spoken.proposed - own[:, :m] @ sparse.diags_array(spoken.itself)
        )
        said.data[said.data < ROUNDING] = 0
        everyone = sparse.csr_array(np.ones((len(users), 1)))
        return sparse.csr_array(said + everyone @ spoken.boost, dtype=np.float32)

    def because(self, history: History, users: NDArray[np.int32], columns: NDArray[np.integer]) -> NDArray[np.int32]:
        """Return the purchases that say most; -1 where that is one outside, or none."""
        source, _ = self._arguments(history, users, columns)
        return np.where(source < history.shape[1], source, -1).astype(np.int32)

    def sentences(self, history: History, users: NDArray[np.int32], columns: NDArray[np.integer]) -> list[str]:
        """Say what the rule is that says most, and of boosts only a season that there is."""
        spoken = self._in(history.placement)
        boosted = np.asarray(spoken.boost.toarray()).ravel() > 0
        told = np.where(spoken.is_seasonal, IN_SEASON, np.where(boosted, CHOSEN, FITS))[columns].astype(object)
        source, rule = self._arguments(history, users, columns)
        for row in np.flatnonzero(rule >= 0):
            sentences = NAMED if source[row] < history.shape[1] else UNNAMED
            told[row] = sentences[str(spoken.kinds[rule[row]])]
        return [str(sentence) for sentence in told]

    def _arguments(
        self, history: History, users: NDArray[np.int32], columns: NDArray[np.integer]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return (r,) the purchase that says most for each product and the rule by which it does; -1 where none does.

        Of equal ones: the first rule, then the lower column.
        """
        spoken = self._in(history.placement)
        towards = sparse.csr_array(spoken.proposed.T)
        source, rule = (np.full(len(users), -1, np.intp) for _ in range(2))
        for start in range(0, len(users), BLOCK):
            block = slice(start, start + BLOCK)
            bought = history.purchases[users[block]] > 0
            own = self._own(history, users[block], sparse.csr_array(history.weights[users[block]].multiply(bought)))
            said = towards[columns[block]].tocoo()
            adds = own[said.row].multiply(spoken.sources[said.col]).tocoo()
            row, strength = said.row[adds.row], adds.data * said.data[adds.row]
            others = np.flatnonzero((strength > 0) & (adds.col != columns[block][row]))
            order = others[np.lexsort((adds.col[others], adds.row[others], -strength[others], row[others]))]
            rows, first = np.unique(row[order], return_index=True)
            source[start + rows] = adds.col[order][first]
            rule[start + rows] = said.col[adds.row[order][first]]
        return source, rule

    def state(self) -> State:
        """Return what was fitted."""
        return {
            "kinds": self._kinds,
            "placements": self._placements,
            "seasonal": self._seasonal,
            "outside": self._outside,
            "sources": self._sources,
            "proposed": self._proposed,
        }

    def restore(self, state: State, settings: Settings) -> None:
        """Take it back."""
        self._kinds, self._placements = np.asarray(state["kinds"]), np.asarray(state["placements"])
        self._seasonal, self._outside = np.asarray(state["seasonal"], bool), np.asarray(state["outside"])
        self._sources, self._proposed = sparse.csr_array(state["sources"]), sparse.csr_array(state["proposed"])
        self._spoken = {}


def _rules(history: History) -> ShopRules:
    if history.rules is None:
        raise ContractError("The history was read without the shop's rules, which this generator needs.")
    return history.rules


def _rows(matrix: sparse.sparray) -> sparse.csr_array:
    rows = sparse.csr_array(matrix)
    rows.eliminate_zeros()
    rows.sort_indices()
    return rows


def _most_bought(
    targets: sparse.csr_array, weights: list[float], buyers: NDArray[np.float64], k: int
) -> sparse.csr_array:
    """Return (r, m) the weights of each rule's k products with most buyers (equal ones: the lower column)."""
    columns, values = [np.empty(0, np.int32)], [np.empty(0)]
    for weight, start, stop in zip(weights, targets.indptr[:-1], targets.indptr[1:], strict=True):
        side = targets.indices[start:stop].astype(np.int32)
        kept = np.sort(side[best(buyers[side].astype(np.float32), side, k)])
        columns.append(kept)
        values.append(weight * (1 + buyers[kept]) / (1 + buyers[kept].max(initial=0)))
    indptr = np.cumsum([0, *(len(kept) for kept in columns[1:])])
    return sparse.csr_array((np.concatenate(values), np.concatenate(columns), indptr), shape=targets.shape)
