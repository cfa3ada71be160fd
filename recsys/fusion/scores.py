"""Distance-based fusion: the weighted sum of the generators' scores, made comparable within each customer.

``minmax`` maps a generator's scores for a customer to [0, 1]: (score - lowest) / (highest - lowest) (CombSUM
after Fox, Shaw 1994 and Lee 1997). ``z`` divides their distance to the lowest by their standard deviation; that
is the z-score moved so that the lowest is 0 (Montague, Aslam 2001), which a product that was not proposed gets
as well. Scores that are all equal say only that the products were proposed: each counts 1. A score that is not
finite counts nothing.
"""

from collections.abc import Sequence

import duckdb
import numpy as np
from numpy.typing import NDArray

from recsys.fusion.base import Method, Proposed
from recsys.settings import PlacementSettings

DECIMALS = 12  # with so many, sums are sums of whole numbers: those of floats would depend on their order


def votes(
    proposed: Proposed, generators: Sequence[str], rules: PlacementSettings, connection: duckdb.DuckDBPyConnection
) -> NDArray[np.float64]:
    """Return the scores, normalised within each customer and generator."""
    score = proposed.score.astype(np.float64)
    found = np.full(len(score), np.nan)
    finite = np.flatnonzero(np.isfinite(score))
    if not len(finite):
        return found
    key = proposed.user_idx[finite].astype(np.int64) * len(generators) + proposed.generator[finite]
    finite = finite[np.argsort(key, kind="stable")]
    key = np.sort(key)
    edges = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    sizes = np.diff(np.r_[edges, len(key)])
    values = score[finite]
    lowest, highest = (np.repeat(end.reduceat(values, edges), sizes) for end in (np.minimum, np.maximum))
    spread = np.where(highest > lowest, highest - lowest, 1.0)
    scaled = np.where(highest > lowest, (values - lowest) / spread, 1.0)
    found[finite] = _deviations(scaled, edges, sizes) if rules.normalise == "z" else scaled
    return found


def _deviations(scaled: NDArray[np.float64], edges: NDArray[np.intp], sizes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Divide each group's values by their standard deviation, if they have one."""
    unit = 10.0**DECIMALS
    sums = (np.add.reduceat(np.rint(values * unit).astype(np.int64), edges) for values in (scaled, scaled * scaled))
    mean, mean_square = (np.repeat(total / (sizes * unit), sizes) for total in sums)
    variance = mean_square - mean * mean
    return np.where(variance > 0, scaled / np.sqrt(np.where(variance > 0, variance, 1.0)), scaled)


METHOD = Method(votes, combine="sum", is_weighted=True)
