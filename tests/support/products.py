"""Products and customers for tests of shaping, as the snapshot and the history give them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
from scipy import sparse

from recsys.shaping import Taste
from recsys.shaping.titles import split_title

CUT = datetime(2024, 6, 1)


@dataclass(frozen=True)
class Product:
    """One product; the title is its number if there is none."""

    category: str = "Food > Bread"
    brand: str = ""
    title: str = ""
    ratings: int = 0
    mean_rating: float | None = None
    available: bool = True


def product_table(products: Sequence[Product]) -> pa.Table:
    """Return products as ``read_products`` does; their item_idx are 0, 10, 20 and so on."""
    parts = [split_title(one.title or f"Thing {n}") for n, one in enumerate(products)]
    return pa.table(
        {
            "item_idx": pa.array([10 * n for n in range(len(products))], pa.int32()),
            "category": pa.array([one.category for one in products], pa.string()),
            "brand": pa.array([one.brand for one in products], pa.string()),
            "available": pa.array([one.available for one in products], pa.bool_()),
            "ratings": pa.array([one.ratings for one in products], pa.int32()),
            "mean_rating": pa.array([one.mean_rating for one in products], pa.float64()),
            "name": pa.array([part[0] for part in parts], pa.string()),
            "stem": pa.array([part[1] for part in parts], pa.string()),
            "size": pa.array([part[2] for part in parts], pa.string()),
        }
    )


def taste(lines: Sequence[Sequence[float]]) -> Taste:
    """Return what customers (rows) bought of products (columns); weights are the lines."""
    bought = sparse.csr_array(np.array(lines, np.float32))
    return Taste(CUT, bought, bought)
