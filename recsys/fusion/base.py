"""What a fusion method is.

A method turns every proposal into a *vote* (a number, higher is better) and says how the votes that a product
got from several generators make its score: their weighted sum, or the greatest of them. To add one: write a
file with a ``METHOD`` of this kind, and add it to ``recsys.fusion.fusing.METHODS`` and the settings' choices.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

import duckdb
import numpy as np
from numpy.typing import NDArray

from recsys.settings import PlacementSettings


@dataclass(frozen=True)
class Proposed:
    """What several generators proposed to some customers: (p,) arrays, in any order.

    Attributes:
        user_idx: int32 customers.
        item_idx: int32 products.
        score: float32, comparable within one customer and generator only.
        rank: int16 from 1.
        generator: the generators' numbers, in the order of their names.
    """

    user_idx: NDArray[np.int32]
    item_idx: NDArray[np.int32]
    score: NDArray[np.float32]
    rank: NDArray[np.int16]
    generator: NDArray[np.intp]

    def of(self, users: NDArray[np.integer]) -> "Proposed":
        """Return what was proposed to some customers."""
        kept = np.isin(self.user_idx, users)
        return Proposed(*(getattr(self, field.name)[kept] for field in fields(self)))


Votes: TypeAlias = Callable[
    [Proposed, Sequence[str], PlacementSettings, duckdb.DuckDBPyConnection], NDArray[np.float64]
]


@dataclass(frozen=True)
class Method:
    """One way to fuse.

    Attributes:
        votes: gives (p,) votes from the proposals, the generators' names, the placement's rules and a connection that
            knows the customers (see ``recsys.fusion.rules``); NaN where a proposal has no vote.
        combine: what of a product's weighted votes is its score.
        is_weighted: whether the generators' weights count.
    """

    votes: Votes
    combine: Literal["sum", "greatest"]
    is_weighted: bool
