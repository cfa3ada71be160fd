"""What is known at a cut, as sparse matrices of customers and the products that may be recommended."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import duckdb
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.assets import read_sql
from recsys.compute import fetch_columns
from recsys.knowledge import Products, Rule, match_sides, read_rules
from recsys.matrices import MATRICES, columns_of, event_weights, read_matrices, read_rows
from recsys.settings import Settings

Need = Literal["lines", "catalogue", "ratings", "traits", "rules"]


@dataclass(frozen=True)
class Groups:
    """What kind of customer each is: (n,) codes into ``names``, ascending."""

    codes: NDArray[np.int32]
    names: tuple[str, ...]

    @classmethod
    def of(cls, values: NDArray[Any]) -> "Groups":
        """Number the distinct values."""
        names, codes = np.unique(values.astype(str), return_inverse=True)
        return cls(codes.astype(np.int32), tuple(str(name) for name in names))


@dataclass(frozen=True)
class Lines:
    """Single events before the cut, in the order of customer, time and product.

    Attributes:
        user_idx: (e,) customers; -1 for the purchases of guests.
        column: (e,) columns of the history.
        is_purchase: (e,) whether the event is one.
        weight: (e,) of the event's type, above zero.
        age: (e,) days before the cut.
        basket: (e,) dense number of what was turned to together, ascending within a customer.
    """

    user_idx: NDArray[np.int32]
    column: NDArray[np.int32]
    is_purchase: NDArray[np.bool_]
    weight: NDArray[np.float32]
    age: NDArray[np.float32]
    basket: NDArray[np.int32]


@dataclass(frozen=True)
class Traits:
    """What the shop knows of customers: (n, d) 1 where a customer has an attribute's value, ``names`` as name=value."""

    members: sparse.csr_array
    names: tuple[str, ...]


@dataclass(frozen=True)
class ShopRules:
    """What the shop wrote down and holds at the cut.

    Attributes:
        rules: (r,) those that hold.
        outside: (s,) item_idx, ascending, of products that rules are about and somebody bought, and that may not be
            recommended: what a product takes the place of is often sold no more.
        left: (r, m + s) 1 where a rule's left side is about a product: a column of the history, or one outside.
        right: (r, m + s) the same of the right side.
        bought: (n, s) purchase lines of the products outside with time decay.
    """

    rules: tuple[Rule, ...]
    outside: NDArray[np.int32]
    left: sparse.csr_array
    right: sparse.csr_array
    bought: sparse.csr_array


@dataclass(frozen=True)
class Catalogue:
    """What the products that may be recommended were.

    Attributes:
        title: (m,) texts.
        category: (m,) paths, empty where unknown.
        brand: (m,) texts, empty where unknown.
        attributes: (m,) JSON objects as text, empty where unknown.
        known_days: (m,) days from when a product was first seen to the cut.
    """

    title: NDArray[np.object_]
    category: NDArray[np.object_]
    brand: NDArray[np.object_]
    attributes: NDArray[np.object_]
    known_days: NDArray[np.float64]


@dataclass(frozen=True)
class History:
    """Interactions known before one moment.

    Attributes:
        cut_at: the moment.
        items: (m,) item_idx of each column, ascending: the products that may be recommended.
        purchases: (n, m) purchase lines of each customer and product.
        weights: (n, m) the same with time decay; same sparsity as ``purchases``.
        interest: (n, m) events of every type that counts, weighted by type, with time decay.
        recency: (n, m) 1 for what the customer last turned to, 2 for the moment before; sparsity of ``interest``.
        seen: (n, m) 1 where the customer had any event with the product.
        first_days: (n, m) days since the customer first bought the product; sparsity of ``purchases``.
        last_days: (n, m) days since the customer last bought it; the same sparsity.
        recent: (n, m) purchase lines of the recent days (``popularity_days``).
        earlier: (n, m) purchase lines of as many days before those.
        popularity: (m,) customers who bought each product in the recent days.
        segments: of the customers; ``unknown`` where the shop gives none.
        markets: where each customer buys most; empty where no purchase tells.
        lines: single events, for generators that need them.
        catalogue: the products' texts, for generators that need them.
        ratings: (n, m) newest rating, explicit zeros included, for generators that need them.
        traits: of the customers, for generators that need them.
        rules: of the shop, for generators that need them.
        placement: that lists are made for; None while a model learns, for all placements alike.
        asked: rows of the only customers that will be proposed to, ascending; None: all. What a generator learns of
            each customer by itself it may leave out of others.
    """

    cut_at: datetime
    items: NDArray[np.int32]
    purchases: sparse.csr_array
    weights: sparse.csr_array
    interest: sparse.csr_array
    recency: sparse.csr_array
    seen: sparse.csr_array
    first_days: sparse.csr_array
    last_days: sparse.csr_array
    recent: sparse.csr_array
    earlier: sparse.csr_array
    popularity: NDArray[np.float64]
    segments: Groups
    markets: Groups
    lines: Lines | None = None
    catalogue: Catalogue | None = None
    ratings: sparse.csr_array | None = None
    traits: Traits | None = None
    rules: ShopRules | None = None
    placement: str | None = None
    asked: NDArray[np.int32] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Number of customers and of products that may be recommended."""
        return int(self.seen.shape[0]), int(self.seen.shape[1])

    @property
    def matrices(self) -> dict[str, sparse.csr_array]:
        """The matrices that every history has, by name."""
        return {name: getattr(self, name) for name in MATRICES}


def count_items(
    connection: duckdb.DuckDBPyConnection, settings: Settings, *, for_serving: bool = False
) -> dict[str, NDArray[Any]]:
    """Return of every product what tells whether it may be recommended at the cut that is laid (``item_counts.sql``).

    What is served now (``for_serving``, with the cut at the snapshot's moment) must also be in stock, which is known
    of that moment alone.
    """
    asked: dict[str, object] = {"for_serving": for_serving, "recent_days": settings.candidates.popularity_days}
    return fetch_columns(connection, read_sql("features", "item_counts.sql"), asked)


def choose_items(
    counts: Mapping[str, NDArray[Any]],
    settings: Settings,
    *,
    min_purchases: int | None = None,
    with_new: bool = False,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return the products that may be recommended, and their recent buyers.

    A product may be if the shop said so then, it existed, and it was bought often enough to judge
    (``min_purchases``, the publication's setting if None), or is new (``with_new``: as the publication's setting
    says; models are measured without them).

    Args:
        counts: of :func:`count_items`.
        settings: in force.
        min_purchases: see above.
        with_new: see above.
    """
    least = settings.publication.min_item_purchases if min_purchases is None else min_purchases
    is_new = with_new & (counts["known_days"] <= settings.publication.new_item_days)
    chosen = counts["may_be_shown"].astype(bool) & (is_new | (counts["purchases"] >= least))
    return counts["item_idx"][chosen].astype(np.int32), counts["recent_buyers"][chosen].astype(np.float64)


def eligible_items(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    *,
    min_purchases: int | None = None,
    with_new: bool = False,
    for_serving: bool = False,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Count and choose: see :func:`count_items` and :func:`choose_items`."""
    counts = count_items(connection, settings, for_serving=for_serving)
    return choose_items(counts, settings, min_purchases=min_purchases, with_new=with_new)


def read_history(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    cut_at: datetime,
    user_count: int,
    *,
    needs: Collection[Need] = (),
    for_serving: bool = False,
) -> History:
    """Build the history of all customers at a cut that is laid (see ``recsys.cuts.lay_cut``).

    Args:
        connection: has the snapshot's views.
        settings: in force.
        cut_at: the moment.
        user_count: n.
        needs: which of the costly parts to read as well.
        for_serving: see ``count_items``.
    """
    items, popularity = eligible_items(connection, settings, with_new=True, for_serving=for_serving)
    return build_history(connection, settings, items, popularity, user_count, cut_at, needs=needs)


def build_history(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    items: NDArray[np.int32],
    popularity: NDArray[np.float64],
    user_count: int,
    cut_at: datetime,
    *,
    needs: Collection[Need] = (),
) -> History:
    """Arrange what is known at the cut that is laid as matrices over ``items``."""
    groups = _read_groups(connection, user_count)
    history = History(
        cut_at=cut_at,
        items=items,
        popularity=popularity,
        segments=groups["segment"],
        markets=groups["market"],
        **read_matrices(connection, settings, items, user_count),
    )
    return with_needs(connection, settings, history, needs)


def with_needs(
    connection: duckdb.DuckDBPyConnection, settings: Settings, history: History, needs: Collection[Need]
) -> History:
    """Return a history with costly parts more.

    Args:
        connection: has the snapshot's views and the history's cut laid.
        settings: in force.
        history: of all customers of the snapshot.
        needs: the parts.
    """
    items, shape = history.items, history.shape
    read: dict[Need, Callable[[], object]] = {
        "lines": lambda: _read_lines(connection, settings, items, history.cut_at),
        "catalogue": lambda: _read_catalogue(connection, items),
        "ratings": lambda: _read_ratings(connection, items, shape),
        "traits": lambda: _read_traits(connection, shape[0]),
        "rules": lambda: _read_rules(connection, settings, items, history.cut_at, shape[0]),
    }
    found: dict[str, Any] = {need: read[need]() for need in read if need in needs}
    return replace(history, **found)


def _read_groups(connection: duckdb.DuckDBPyConnection, user_count: int) -> dict[str, Groups]:
    rows = fetch_columns(connection, read_sql("features", "customer_groups.sql"))
    found = {}
    for name in ("segment", "market"):
        values = np.full(user_count, "", object)
        values[rows["user_idx"]] = rows[name]
        found[name] = Groups.of(values)
    return found


def _read_lines(
    connection: duckdb.DuckDBPyConnection, settings: Settings, items: NDArray[np.int32], cut_at: datetime
) -> Lines:
    rows = fetch_columns(connection, read_sql("features", "lines.sql"), {"cut_at": cut_at, **event_weights(settings)})
    kept, column = columns_of(items, rows["item_idx"])
    return Lines(
        user_idx=rows["user_idx"][kept].astype(np.int32),
        column=column,
        is_purchase=rows["is_purchase"][kept].astype(bool),
        weight=rows["weight"][kept].astype(np.float32),
        age=rows["age"][kept].astype(np.float32),
        basket=rows["basket"][kept].astype(np.int32),
    )


def _read_catalogue(connection: duckdb.DuckDBPyConnection, items: NDArray[np.int32]) -> Catalogue:
    rows = fetch_columns(
        connection,
        "select items.item_idx, items_at_cut.title, items_at_cut.category, items_at_cut.brand, items.attributes, "
        "items_at_cut.known_days from items inner join items_at_cut using (item_idx) order by items.item_idx",
    )
    kept, _ = columns_of(items, rows["item_idx"])
    texts = {name: np.asarray(rows[name][kept], object) for name in ("title", "category", "brand", "attributes")}
    return Catalogue(known_days=rows["known_days"][kept].astype(np.float64), **texts)


def _read_rules(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    items: NDArray[np.int32],
    cut_at: datetime,
    user_count: int,
) -> ShopRules:
    rules = tuple(read_rules(connection, cut_at))
    known = fetch_columns(connection, "select item_idx, brand, category from items_at_cut order by item_idx")
    products = Products(known["item_idx"].astype(np.int32), known["brand"], known["category"])
    left, right = (match_sides(sides, products) for sides in ([r.left for r in rules], [r.right for r in rules]))
    spoken_of = np.unique(np.concatenate([left.indices, right.indices]))
    rows = read_rows(connection, settings, np.setdiff1d(products.item_idx[spoken_of], items))
    bought = np.flatnonzero(rows["purchases"] > 0)
    outside = np.unique(rows["item_idx"][bought]).astype(np.int32)
    kept, column = columns_of(outside, rows["item_idx"][bought])
    entries = (rows["weight"][bought[kept]].astype(np.float32), (rows["user_idx"][bought[kept]], column))
    order = np.searchsorted(products.item_idx, np.concatenate([items, outside]))
    return ShopRules(
        rules=rules,
        outside=outside,
        left=sparse.csr_array(left[:, order]),
        right=sparse.csr_array(right[:, order]),
        bought=sparse.csr_array(entries, shape=(user_count, len(outside))),
    )


def _read_traits(connection: duckdb.DuckDBPyConnection, user_count: int) -> Traits:
    sql = read_sql("features", "traits.sql")
    connection.execute(f"create or replace temp table traits as {sql}")
    named = fetch_columns(connection, "select distinct number, trait from traits order by number")
    rows = fetch_columns(connection, "select user_idx, number from traits order by user_idx, number")
    # Numbers count what any customer has; those of this cut may have fewer.
    column = np.searchsorted(named["number"], rows["number"])
    shape = (user_count, len(named["number"]))
    members = sparse.csr_array((np.ones(len(column), np.float32), (rows["user_idx"], column)), shape=shape)
    return Traits(members, tuple(named["trait"].tolist()))


def _read_ratings(
    connection: duckdb.DuckDBPyConnection, items: NDArray[np.int32], shape: tuple[int, int]
) -> sparse.csr_array:
    rows = fetch_columns(connection, read_sql("features", "ratings.sql"))
    kept, column = columns_of(items, rows["item_idx"])
    values = rows["rating"][kept].astype(np.float32)
    return sparse.csr_array((values, (rows["user_idx"][kept], column)), shape=shape)
