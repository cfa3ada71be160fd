"""Products that the shop's rules keep out of lists: what is replaced, and what never stands beside another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from recsys import columns as c
from recsys.knowledge import Products, Rule, match_sides
from recsys.knowledge.rules import NEVER_TOGETHER, REPLACES

Sides = tuple[frozenset[int], frozenset[int]]


@dataclass(frozen=True)
class Bans:
    """What rules keep out of a placement's lists.

    Attributes:
        replaced: columns of products whose place another one takes.
        apart: by column, the numbers of the rules whose left and whose right side a product is on, and whose other
            side must not stand in the same list.
    """

    replaced: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    apart: Mapping[int, Sides] = field(default_factory=dict)

    @classmethod
    def of(cls, rules: Sequence[Rule], products: pa.Table, placement: str) -> "Bans":
        """Find the products, as ``read_products`` returned them, of the rules that count in a placement."""
        counting = [rule for rule in rules if rule.counts_in(placement) and rule.kind in (REPLACES, NEVER_TOGETHER)]
        if not counting:
            return cls()
        texts = (np.asarray(products[name].to_pylist(), object) for name in (c.BRAND, c.CATEGORY))
        known = Products(products[c.ITEM_IDX].to_numpy().astype(np.int32), *texts)
        left, right = (match_sides(sides, known) for sides in zip(*((r.left, r.right) for r in counting), strict=True))
        takes = np.flatnonzero([rule.kind == REPLACES for rule in counting])
        never = np.flatnonzero([rule.kind == NEVER_TOGETHER for rule in counting])
        only_right = right[takes] - right[takes].multiply(left[takes])
        ours, theirs = (sparse.csr_array(side[never].T) for side in (left, right))
        columns = np.flatnonzero(np.diff(ours.indptr) + np.diff(theirs.indptr))
        apart = {column: (_numbers(ours, column), _numbers(theirs, column)) for column in columns.tolist()}
        return cls(np.flatnonzero(np.asarray(only_right.sum(axis=0)).ravel() > 0), apart)

    def allow(self, user_idx: NDArray[np.integer], column: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Tell which rows stay: of products that never stand together the higher ranked one.

        Args:
            user_idx: (r,) customers, each one's rows together and in the order of their rank.
            column: (r,) products.
        """
        stays = ~np.isin(column, self.replaced)
        asked = np.flatnonzero(stays & np.isin(column, list(self.apart)))
        customer, left, right = -1, set[int](), set[int]()
        for row, user, product in zip(asked.tolist(), user_idx[asked].tolist(), column[asked].tolist(), strict=True):
            if user != customer:
                customer, left, right = user, set(), set()
            ours, theirs = self.apart[product]
            stays[row] = left.isdisjoint(theirs) and right.isdisjoint(ours)
            if stays[row]:
                left |= ours
                right |= theirs
        return stays


def _numbers(matrix: sparse.csr_array, row: int) -> frozenset[int]:
    return frozenset(matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]].tolist())
