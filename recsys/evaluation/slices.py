"""Slices: groups of customers, and of products, that are measured on their own.

None depends on what happened after the cut. A slice of customers restricts who is measured; one of products
restricts what counts as relevant, so that it is measured on the customers who came to want one of its products.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["customers", "products"]
Integers = NDArray[np.integer]

NEW_CUSTOMERS: Final = "new customers"
LIGHT_CUSTOMERS: Final = "light customers"
MEDIUM_CUSTOMERS: Final = "medium customers"
HEAVY_CUSTOMERS: Final = "heavy customers"
NEW_ITEMS: Final = "new products"
HEAD_ITEMS: Final = "head products"
TAIL_ITEMS: Final = "tail products"
SEGMENT: Final = "segment: "
HEAD_SHARE = 0.5  # of all purchase lines, which the head's products have together


@dataclass(frozen=True)
class Slice:
    """A group of customers or of products.

    Attributes:
        name: what it is called.
        kind: of what it is a group.
        members: (g,) their numbers.
    """

    name: str
    kind: Kind
    members: Integers


def customer_slices(
    users: Integers,
    lines: Integers,
    known_days: NDArray[np.floating],
    *,
    new_days: float,
    segments: Mapping[str, Sequence[int] | Integers] | None = None,
) -> list[Slice]:
    """Return new customers, thirds of the others by their purchase lines, and segments.

    Args:
        users: (n,) customers with a history.
        lines: (n,) their purchase lines before the cut.
        known_days: (n,) days from their first purchase to the cut.
        new_days: a customer who first bought so many days ago or fewer is new.
        segments: customers of each segment of the shop.
    """
    new = known_days <= new_days
    old = ~new
    low, high = np.quantile(lines[old], [1 / 3, 2 / 3]) if old.any() else (0.0, 0.0)
    return [
        Slice(NEW_CUSTOMERS, "customers", users[new]),
        Slice(LIGHT_CUSTOMERS, "customers", users[old & (lines <= low)]),
        Slice(MEDIUM_CUSTOMERS, "customers", users[old & (lines > low) & (lines <= high)]),
        Slice(HEAVY_CUSTOMERS, "customers", users[old & (lines > high)]),
        *(Slice(f"{SEGMENT}{name}", "customers", np.asarray(own)) for name, own in sorted((segments or {}).items())),
    ]


def item_slices(
    items: Integers, lines: Integers, known_days: NDArray[np.floating] | None, *, new_days: float
) -> list[Slice]:
    """Return new products, and of the others the head and the tail.

    The head are the fewest products that have half of all purchase lines between them (equal ones: the lower
    number first).

    Args:
        items: (m,) products that may be recommended.
        lines: (m,) purchase lines of each before the cut.
        known_days: (m,) days from when a product was first seen to the cut; None if that isn't known.
        new_days: a product first seen so many days ago or fewer is new.
    """
    new = known_days <= new_days if known_days is not None else np.zeros(len(items), bool)
    old = np.flatnonzero(~new)
    order = old[np.lexsort((items[old], -lines[old]))]
    before = np.cumsum(lines[order]) - lines[order]
    is_head = before < HEAD_SHARE * lines[order].sum()
    return [
        Slice(NEW_ITEMS, "products", items[new]),
        Slice(HEAD_ITEMS, "products", items[order[is_head]]),
        Slice(TAIL_ITEMS, "products", items[order[~is_head]]),
    ]
