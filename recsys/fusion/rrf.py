"""Reciprocal rank fusion (Cormack, Clarke, Buettcher 2009).

A product's score is the sum over the generators of weight / (60 + rank). Ranks need no calibration, so a
generator can be added without touching others.
"""

from collections.abc import Sequence

import duckdb
import numpy as np
from numpy.typing import NDArray

from recsys.fusion.base import Method, Proposed
from recsys.settings import PlacementSettings

RRF_K = 60


def votes(
    proposed: Proposed, generators: Sequence[str], rules: PlacementSettings, connection: duckdb.DuckDBPyConnection
) -> NDArray[np.float64]:
    """Return 1 / (60 + rank)."""
    return np.asarray(1.0 / (RRF_K + proposed.rank.astype(np.float64)))


METHOD = Method(votes, combine="sum", is_weighted=True)
