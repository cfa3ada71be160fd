"""What models are measured by, and every figure of every customer by it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.evaluation.metrics import (
    NOTHING,
    Truth,
    calibration,
    coverage,
    diversity,
    exposure_gini,
    hits_of,
    novelty,
    per_customer,
    serendipity,
    shown_matrix,
)
from recsys.evaluation.roles import K
from recsys.lists import Lists

Values = NDArray[np.float64]
Integers = NDArray[np.integer]
Shown = NDArray[np.int64]

NOVELTY = "novelty"
DIVERSITY_CATEGORY = "diversity_category"
DIVERSITY_BRAND = "diversity_brand"
SERENDIPITY = "serendipity"
CALIBRATION = "calibration"
COVERAGE = "coverage"
EXPOSURE_GINI = "exposure_gini"


@dataclass(frozen=True)
class Products:
    """What was known about products before the cut; arrays of (m,) are by product number.

    Attributes:
        catalogue: (e,) products that may be recommended, ascending.
        buyers: (m,) customers who had bought each.
        customers: of how many, all together.
        category: (m,) category of each, -1 if unknown; None if the shop has none.
        brand: (m,) brand of each, -1 if unknown; None if the shop has none.
        department: (m,) the coarse category that tastes are kept in, -1 if unknown; None if the shop has none.
    """

    catalogue: Integers
    buyers: Integers
    customers: int
    category: Integers | None = None
    brand: Integers | None = None
    department: Integers | None = None


@dataclass(frozen=True)
class Ground:
    """What models are measured by.

    Attributes:
        truth: relevant products by the measure.
        products: what was known about products.
        tastes: (n, g) how often each customer of ``truth`` had bought of each department; None if that isn't known.
    """

    truth: Truth
    products: Products
    tastes: sparse.csr_array | None = None

    def shown(self, lists: Lists, k: int) -> Shown:
        """Return the (n, k) products that lists show to the customers of the truth."""
        return shown_matrix(self.truth.users, lists.user_idx, lists.item_idx, lists.rank, k)

    def expected(self, popularity: Lists | None) -> Shown:
        """Return the (n, K) products that popularity shows: those lists, or else the same most bought for all."""
        if popularity is not None:
            return self.shown(popularity, K)
        catalogue, buyers = self.products.catalogue, self.products.buyers
        most = catalogue[np.lexsort((catalogue, -buyers[catalogue]))][:K] if len(catalogue) else catalogue
        filled = np.full(K, NOTHING, np.int64)
        filled[: len(most)] = most
        return np.broadcast_to(filled, (len(self.truth.users), K))

    def measure(self, shown: Shown, expected: Shown, ks: Sequence[int]) -> dict[str, Values]:
        """Return every figure of every customer of the truth that lists come to; see ``recsys.evaluation.metrics``.

        Args:
            shown: (n, at least K and max(ks)) products by rank.
            expected: (n, K) what popularity shows.
            ks: list lengths of the ranking metrics; what is beyond accuracy looks at K.
        """
        hits, top, products = hits_of(self.truth, shown), shown[:, :K], self.products
        figures: dict[str, Values] = per_customer(hits, self.truth.relevant, ks)
        figures[SERENDIPITY] = serendipity(hits[:, :K], top, expected)
        figures[NOVELTY] = novelty(top, products.buyers, products.customers)
        if products.category is not None:
            figures[DIVERSITY_CATEGORY] = diversity(top, products.category)
        if products.brand is not None:
            figures[DIVERSITY_BRAND] = diversity(top, products.brand)
        if products.department is not None and self.tastes is not None:
            figures[CALIBRATION] = calibration(top, products.department, self.tastes)
        return {name: values for name, values in figures.items() if not len(values) or np.isfinite(values).any()}

    def of_range(self, lists: Lists) -> dict[str, float]:
        """Return the figures that all lists have together, over everybody who got one, up to rank K."""
        shown = lists.item_idx[lists.rank <= K]
        gini = exposure_gini(shown, self.products.catalogue)
        found = {COVERAGE: coverage(shown, self.products.catalogue)}
        return found if np.isnan(gini) else found | {EXPOSURE_GINI: gini}
