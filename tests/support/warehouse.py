"""Settings and a small made shop for tests.

The shop is generated from a seed. It is no real shop's data: what a test may rely on is planted.

- Items come in groups of ten that share a category path; a basket stays mostly within its customer's groups.
- Every customer has staples that are bought again and again.
- The first item of each group is the group's favourite; popularity falls within and between groups.
- The last three items are fuel-like: sold, but not recommendable.
- One item in twelve is new in the last quarter.
- About one basket in twenty is a guest's, one purchase in a hundred comes back as a return.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from recsys.buckets import GUEST_BUCKET, bucket_of
from recsys.settings import Settings, load_settings
from recsys.warehouse import Warehouse, migrate

SHOP_TABLES = (
    "sources",
    "users",
    "items",
    "item_versions",
    "events",
    "promotions",
    "campaigns",
    "coupons",
    "redemptions",
    "suppressions",
    "item_rules",
    "quarantine",
    "cleaning",
)
SEGMENTS = ("families", "couples", "singles")
GROUP = 10
FUEL = 3
TIME = pa.timestamp("us")


def make_settings(tmp_path: Path, **overrides: Any) -> Settings:
    """Return settings whose home is below ``tmp_path``."""
    return load_settings(**{"home": tmp_path / "home", "threads": 2, "memory_limit_gb": 1.0, **overrides})


def write_small_shop(
    warehouse: Warehouse,
    *,
    users: int = 300,
    items: int = 120,
    days: int = 365,
    seed: int = 7,
    end: datetime = datetime(2025, 1, 1),
) -> None:
    """Migrate the warehouse and replace all of ``shop.*`` by the made shop, in one transaction.

    Ids are ``u0001``..., ``i001``...; promotions run a week each. All events lie in the ``days`` before ``end``.
    """
    migrate(warehouse)
    rng = np.random.default_rng(seed)
    start = end - timedelta(days=days)
    births = _item_births(items, start, days)
    lines = _purchase_lines(rng, users, items, days, (births - np.datetime64(start, "us")) / np.timedelta64(1, "D"))
    events = _events(rng, lines, items, start)
    with warehouse.transaction() as connection:
        for table in SHOP_TABLES:
            connection.exec_driver_sql(f"delete from shop.{table}")
        warehouse.append(connection, "shop.items", _items(items, births))
        warehouse.append(connection, "shop.item_versions", _versions(_items(items, births)))
        warehouse.append(connection, "shop.users", _users(events, users, start))
        warehouse.append(connection, "shop.events", events)
        warehouse.append(connection, "shop.promotions", _promotions(rng, items, start, days))
        warehouse.append(connection, "shop.sources", _sources(end))


def user_id(number: int) -> str:
    """Return the id of a customer of the made shop, counted from 0."""
    return f"u{number + 1:04d}"


def item_id(number: int) -> str:
    """Return the id of an item of the made shop, counted from 0."""
    return f"i{number + 1:03d}"


def item_price(number: int) -> float:
    """Return the price of an item of the made shop."""
    return round(1 + (number * 37 % 190) / 10, 2)


def _item_births(items: int, start: datetime, days: int) -> np.ndarray:
    """Return when each item is first sold: most at the start, one in twelve in the last quarter."""
    late = np.arange(items) % 12 == 11
    offset = np.where(late, days * 0.75 + np.arange(items) % 5, 0.0)
    return np.datetime64(start, "us") + (offset * 86_400_000_000).astype("timedelta64[us]")


def _purchase_lines(rng: np.random.Generator, users: int, items: int, days: int, birth_day: np.ndarray) -> np.ndarray:
    """Return rows of (customer, basket, item, day with fraction), in the order of baskets."""
    sold = items - FUEL
    popularity = 1 / (1 + np.arange(sold) % GROUP) / (1 + np.arange(sold) // GROUP) ** 0.5
    rows: list[tuple[int, int, int, float]] = []
    basket = 0
    for user in range(users):
        groups = rng.choice((sold + GROUP - 1) // GROUP, size=min(3, sold // GROUP + 1), replace=False)
        weights = np.where(np.isin(np.arange(sold) // GROUP, groups), popularity, 0.0)
        staples = rng.choice(sold, size=min(5, np.count_nonzero(weights)), replace=False, p=weights / weights.sum())
        mixed = 0.9 * weights / weights.sum() + 0.1 * popularity / popularity.sum()
        day = rng.uniform(0, days / 3)
        while day < days - 0.05:
            fuel = items - FUEL + int(rng.integers(FUEL))
            bought = {*rng.choice(staples, 3).tolist(), *rng.choice(sold, 3, p=mixed).tolist()}
            bought |= {fuel} if rng.random() < 0.1 else set()
            rows += [(user, basket, item, day) for item in sorted(bought) if birth_day[item] <= day]
            basket += 1
            day += float(rng.gamma(4, 5.5))
    return np.array(rows)


def _events(rng: np.random.Generator, lines: np.ndarray, items: int, start: datetime) -> pa.Table:
    """Return the purchases, some of them guests', and the returns of a few of them."""
    user, basket, item = (lines[:, n].astype(int) for n in range(3))
    guest = basket % 20 == 19
    at = np.datetime64(start, "us") + (lines[:, 3] * 86_400).astype("timedelta64[s]")
    quantity = rng.choice([1.0, 1.0, 1.0, 2.0, 3.0], len(lines))
    ids = np.array([f"b{b:05d}-{item_id(i)}" for b, i in zip(basket, item, strict=True)])
    end = at.max() + np.timedelta64(1, "s")
    back = np.flatnonzero((rng.random(len(lines)) < 0.01) & (at + np.timedelta64(5, "D") < end) & ~guest)
    pick = np.concatenate([np.arange(len(lines)), back])
    is_return = np.arange(len(pick)) >= len(lines)
    price = np.array([item_price(i) for i in range(items)])[item[pick]]
    names = np.where(guest[pick], None, np.array([user_id(u) for u in user], dtype=object)[pick])
    return pa.table(
        {
            "event_id": np.where(is_return, np.char.add(ids[pick], "-r"), ids[pick]),
            "user_id": pa.array(names, pa.string()),
            "bucket": pa.array([bucket_of("recsys", n) if n else GUEST_BUCKET for n in names], pa.int16()),
            "item_id": [item_id(i) for i in item[pick]],
            "event_type": np.where(is_return, "return", "purchase"),
            "occurred_at": pa.array(at[pick] + np.where(is_return, 5, 0).astype("timedelta64[D]"), TIME),
            "quantity": quantity[pick],
            "price": price,
            "value": price * quantity[pick],
            "basket_id": [f"b{b:05d}" for b in basket[pick]],
            "market": [f"store {b % 4}" for b in basket[pick]],
        }
    )


def _users(events: pa.Table, users: int, start: datetime) -> pa.Table:
    known = events.filter(pa.compute.is_valid(events["user_id"]))
    first = known.group_by("user_id").aggregate([("occurred_at", "min")])
    born = dict(zip(first["user_id"].to_pylist(), first["occurred_at_min"].to_pylist(), strict=True))
    names = [user_id(n) for n in range(users)]
    return pa.table(
        {
            "user_id": names,
            "bucket": pa.array([bucket_of("recsys", name) for name in names], pa.int16()),
            "created_at": pa.array([born.get(name, start) for name in names], TIME),
            "is_personalised": [True] * users,
            "attributes": [f'{{"segment": "{SEGMENTS[n % len(SEGMENTS)]}"}}' for n in range(users)],
        }
    )


def _items(items: int, births: np.ndarray) -> pa.Table:
    numbers = range(items)
    fuel = [n >= items - FUEL for n in numbers]
    group = [n // GROUP for n in numbers]
    return pa.table(
        {
            "item_id": [item_id(n) for n in numbers],
            "title": ["Fuel" if fuel[n] else f"Product {n + 1} of group {group[n] + 1}" for n in numbers],
            "category": [
                "Fuel" if fuel[n] else f"Department {group[n] % 4 + 1} > Group {group[n] + 1}" for n in numbers
            ],
            "brand": [f"Brand {n % 7 + 1}" for n in numbers],
            "price": [item_price(n) for n in numbers],
            "available": [True] * items,
            "recommendable": [not f for f in fuel],
            "created_at": pa.array(births, TIME),
            "attributes": pa.nulls(items, pa.string()),
        }
    )


def _versions(items: pa.Table) -> pa.Table:
    shared = items.drop_columns(["created_at", "attributes"])
    return shared.append_column("valid_from", items["created_at"]).append_column("valid_to", pa.nulls(len(items), TIME))


def _promotions(rng: np.random.Generator, items: int, start: datetime, days: int) -> pa.Table:
    weeks = range(days // 7)
    rows = [(w, int(n)) for w in weeks for n in rng.choice(items - FUEL, size=min(3, items - FUEL), replace=False)]
    begins = [start + timedelta(days=7 * w) for w, _ in rows]
    return pa.table(
        {
            "promotion_id": [f"p{w}-{n}" for w, n in rows],
            "item_id": [item_id(n) for _, n in rows],
            "market": [f"store {w % 4}" for w, _ in rows],
            "kind": ["display" if n % 2 else "mailer" for _, n in rows],
            "starts_at": pa.array(begins, TIME),
            "ends_at": pa.array([b + timedelta(days=7) for b in begins], TIME),
            "known_at": pa.array(begins, TIME),
        }
    )


def _sources(end: datetime) -> pa.Table:
    return pa.table(
        {
            "source": ["made"],
            "time_zone": ["UTC"],
            "has_item_history": [False],
            "load_id": ["made"],
            "loaded_at": pa.array([end], TIME),
        }
    )
