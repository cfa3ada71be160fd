"""The union of what the generators propose, by best rank: the order is left to the ranker.

A product's score is the greatest weight / rank among the generators, so the generators take turns: the first of
each, then the second of each, and one of weight 2 gives two products in a turn.
"""

from collections.abc import Sequence

from recsys.fusion.base import Method
from recsys.settings import PlacementSettings


def votes(generators: Sequence[str], rules: PlacementSettings) -> str:
    """Return the query of votes: 1 / rank."""
    return "select *, 1.0 / rank as vote from proposed"


METHOD = Method(votes, combine="greatest", is_weighted=True)
