"""Exploration: a drawn product in the last place of some lists, so that the shop learns of more than it shows."""

import numpy as np
from numpy.typing import NDArray


def explore(
    chosen: NDArray[np.intp],
    there: NDArray[np.bool_],
    draws: NDArray[np.float64],
    share: float,
    visible: int,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Put a product from deeper down into the last visible place of some lists.

    Args:
        chosen: (c, k) places in the pools, best first; -1 where there is none.
        there: (c, p) where the pools have a product.
        draws: (c, 2) uniform in [0, 1): whether to explore, and which product.
        share: of the lists that explore.
        visible: places that customers see.

    Returns:
        (c, k) places, and (c, k) the propensity of each: NaN, or share / number of products that could have been
        drawn. What stood in the last visible place becomes the first spare one.
    """
    result, propensity = chosen.copy(), np.full(chosen.shape, np.nan)
    last = visible - 1
    if last >= chosen.shape[1]:
        return result, propensity
    for row in np.flatnonzero((draws[:, 0] < share) & (chosen[:, last] >= 0)):
        deeper = np.setdiff1d(np.flatnonzero(there[row]), chosen[row, :visible])
        if not len(deeper):
            continue
        drawn = deeper[int(draws[row, 1] * len(deeper))]
        others = chosen[row, last:]
        result[row, last] = drawn
        result[row, last + 1 :] = others[others != drawn][: len(others) - 1]
        propensity[row, last] = share / len(deeper)
    return result, propensity


def draw(user_idx: NDArray[np.integer], seed: int, moment: int) -> NDArray[np.float64]:
    """Return (c, 2) numbers in [0, 1) for each customer: the same for a seed and moment, others at the next moment.

    They are hashes (SplitMix64; Steele, Lea, Flood 2014), so a customer's don't depend on who else is drawn for.
    """
    with np.errstate(over="ignore"):
        state = _mixed(np.array([seed, moment], np.int64).view(np.uint64))
        start = _mixed(state[0] ^ (state[1] << np.uint64(1)) ^ user_idx.astype(np.uint64))
        pair = np.stack([_mixed(start + np.uint64(n)) for n in (1, 2)], axis=1)
    return np.asarray((pair >> np.uint64(11)).astype(np.float64) / 2.0**53)


def _mixed(number: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = number + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))
