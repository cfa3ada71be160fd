"""The union of what the generators propose, by best rank: the order is left to the ranker.

A product's score is the greatest weight / rank among the generators, so the generators take turns: the first of
each, then the second of each, and one of weight 2 gives two products in a turn.
"""

from collections.abc import Sequence

import duckdb
import numpy as np
from numpy.typing import NDArray

from recsys.fusion.base import Method, Proposed
from recsys.settings import PlacementSettings


def votes(
    proposed: Proposed, generators: Sequence[str], rules: PlacementSettings, connection: duckdb.DuckDBPyConnection
) -> NDArray[np.float64]:
    """Return 1 / rank."""
    return np.asarray(1.0 / proposed.rank.astype(np.float64))


METHOD = Method(votes, combine="greatest", is_weighted=True)
