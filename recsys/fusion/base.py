"""What a fusion method is.

A method turns every proposal into a *vote* (a number, higher is better) and says how the votes that a product
got from several generators make its score: their weighted sum, or the greatest of them. To add one: write a
file with a ``METHOD`` of this kind, and add it to ``recsys.fusion.fusing.METHODS`` and the settings' choices.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from recsys.settings import PlacementSettings

Votes: TypeAlias = Callable[[Sequence[str], PlacementSettings], str]


@dataclass(frozen=True)
class Method:
    """One way to fuse.

    Attributes:
        votes: gives the query that adds the column ``vote`` to the relation ``proposed`` (user_idx, item_idx,
            score, rank, generator), from the generators' names and the placement's rules. A product that a
            generator did not propose has no vote of it.
        combine: what of a product's weighted votes is its score.
        is_weighted: whether the generators' weights count.
    """

    votes: Votes
    combine: Literal["sum", "greatest"]
    is_weighted: bool
