"""Small histories whose right answers are known."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.history import Catalogue, Groups, History, Lines, ShopRules, Traits
from recsys.knowledge import Products, Rule, Side, match_sides

CUT = datetime(2025, 1, 1)


def history_of(counts: NDArray[np.floating], popularity: NDArray[np.floating] | None = None, **more: Any) -> History:
    """Return the history of a dense (customers, products) matrix of purchase counts; item_idx is 10 x column.

    Purchases are ten days apart, the last one ten days ago.

    Args:
        counts: (n, m) purchase lines.
        popularity: (m,) recent buyers; the buyers of all time if None.
        more: other parts of the history. Dense matrices and names of groups are put into their form.
    """
    purchases = sparse.csr_array(np.asarray(counts, np.float32))
    seen = purchases.copy()
    seen.data = np.ones_like(seen.data)
    bought = (np.asarray(counts) > 0).sum(axis=0).astype(float) if popularity is None else popularity
    parts: dict[str, Any] = {
        "purchases": purchases,
        "weights": purchases.copy(),
        "interest": purchases.copy(),
        "recency": seen.copy(),
        "seen": seen,
        "first_days": 10 * purchases,
        "last_days": 10 * seen,
        "recent": seen.copy(),
        "earlier": sparse.csr_array(seen.shape, dtype=np.float32),
        "segments": Groups.of(np.full(len(counts), "")),
        "markets": Groups.of(np.full(len(counts), "")),
        "lines": lines_of(np.asarray(counts)),
        "traits": traits_of([{}] * len(counts)),
        "catalogue": catalogue_of(titles=[f"Product {column}" for column in range(np.shape(counts)[1])]),
        "rules": rules_of(np.shape(counts), *goes_with_the_next(np.shape(counts)[1])),
    }
    for name, part in more.items():
        if isinstance(part, list):
            parts[name] = Groups.of(np.array(part, object))
        else:
            parts[name] = sparse.csr_array(np.asarray(part, np.float32)) if isinstance(part, np.ndarray) else part
    return History(
        cut_at=CUT,
        items=np.arange(np.shape(counts)[1], dtype=np.int32) * 10,
        popularity=np.asarray(bought, np.float64),
        **parts,
    )


def lines_of(counts: NDArray[np.floating]) -> Lines:
    """Return one purchase of each product of a customer, two products a basket in the order of columns, a day apart."""
    users, columns = np.nonzero(counts)
    place = np.arange(len(users)) - np.searchsorted(users, users)
    last = np.searchsorted(users, users, side="right") - np.searchsorted(users, users) - 1
    return baskets_of(users, columns, place // 2, ages=1 + last // 2 - place // 2)


def baskets_of(
    users: Sequence[int] | NDArray[np.integer],
    columns: Sequence[int] | NDArray[np.integer],
    steps: Sequence[int] | NDArray[np.integer],
    *,
    ages: Sequence[float] | NDArray[np.integer],
) -> Lines:
    """Return purchases by customer (-1: a guest) and step, in that order; a step of a customer is a basket."""
    pairs = np.column_stack([users, steps])
    return Lines(
        user_idx=np.asarray(users, np.int32),
        column=np.asarray(columns, np.int32),
        is_purchase=np.ones(len(pairs), bool),
        weight=np.ones(len(pairs), np.float32),
        age=np.asarray(ages, np.float32),
        basket=np.unique(pairs, axis=0, return_inverse=True)[1].ravel().astype(np.int32),
    )


def traits_of(attributes: Sequence[Mapping[str, str]]) -> Traits:
    """Return the attributes of customers."""
    pairs = [[f"{name}={value}" for name, value in own.items()] for own in attributes]
    names = sorted({pair for own in pairs for pair in own})
    members = np.array([[float(name in own) for name in names] for own in pairs], np.float32)
    return Traits(sparse.csr_array(members.reshape(len(pairs), len(names))), tuple(names))


def goes_with_the_next(products: int) -> list[Rule]:
    """Return rules by which each product goes with the next one."""
    sides = [Side(item_idx=10 * column) for column in range(products)]
    return [Rule(f"r{n}", "goes_with", *pair) for n, pair in enumerate(pairwise(sides))]


def rules_of(
    shape: tuple[int, ...],
    *rules: Rule,
    brands: Sequence[str] = (),
    categories: Sequence[str] = (),
    outside: NDArray[np.floating] | None = None,
) -> ShopRules:
    """Return rules over products with item_idx 10 x column.

    Args:
        shape: customers and products of the history.
        rules: those that hold.
        brands: of all products, those outside last.
        categories: the same.
        outside: (n, s) purchases of products that may not be recommended; their item_idx follow.
    """
    customers, count = shape
    bought = np.zeros((customers, 0)) if outside is None else outside
    every = count + bought.shape[1]
    item_idx = np.arange(every, dtype=np.int32) * 10
    texts = (np.array(list(given) or [""] * every, object) for given in (brands, categories))
    products = Products(item_idx, *texts)
    return ShopRules(
        rules=rules,
        outside=item_idx[count:],
        left=match_sides([rule.left for rule in rules], products),
        right=match_sides([rule.right for rule in rules], products),
        bought=sparse.csr_array(bought.astype(np.float32)),
    )


def catalogue_of(
    *,
    titles: Sequence[str] = (),
    categories: Sequence[str] = (),
    brands: Sequence[str] = (),
    attributes: Sequence[str] = (),
    known_days: NDArray[np.floating] | None = None,
) -> Catalogue:
    """Return the texts of products; those not given are empty. All are a year old if no age is given."""
    given = (titles, categories, brands, attributes)
    count = max(len(texts) for texts in given)
    texts = (np.array(list(texts) or [""] * count, object) for texts in given)
    return Catalogue(*texts, known_days=np.full(count, 365.0) if known_days is None else known_days)


def planted(groups: int = 4, customers: int = 12, products: int = 8, seed: int = 3) -> NDArray[np.float32]:
    """Return counts where customers of a group buy most of their group's products and nothing else.

    Customer ``g * customers`` lacks just product ``g * products``: the one right new product for them.
    """
    random = np.random.default_rng(seed)
    counts = np.zeros((groups * customers, groups * products), np.float32)
    for group in range(groups):
        rows = slice(group * customers, (group + 1) * customers)
        columns = slice(group * products, (group + 1) * products)
        counts[rows, columns] = random.integers(1, 4, (customers, products)) * (
            random.random((customers, products)) < 0.8
        )
        first = group * customers
        counts[first : first + 4, columns] = 1 + np.arange(products) % 3
        counts[first, group * products] = 0
    return counts
