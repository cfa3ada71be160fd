"""Which products the sides of rules are about."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.knowledge.rules import Side

STEP = " > "


@dataclass(frozen=True)
class Products:
    """Products as rules see them.

    Attributes:
        item_idx: (p,) ascending.
        brand: (p,) texts, empty where unknown.
        category: (p,) paths, empty where unknown.
    """

    item_idx: NDArray[np.int32]
    brand: NDArray[Any]
    category: NDArray[Any]

    @cached_property
    def _by_brand(self) -> dict[str, NDArray[np.intp]]:
        return _by_value(self.brand)

    @cached_property
    def _by_category(self) -> dict[str, NDArray[np.intp]]:
        return _by_value(self.category)

    def places(self, side: Side) -> NDArray[np.intp]:
        """Return the places of the products that a side is about, ascending."""
        none = np.empty(0, np.intp)
        if side.item_idx is not None:
            return np.flatnonzero(self.item_idx == side.item_idx)
        if side.brand is not None:
            return self._by_brand.get(side.brand, none)
        if side.category is None:
            return none
        below = side.category + STEP
        parts = [own for path, own in self._by_category.items() if path == side.category or path.startswith(below)]
        return np.sort(np.concatenate([none, *parts]))


def match_sides(sides: Sequence[Side], products: Products) -> sparse.csr_array:
    """Return (r, p) 1 where a side is about a product."""
    places = [products.places(side) for side in sides]
    indptr = np.cumsum([0, *(len(own) for own in places)])
    indices = np.concatenate([np.empty(0, np.intp), *places])
    shape = (len(sides), len(products.item_idx))
    return sparse.csr_array((np.ones(len(indices), np.float32), indices, indptr), shape=shape)


def _by_value(values: NDArray[Any]) -> dict[str, NDArray[np.intp]]:
    order = np.argsort(values.astype(str), kind="stable")
    texts = values.astype(str)[order]
    names, first = np.unique(texts, return_index=True)
    parts = np.split(order, first[1:]) if len(names) else []
    return {str(name): part for name, part in zip(names, parts, strict=True)}
