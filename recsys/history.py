"""What is known at a cut, as sparse matrices of customers and the products that may be recommended."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.assets import read_sql
from recsys.compute import fetch_columns
from recsys.settings import Settings


@dataclass(frozen=True)
class History:
    """Interactions known before one moment.

    Attributes:
        cut_at: the moment.
        items: (m,) item_idx of each column, ascending: the products that may be recommended.
        purchases: (n, m) purchase lines of each customer and product.
        weights: (n, m) the same with time decay; same sparsity as ``purchases``.
        seen: (n, m) 1 where the customer had any event with the product.
        popularity: (m,) customers who bought each product in the recent days.
    """

    cut_at: datetime
    items: NDArray[np.int32]
    purchases: sparse.csr_array
    weights: sparse.csr_array
    seen: sparse.csr_array
    popularity: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of customers and of products that may be recommended."""
        return int(self.seen.shape[0]), int(self.seen.shape[1])


def eligible_items(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    *,
    min_purchases: int | None = None,
    for_serving: bool = False,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return the products that may be recommended at the cut that is laid, and their recent buyers.

    A product may be if the shop said so then, it existed, and it was bought often enough to judge
    (``min_purchases``, the publication's setting if None). What is served now (``for_serving``, with the cut
    at the snapshot's moment) must also be in stock, which is known of that moment alone.
    """
    least = settings.publication.min_item_purchases if min_purchases is None else min_purchases
    counts = fetch_columns(
        connection,
        read_sql("features", "item_counts.sql"),
        {"for_serving": for_serving, "recent_days": settings.candidates.popularity_days},
    )
    chosen = counts["may_be_shown"].astype(bool) & (counts["purchases"] >= least)
    return counts["item_idx"][chosen].astype(np.int32), counts["recent_buyers"][chosen].astype(np.float64)


def read_history(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    cut_at: datetime,
    user_count: int,
    *,
    for_serving: bool = False,
) -> History:
    """Build the history of all customers at a cut that is laid (see ``recsys.cuts.lay_cut``)."""
    items, popularity = eligible_items(connection, settings, for_serving=for_serving)
    rows = read_interactions(connection, settings)
    return build_history(rows, items, popularity, user_count, cut_at)


def read_interactions(connection: duckdb.DuckDBPyConnection, settings: Settings) -> dict[str, NDArray[Any]]:
    """Return user_idx, item_idx, purchases and weight of the cut that is laid, ordered."""
    return fetch_columns(
        connection, read_sql("features", "interactions.sql"), {"half_life": settings.candidates.half_life_days}
    )


def build_history(
    rows: dict[str, NDArray[Any]],
    items: NDArray[np.int32],
    popularity: NDArray[np.float64],
    user_count: int,
    cut_at: datetime,
) -> History:
    """Arrange interaction rows (user_idx, item_idx, purchases, weight) as matrices over ``items``."""
    column = np.searchsorted(items, rows["item_idx"])
    column[column == len(items)] = 0
    kept = items[column] == rows["item_idx"] if len(items) else np.zeros(len(column), bool)
    users, column = rows["user_idx"][kept], column[kept]
    bought = rows["purchases"][kept] > 0
    shape = (user_count, len(items))

    def matrix(values: NDArray[np.generic], where: NDArray[np.bool_]) -> sparse.csr_array:
        data = values[where].astype(np.float32)
        return sparse.csr_array((data, (users[where], column[where])), shape=shape)

    return History(
        cut_at=cut_at,
        items=items,
        purchases=matrix(rows["purchases"][kept], bought),
        weights=matrix(rows["weight"][kept], bought),
        seen=matrix(np.ones(len(users), np.float32), np.ones(len(users), bool)),
        popularity=popularity,
    )
