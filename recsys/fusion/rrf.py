"""Reciprocal rank fusion (Cormack, Clarke, Buettcher 2009).

A product's score is the sum over the generators of weight / (60 + rank). Ranks need no calibration, so a
generator can be added without touching others.
"""

from collections.abc import Sequence

from recsys.fusion.base import Method
from recsys.settings import PlacementSettings

RRF_K = 60


def votes(generators: Sequence[str], rules: PlacementSettings) -> str:
    """Return the query of votes: 1 / (60 + rank)."""
    return f"select *, 1.0 / ({RRF_K} + rank) as vote from proposed"


METHOD = Method(votes, combine="sum", is_weighted=True)
