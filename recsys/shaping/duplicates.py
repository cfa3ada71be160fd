"""The same product twice, or in several sizes, in one list."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys import columns as c
from recsys.settings import ShapingSettings
from recsys.shaping.pairs import pair_keys
from recsys.shaping.products import NAME, SIZE, STEM, codes

REPEATEDLY = 2  # purchase lines


@dataclass(frozen=True)
class Twins:
    """Numbers by which products are told to be the same: equal numbers, equal text.

    Attributes:
        name: (m,) brand, category and whole title.
        stem: (m,) brand, category and title without sizes.
        size: (m,) what the title says of the size.
    """

    name: NDArray[np.int32]
    stem: NDArray[np.int32]
    size: NDArray[np.int32]

    @classmethod
    def of(cls, products: pa.Table) -> "Twins":
        """Compare the products that ``read_products`` returned."""
        brand, category = products[c.BRAND], products[c.CATEGORY]
        return cls(
            name=codes(brand, category, products[NAME]),
            stem=codes(brand, category, products[STEM]),
            size=codes(products[SIZE]),
        )


def shown_once(
    user_idx: NDArray[np.int32],
    column: NDArray[np.intp],
    lines: NDArray[np.float64],
    twins: Twins,
    settings: ShapingSettings,
) -> NDArray[np.bool_]:
    """Tell which rows stay when a product is shown once.

    Of the sizes of a product the best ranked stays; several products may share that size (their titles say more than
    their stem). What the customer bought repeatedly stays as well, if the best ranked is such a one.

    Args:
        user_idx: (r,) customers, each one's rows together and in the order of their rank.
        column: (r,) products.
        lines: (r,) how often the customer bought them.
        twins: of the products.
        settings: near_duplicates.
    """
    _, itself = np.unique(pair_keys(user_idx, column), return_index=True)
    is_new = np.zeros(len(column), bool)
    is_new[itself] = True
    if settings.near_duplicates == "show":
        return is_new
    best_name = _first(user_idx, twins.name[column])
    best_stem = _first(user_idx, twins.stem[column])
    size = twins.size[column]
    stays = (best_name == np.arange(len(column))) & (size == size[best_stem])
    if settings.near_duplicates == "once_unless_bought":
        often = lines >= REPEATEDLY
        stays |= often & often[best_stem]
    return np.asarray(is_new & stays)


def _first(user_idx: NDArray[np.int32], number: NDArray[np.int32]) -> NDArray[np.intp]:
    """Return the position of each row's first row with the same customer and number."""
    _, first, inverse = np.unique(pair_keys(user_idx, number), return_index=True, return_inverse=True)
    return first[inverse]
