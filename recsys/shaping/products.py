"""What shaping needs to know of the products that may be recommended."""

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys import columns as c
from recsys.assets import read_sql
from recsys.shaping.titles import split_title

PRODUCTS_FILE = "products.parquet"
NAME, STEM, SIZE = "name", "stem", "size"
RATINGS, MEAN_RATING = "ratings", "mean_rating"


def read_products(
    connection: duckdb.DuckDBPyConnection, items: NDArray[np.int32], *, for_serving: bool = False
) -> pa.Table:
    """Read the products of a history at the cut that is laid.

    Args:
        connection: has the snapshot's views and a cut laid for all customers (see ``recsys.cuts.lay_cut``).
        items: (m,) item_idx, ascending.
        for_serving: whether a product must be in stock, which is known of the snapshot's moment alone.

    Returns:
        (m,) rows in the order of ``items``: item_idx, category, brand, available, ratings, mean_rating (see
        ``sql/shaping/products.sql``), and of the title: name, stem and size (see ``split_title``).
    """
    connection.execute("create or replace temp table rated as " + read_sql("features", "ratings.sql"))
    connection.register("chosen_items", pa.table({c.ITEM_IDX: pa.array(items, pa.int32())}))
    try:
        found = connection.sql(
            read_sql("shaping", "products.sql"), params={"for_serving": for_serving}
        ).to_arrow_table()
    finally:
        connection.unregister("chosen_items")
    parts = [split_title(title) for title in found[c.TITLE].to_pylist()]
    found = found.drop_columns([c.TITLE])
    for position, name in enumerate((NAME, STEM, SIZE)):
        found = found.append_column(name, pa.array([part[position] for part in parts], pa.string()))
    return found


def codes(*columns: pa.ChunkedArray) -> NDArray[np.int32]:
    """Number the distinct combinations of text columns, from 0 in the order of their first row."""
    joined = ["\x1f".join(values) for values in zip(*(column.to_pylist() for column in columns), strict=True)]
    return np.asarray(pa.array(joined, pa.string()).dictionary_encode().indices, dtype=np.int32)
