"""LightGBM's trees as tables that a compiled loop goes through: the same scores to the last bit, many times sooner.

LightGBM follows each row from node to node, and the processor guesses wrong at every second one. Here each node of a
tree takes from all rows of a block at once the leaves that they can't reach any more; the first leaf that is left is
the row's (QuickScorer: Lucchese et al. 2015). Leaves are bits and comparisons have no branches, so a block's rows go
through the processor's wide registers.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

BLOCK: Final = 256  # rows at once: their columns stay in the processor's cache
_UNCHANGED: Final = ("lambdarank", "rank_xendcg")  # objectives whose score is the sum of the leaves
_WIDTHS: Final = (np.uint16, np.uint32, np.uint64)  # of a tree's leaves, a bit each
_ZERO: Final = np.float32(1e-35)  # LightGBM takes what is not larger for zero
_SIXTEEN: Final = np.arange(1 << 16)
_LOWEST: Final = np.log2(np.maximum(_SIXTEEN & -_SIXTEEN, 1)).astype(np.uint8)  # bit that is set, of sixteen


@dataclass(frozen=True)
class CompiledTrees:
    """The trees of a booster, node by node in the order of the trees.

    Attributes:
        used: (u,) columns of the features that are asked for.
        feature: (n,) of each node, as a place in ``used``.
        bound: (n,) float32; what is larger goes right.
        missing_left: (n,) whether what is missing goes left.
        left_out: (n,) bits of the leaves that are still possible where a row goes right.
        edges: (t + 1,) the first node of each tree, and the end.
        values: (t, w) of the leaves, from left to right.
    """

    used: NDArray[np.int32]
    feature: NDArray[np.int32]
    bound: NDArray[np.float32]
    missing_left: NDArray[np.bool_]
    left_out: NDArray[np.unsignedinteger[Any]]
    edges: NDArray[np.int32]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, booster: lgb.Booster) -> "CompiledTrees | None":
        """Return a booster's trees; None if they are of a kind that only LightGBM knows how to follow."""
        model = booster.dump_model()
        trees = model["tree_info"]
        most = max((tree["num_leaves"] for tree in trees), default=0)
        width = next((width for width in _WIDTHS if most <= np.iinfo(width).bits), None)
        if width is None or model["objective"].split()[0] not in _UNCHANGED or not trees:
            return None
        nodes: list[tuple[int, np.float32, bool, int]] = []
        edges, values = [0], np.zeros((len(trees), most))
        for number, tree in enumerate(trees):
            leaves: list[float] = []
            if not _lay(tree["tree_structure"], nodes, leaves):
                return None
            edges.append(len(nodes))
            values[number, : len(leaves)] = leaves
        every = np.iinfo(width).max
        used = sorted({feature for feature, *_ in nodes})
        places = {feature: place for place, feature in enumerate(used)}
        return cls(
            np.array(used, np.int32),
            np.array([places[feature] for feature, *_ in nodes], np.int32),
            np.array([bound for _, bound, _, _ in nodes], np.float32),
            np.array([missing_left for _, _, missing_left, _ in nodes], bool),
            np.array([every & ~left for *_, left in nodes], width),
            np.array(edges, np.int32),
            values,
        )

    def scores(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (r,) what LightGBM predicts for (r, f) rows. Other threads of Python run meanwhile."""
        out = np.zeros(len(features))
        columns = np.zeros((len(self.used), BLOCK), np.float32)
        left = np.zeros(BLOCK, self.left_out.dtype)
        nodes = (self.feature, self.bound, self.missing_left, self.left_out)
        _compiled()(features, self.used, *nodes, self.edges, self.values, _LOWEST, columns, left, out)
        return out


def _lay(node: dict[str, Any], nodes: list[tuple[int, np.float32, bool, int]], leaves: list[float]) -> bool:
    """Append a node and what is below it; tell whether all of it is understood."""
    if "leaf_value" in node:
        leaves.append(node["leaf_value"])
        return "leaf_coeff" not in node
    threshold, missing = node["threshold"], node["missing_type"]
    if node["decision_type"] != "<=" or missing == "Zero":
        return False
    place, first = len(nodes), len(leaves)
    missing_left = node["default_left"] if missing == "NaN" else threshold >= 0  # where none was, it counts as zero
    nodes.append((node["split_feature"], _rounded_down(threshold), missing_left, 0))
    if not _lay(node["left_child"], nodes, leaves):
        return False
    nodes[place] = (*nodes[place][:3], (1 << len(leaves)) - (1 << first))
    return _lay(node["right_child"], nodes, leaves)


def _rounded_down(threshold: float) -> np.float32:
    """Return the largest float32 that is not above a threshold: the same float32 values are below it."""
    with np.errstate(over="ignore"):
        near = np.float32(threshold)
    return near if float(near) <= threshold else np.nextafter(near, np.float32(-np.inf))


@cache
def _compiled() -> Any:
    """Compile the loops: it takes a second, so small work is better left to LightGBM."""
    import numba

    return partial(numba.njit(nogil=True)(_walk), numba.njit(nogil=True)(_turn))


def _turn(features, used, start, rows, columns):  # type: ignore[no-untyped-def]
    """Lay out a block's rows column by column."""
    for row in range(rows):
        for place in range(len(used)):
            value = features[start + row, used[place]]
            columns[place, row] = np.float32(0) if abs(value) <= _ZERO else value


def _walk(  # type: ignore[no-untyped-def]
    turn, features, used, feature, bound, missing_left, left_out, edges, values, lowest, columns, left, out
):
    """Add every tree's value to each row of ``out``; ``columns`` and ``left`` have room for a block."""
    block = len(left)
    every = left_out.dtype.type(~left_out.dtype.type(0))
    for start in range(0, len(features), block):
        rows = min(block, len(features) - start)
        turn(features, used, start, rows, columns)
        for tree in range(len(values)):
            left[:] = every
            for node in range(edges[tree], edges[tree + 1]):
                column, limit, right = columns[feature[node]], bound[node], left_out[node]
                if missing_left[node]:
                    for row in range(block):
                        left[row] &= right if column[row] > limit else every
                else:
                    for row in range(block):
                        left[row] &= every if column[row] <= limit else right
            for row in range(rows):
                bits, leaf = left[row], 0
                while not bits & 0xFFFF:
                    bits >>= 16
                    leaf += 16
                out[start + row] += values[tree, leaf + lowest[bits & 0xFFFF]]
