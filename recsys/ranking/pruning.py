"""A first look at all candidates with few trees, so that the whole ranker scores only those that may come first.

Each tree corrects those before it by less, so the first ones already tell the products apart that matter (the cascade
of Wang, Lin, Metzler 2011). What is left gets the scores that it would have got anyway.
"""

import numpy as np
from numpy.typing import NDArray

from recsys.lists import leading
from recsys.ranking.ranker import Ranker
from recsys.settings import PlacementSettings


def first_look(ranker: Ranker, placement: PlacementSettings) -> Ranker | None:
    """Return what looks first at all candidates of a placement; None if the whole ranker does."""
    is_wanted = 0 < placement.first_trees < ranker.booster.num_trees()
    return ranker.first(placement.first_trees) if is_wanted else None


def survivors(
    first: Ranker | None,
    features: NDArray[np.float32],
    user_idx: NDArray[np.int32],
    placement: PlacementSettings,
    threads: int,
) -> NDArray[np.intp]:
    """Return the positions of the rows that the whole ranker is to score, ascending.

    Args:
        first: of :func:`first_look`.
        features: (r, f) rows.
        user_idx: (r,) customers, each one's rows together.
        placement: says how many rows of a customer stay.
        threads: of the ranker.
    """
    if first is None:
        return np.arange(len(user_idx))
    return leading(user_idx, first.scores(features, threads), placement.survivors)
