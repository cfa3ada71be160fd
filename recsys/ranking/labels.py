"""Labels of the ranking set: what a customer did with a product within the horizon, by the strongest event.

Event types are graded by their weights: the level of a type is the place of its weight among the different
weights, from 1; level 0 is "nothing". The rankers of LightGBM want such whole numbers, and each level's weight is
its *gain*. Gains, rather than weights of rows, since a row's weight only says how much its pairs count, while a
gain also says that a purchase belongs above a view, and by how much.
"""

from collections.abc import Mapping
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from recsys import columns as c
from recsys.assets import read_sql
from recsys.compute import write_parquet
from recsys.settings import Settings


def levels_of(weights: Mapping[str, float]) -> dict[str, int]:
    """Return the level of each event type."""
    ordered = sorted(set(weights.values()))
    return {event: ordered.index(weight) + 1 for event, weight in weights.items()}


def gains_of(weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the gain of each level, 0 first."""
    return np.array([0.0, *sorted(set(weights.values()))])


def write_truth(connection: duckdb.DuckDBPyConnection, settings: Settings, items: NDArray[np.int32], path: Path) -> int:
    """Write what customers bought after the cut that is laid: what models are measured by.

    Args:
        connection: has the snapshot's views and a laid cut.
        settings: give the horizon.
        items: products that may be recommended at the cut.
        path: the Parquet file: user_idx, item_idx, is_new, is_eligible.
    """
    query = "select user_idx, item_idx, is_new, is_eligible from labelled order by user_idx, item_idx"
    return _write(connection, settings, items, query, {c.PURCHASE: 1}, path)


def write_labels(
    connection: duckdb.DuckDBPyConnection, settings: Settings, items: NDArray[np.int32], path: Path
) -> int:
    """Write the levels that rankers learn from, of products that may be recommended.

    Args:
        connection: has the snapshot's views and a laid cut.
        settings: give the horizon and the weights of event types.
        items: products that may be recommended at the cut; new ones too, which models are not measured by.
        path: the Parquet file: user_idx, item_idx, level.
    """
    query = "select user_idx, item_idx, level from labelled where is_eligible order by user_idx, item_idx"
    return _write(connection, settings, items, query, levels_of(settings.ranker.event_weights), path)


def _write(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    items: NDArray[np.int32],
    query: str,
    levels: Mapping[str, int],
    path: Path,
) -> int:
    connection.execute(
        "create or replace temp table eligible as select unnest($items)::integer as item_idx",
        {"items": items.tolist()},
    )
    parameters: dict[str, object] = {
        "horizon_days": settings.ranker.horizon_days,
        "event_types": list(levels),
        "levels": list(levels.values()),
    }
    labels = read_sql("features", "labels.sql")
    return write_parquet(connection, f"with labelled as ({labels}) {query}", path, parameters)
