"""How alike two products are, by the steps of their category paths and by their brands."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys import columns as c
from recsys.shaping.sensitive import STEP

OWN = 0.1  # of a product that no other has: two products are never the same
BRAND = 0.2  # of the rest; the category has what is left


@dataclass(frozen=True)
class Likeness:
    """Category paths and brands as numbers.

    Attributes:
        paths: (m, d) the number of the path up to each step, -1 beyond the last.
        depth: (m,) steps of each path; 0 without a category.
        brand: (m,) -1 without a brand.
        family: (m,) the number of the path's first two steps; -1 without a category.
    """

    paths: NDArray[np.int32]
    depth: NDArray[np.int32]
    brand: NDArray[np.int32]
    family: NDArray[np.int32]

    @classmethod
    def of(cls, products: pa.Table) -> "Likeness":
        """Number the paths and brands of the products that ``read_products`` returned."""
        split = {text: text.split(STEP) if text else [] for text in products[c.CATEGORY].unique().to_pylist()}
        longest = max((len(steps) for steps in split.values()), default=0)
        numbers: dict[tuple[str, ...], int] = {}
        by_category = {
            text: [numbers.setdefault(tuple(steps[: n + 1]), len(numbers)) for n in range(len(steps))]
            for text, steps in split.items()
        }
        chosen = [by_category[text] for text in products[c.CATEGORY].to_pylist()]
        paths = np.full((len(chosen), max(longest, 2)), -1, np.int32)
        for row, path in enumerate(chosen):
            paths[row, : len(path)] = path
        brands = products[c.BRAND].combine_chunks().dictionary_encode()
        nameless = [number for number, name in enumerate(brands.dictionary.to_pylist()) if not name]
        brand = np.asarray(brands.indices, dtype=np.int32)
        return cls(
            paths=paths,
            depth=(paths >= 0).sum(axis=1).astype(np.int32),
            brand=np.where(np.isin(brand, nameless), -1, brand).astype(np.int32),
            family=np.where(paths[:, 1] >= 0, paths[:, 1], paths[:, 0]),
        )

    def of_categories(self, one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the cosine of two products' paths: shared steps / sqrt(steps * steps), 0 without a category.

        Args:
            one: columns of products, of any shape that broadcasts with ``other``.
            other: columns of products.
        """
        shared = ((self.paths[one] == self.paths[other]) & (self.paths[one] >= 0)).sum(axis=-1)
        return _of_paths(shared, self.depth[one], self.depth[other])

    def between(self, one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the likeness of different products, 0 to .9: category for four parts, brand for one.

        It is the inner product of unit vectors (each product has a tenth of its own), so a matrix of it with ones on
        the diagonal is positive definite.
        """
        same_brand = (self.brand[one] == self.brand[other]) & (self.brand[one] >= 0)
        return _likeness(self.of_categories(one, other), same_brand)


class PoolLikeness:
    """How alike the products of pools are, each pool's to one of its own: what ``Likeness.between`` says, sooner."""

    def __init__(self, likeness: Likeness, pool: NDArray[np.intp]) -> None:
        """Look up what (c, p) products are compared by.

        There are few different likenesses, so they are worked out beforehand: by brand, shared steps and both depths.
        """
        self._paths = [np.ascontiguousarray(step)[pool] for step in likeness.paths.T]
        self._depth, self._brand = likeness.depth[pool], likeness.brand[pool]
        self._rows, self._size = np.arange(len(pool)), len(self._paths) + 1
        same, shared, one, other = np.indices((2, self._size, self._size, self._size))
        self._table = _likeness(_of_paths(shared, one, other), same > 0).ravel()

    def of(self, place: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return (c, p) the likeness of each pool's products to the one at the (c,) place."""
        at = self._rows, place
        brand = self._brand[at][:, None]
        key = ((self._brand == brand) & (brand >= 0)).astype(np.intp) * self._size
        for path in self._paths:
            step = path[at][:, None]
            key += (path == step) & (step >= 0)
        return np.asarray(self._table[(key * self._size + self._depth[at][:, None]) * self._size + self._depth])


def _of_paths(shared: NDArray[np.integer], one: NDArray[np.integer], other: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the cosine of paths from their shared steps and depths."""
    length = np.sqrt(one * other.astype(np.float64))
    return np.asarray(np.divide(shared, length, out=np.zeros(length.shape), where=length > 0))


def _likeness(of_categories: NDArray[np.float64], same_brand: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.asarray((1 - OWN) * ((1 - BRAND) * of_categories + BRAND * same_brand))
