"""A made shop of any size, from a seed: no real shop's data, and labelled so (source ``made``, "Made product 12").

Customers are made some ten thousand at a time by whole arrays, written to Parquet and read from there into ``shop.*``
by the warehouse's bulk path, so memory has a bound that does not depend on their number.

- Every item belongs to one of up to 200 taste groups; within a group and among the groups popularity is Zipf's.
- A customer's activity is log-normal. They mix three to five groups, and one pair in ten is of any group.
- Some items are bought again in a rhythm of their own, others once in a while; half of the groups have a season.
- What happens at one visit happens at one moment, and purchases of a visit share a basket.
- Nothing happens before a customer or an item was created, or after the year.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recsys.buckets import bucket_sql
from recsys.compute import ROWS_PER_GROUP, engine, write_parquet
from recsys.settings import Settings
from recsys.warehouse import migrate, open_warehouse

START: Final = datetime(2024, 1, 1)
DAYS: Final = 365
DAY: Final = 86_400
END: Final = DAYS * DAY
CHUNK: Final = 50_000
MARKETS: Final = 20
SEGMENTS: Final = ("families", "couples", "singles", "students", "seniors")
VIEW, PURCHASE, RATING = 0, 1, 2
TYPES: Final = ("view", "purchase", "rating")
PAIRS, SPREAD, MOST_PAIRS = 32.5, 0.9, 800  # drawn for a customer: mean, log-normal sigma, bound
BOUGHT: Final = 0.55  # of the pairs
FAVOURITES: Final = 0.1  # of the pairs: of any group
AGAIN: Final = 0.8  # chance of one more purchase of what has a rhythm
MOST_AGAIN: Final = 20
TABLES: Final = ("users", "items", "item_versions", "events")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class MadeShop:
    """What the shop is made from: the same numbers give the same bytes."""

    users: int
    seed: int = 7
    namespace: str = "recsys"

    @property
    def items(self) -> int:
        """Number of items: a tenth of the customers, 100 at least."""
        return max(self.users // 10, 100)

    @property
    def groups(self) -> int:
        """Number of taste groups: 200, fewer where each would have less than 25 items."""
        return max(5, min(200, self.items // 25))

    @cached_property
    def catalogue(self) -> "Catalogue":
        """The items, the same for every chunk of customers."""
        return Catalogue.draw(np.random.default_rng([self.seed, 0]), self.items, self.groups)

    def write(self, folder: Path, settings: Settings) -> dict[str, int]:
        """Write ``users``, ``items``, ``item_versions`` and ``events-<n>`` as Parquet; return the rows of each."""
        with engine(settings) as connection:
            rows = {name: self._write_items(connection, folder, name) for name in ("items", "item_versions")}
            rows |= {"users": 0, "events": 0}
            for number, start in enumerate(range(0, self.users, CHUNK)):
                made = _Customers.draw(self, number, start, min(CHUNK, self.users - start))
                rows["users"] += made.write_users(connection, self, folder / f"users-{number:03d}.parquet")
                path = folder / f"events-{number:03d}.parquet"
                rows["events"] += made.write_events(connection, rows["events"], path)
        return rows

    def _write_items(self, connection: duckdb.DuckDBPyConnection, folder: Path, name: str) -> int:
        connection.register("made_items", self.catalogue.table())
        query = (
            "select printf('i%06d', item) as item_id, 'Made product ' || item as title, "
            "'Department ' || grp % 12 || ' > Aisle ' || grp || ' > Shelf ' || grp || '.' || item % 4 as category, "
            "'Brand ' || item % 400 as brand, price, true as available, true as recommendable, "
        )
        born = "$start::timestamp + to_seconds(born)"
        ends = {
            "items": f"{born} as created_at, null::varchar as attributes",
            "item_versions": f"{born} as valid_from, null::timestamp as valid_to",
        }
        query = f"{query} {ends[name]} from made_items order by item"
        return write_parquet(connection, query, folder / f"{name}-000.parquet", {"start": START})


@dataclass(frozen=True)
class Catalogue:
    """The items, in the order of their groups.

    Attributes:
        group: (m,) the taste group.
        weight: (m,) how popular, summing up to 1.
        price: (m,)
        quality: (m,) the rating that customers give on average.
        born: (m,) seconds from the year's start; below zero for most.
        rhythm: (m,) seconds between two purchases; 0 where there is no rhythm.
        peak: (groups,) seconds from the year's start of the season's middle; below zero without a season.
    """

    group: Ints
    weight: Floats
    price: Floats
    quality: Floats
    born: Ints
    rhythm: Floats
    peak: Floats

    @classmethod
    def draw(cls, rng: np.random.Generator, items: int, groups: int) -> "Catalogue":
        """Draw them."""
        group = np.sort(np.arange(items) % groups)
        place = np.arange(items) - np.searchsorted(group, group)
        weight = 1 / (group + 1) ** 0.5 / (place + 2) ** 0.8
        late = rng.random(items) < 0.15
        return cls(
            group=group,
            weight=weight / weight.sum(),
            price=np.round(np.exp(rng.normal(2.0, 0.8, items)), 2),
            quality=rng.normal(3.9, 0.5, items),
            born=np.where(late, rng.uniform(0, 0.9 * END, items), -rng.uniform(1, 2 * END, items)).astype(np.int64),
            rhythm=np.where(rng.random(items) < 0.35, rng.uniform(6, 60, items) * DAY, 0.0),
            peak=np.where(rng.random(groups) < 0.5, rng.uniform(0, END, groups), -1.0),
        )

    @cached_property
    def edges(self) -> Floats:
        """(m + 1,) the summed weights before each item."""
        return np.r_[0.0, np.cumsum(self.weight)]

    def pick(self, draws: Floats, low: Floats, high: Floats) -> Ints:
        """Return the item that each draw from 0 to 1 falls on, within its part of the summed weights."""
        found = np.searchsorted(self.edges, low + draws * (high - low), side="right") - 1
        return np.clip(found, 0, len(self.group) - 1)

    def table(self) -> pa.Table:
        """Return what the catalogue's SQL reads."""
        columns = {"item": np.arange(len(self.group)), "grp": self.group, "price": self.price, "born": self.born}
        return pa.table(columns)


@dataclass(frozen=True)
class _Customers:
    """A chunk of customers and their events.

    Attributes:
        born: (u,) seconds from the year's start at which each was known.
        columns: of the events, in the order of customer, time and item: (e,) arrays.
    """

    first: int
    born: Ints
    buckets: NDArray[np.int16]
    columns: dict[str, NDArray[Any]]

    @classmethod
    def draw(cls, shop: MadeShop, number: int, first: int, count: int) -> "_Customers":
        rng = np.random.default_rng([shop.seed, 1, number])
        joined = rng.uniform(0, 0.95 * END, count)
        born = np.where(rng.random(count) < 0.3, joined, -rng.uniform(1, END, count)).astype(np.int64)
        user, item = _pairs(rng, shop, count)
        pairs = _Visits.draw(rng, shop.catalogue, born, user, item)
        columns = pairs.events(rng)
        with duckdb.connect() as connection:
            buckets = connection.execute(
                f"select {bucket_sql(shop.namespace, 'name')} as bucket from "
                "(select n, printf('u%07d', n) as name from range($1, $2) as r(n)) order by n",
                [first, first + count],
            ).fetchnumpy()["bucket"]
        return cls(first, born, np.asarray(buckets, np.int16), columns)

    def write_users(self, connection: duckdb.DuckDBPyConnection, shop: MadeShop, path: Path) -> int:
        user = np.arange(self.first, self.first + len(self.born))
        connection.register("made_users", pa.table({"n": user, "bucket": self.buckets, "born": self.born}))
        segments = ", ".join(f"'{name}'" for name in SEGMENTS)
        query = f"""
            select
                printf('u%07d', n) as user_id, bucket, $start::timestamp + to_seconds(born) as created_at,
                n % 50 <> 17 as is_personalised,
                '{{"segment": "' || [{segments}][n * 7919 % {len(SEGMENTS)} + 1] || '"}}' as attributes
            from made_users order by n
        """
        return write_parquet(connection, query, path, {"start": START})

    def write_events(self, connection: duckdb.DuckDBPyConnection, before: int, path: Path) -> int:
        user = self.columns["customer"]
        columns = self.columns | {
            "customer": user + self.first,
            "bucket": self.buckets[user],
            "n": np.arange(before, before + len(user)),
        }
        connection.register("made_events", pa.table(columns))
        types = ", ".join(f"'{name}'" for name in TYPES)
        query = f"""
            select
                'e' || n as event_id, printf('u%07d', customer) as user_id, bucket, printf('i%06d', item) as item_id,
                [{types}][kind + 1] as event_type, $start::timestamp + to_seconds(moment) as occurred_at,
                case when kind = {PURCHASE} then quantity end as quantity,
                case when kind = {PURCHASE} then price end as price,
                case kind when {PURCHASE} then price * quantity when {RATING} then stars end as value,
                case when kind = {PURCHASE} then customer || '-' || moment end as basket_id,
                case when kind = {PURCHASE} then 'store ' || customer * 31 % {MARKETS} end as market
            from made_events
        """
        return write_parquet(connection, query, path, {"start": START})


def _pairs(rng: np.random.Generator, shop: MadeShop, count: int) -> tuple[Ints, Ints]:
    """Draw the distinct customer-item pairs, by customer and item."""
    catalogue = shop.catalogue
    starts = np.searchsorted(catalogue.group, np.arange(shop.groups + 1))
    popular = np.diff(catalogue.edges[starts])
    keys = np.log(popular) + rng.gumbel(size=(count, shop.groups))
    chosen = np.argsort(-keys, axis=1)[:, :5]  # five groups without repetition, popular ones more often
    share = rng.exponential(size=(count, 5)) + 0.2
    share[np.arange(5) >= rng.integers(3, 6, count)[:, None]] = 0
    share = np.cumsum(share / share.sum(axis=1, keepdims=True), axis=1)
    draws = np.exp(rng.normal(np.log(PAIRS) - SPREAD**2 / 2, SPREAD, count))
    user = np.repeat(np.arange(count), np.clip(np.rint(draws), 1, MOST_PAIRS).astype(np.int64))
    place = (rng.random(len(user))[:, None] >= share[user, :4]).sum(axis=1)
    group = chosen[user, place]
    of_any = rng.random(len(user)) < FAVOURITES
    low = np.where(of_any, 0.0, catalogue.edges[starts[group]])
    high = np.where(of_any, 1.0, catalogue.edges[starts[group + 1]])
    item = catalogue.pick(rng.random(len(user)), low, high)
    found = np.unique(user * shop.items + item)
    return found // shop.items, found % shop.items


@dataclass(frozen=True)
class _Visits:
    """Customers' pairs with the moment of the first event of each.

    A customer comes at moments of their own, about two pairs a visit; an item that did not exist yet at the visit is
    looked at when it does.
    """

    catalogue: Catalogue
    user: Ints
    item: Ints
    born: Ints  # (p,) when both were known
    at: Ints  # (p,)
    begins: Ints  # (u,) when the customer could first come
    visits: Ints  # (u,) how often they come in the year

    @classmethod
    def draw(
        cls, rng: np.random.Generator, catalogue: Catalogue, customers_born: Ints, user: Ints, item: Ints
    ) -> "_Visits":
        begins = np.maximum(customers_born, 0)
        born = np.maximum(begins[user], catalogue.born[item])
        at = born + rng.random(len(user)) * (END - born)
        peak = catalogue.peak[catalogue.group[item]]
        in_season = peak + rng.normal(0, 25 * DAY, len(user))
        is_seasonal = (peak >= 0) & (rng.random(len(user)) < 0.5) & (in_season >= born) & (in_season < END)
        visits = np.maximum(np.bincount(user, minlength=len(begins)) // 2, 1)
        drawn = cls(catalogue, user, item, born, np.where(is_seasonal, in_season, at).astype(np.int64), begins, visits)
        return cls(catalogue, user, item, born, drawn.visit(user, drawn.at, born), begins, visits)

    def visit(self, user: Ints, at: Ints, born: Ints) -> Ints:
        """Return the moment of the customer's visit at about a time; the time itself where that is too early."""
        begins, visits = self.begins[user], self.visits[user]
        length = (END - begins) / visits
        number = np.minimum(((at - begins) / length).astype(np.int64), visits - 1)
        moment = (begins + (number + _fraction(user, number)) * length).astype(np.int64)
        return np.where(moment >= born, moment, at)

    def events(self, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Return the views, purchases and ratings of all pairs, in the order of customer, time and item."""
        count, everything = len(self.user), np.arange(len(self.user))
        is_bought = rng.random(count) < BOUGHT
        views = np.where(is_bought, rng.random(count) < 0.9, 1 + (rng.random(count) < 0.5)).astype(np.int64)
        viewed = np.repeat(everything, views)
        first = np.flatnonzero(is_bought)
        again, again_at = self._again(rng, first)
        rated = first[rng.random(len(first)) < 0.15]
        pair = np.concatenate([viewed, first, again, rated])
        kind = np.repeat([VIEW, PURCHASE, PURCHASE, RATING], [len(viewed), len(first), len(again), len(rated)])
        seen_at = np.maximum(self.at[viewed] - rng.integers(0, 600, len(viewed)), self.born[viewed])
        rated_at = self.at[rated] + rng.integers(DAY, 14 * DAY, len(rated))
        at = np.concatenate([seen_at, self.at[first], again_at, rated_at])
        stars = np.clip(np.rint(self.catalogue.quality[self.item[pair]] + rng.normal(0, 0.9, len(pair))), 1, 5)
        columns = {
            "customer": self.user[pair],
            "item": self.item[pair],
            "kind": kind.astype(np.int8),
            "moment": at,
            "quantity": rng.choice([1.0, 1.0, 1.0, 2.0, 3.0], len(pair)),
            "price": np.round(self.catalogue.price[self.item[pair]] * (1 - 0.2 * (at // (7 * DAY) % 6 == 0)), 2),
            "stars": stars,
        }
        kept = np.flatnonzero(at < END)
        order = kept[np.lexsort((kind[kept], self.item[pair][kept], at[kept], self.user[pair][kept]))]
        return {name: values[order] for name, values in columns.items()}

    def _again(self, rng: np.random.Generator, bought: Ints) -> tuple[Ints, Ints]:
        """Return the pairs that are bought again, once a purchase, and when: at the visit about when it is due."""
        rhythm = self.catalogue.rhythm[self.item[bought]]
        times = np.minimum(rng.geometric(1 - AGAIN, len(bought)) - 1, MOST_AGAIN)
        times = np.where(rhythm > 0, times, rng.random(len(bought)) < 0.08)
        row = np.repeat(np.arange(len(bought)), times)
        nth = np.arange(len(row)) - np.searchsorted(row, row) + 1
        gap = np.where(rhythm[row] > 0, rhythm[row], 90 * DAY)
        due = self.at[bought][row] + gap * (nth + rng.uniform(-0.25, 0.25, len(row)))
        row, due = row[due < END], due[due < END].astype(np.int64)
        pair = bought[row]
        at = self.visit(self.user[pair], due, self.at[pair] + DAY)
        # Two purchases that fall on one visit are one.
        _, kept = np.unique(pair * END + at, return_index=True)
        return pair[kept], at[kept]


def _fraction(user: Ints, number: Ints) -> Floats:
    """Return a number from 0 to 1 that depends on both alone (the mixing steps of SplitMix64)."""
    mixed = user.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + number.astype(np.uint64) * np.uint64(
        0xBF58476D1CE4E5B9
    )
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return (mixed >> np.uint64(11)) / 2.0**53


def load_made_shop(settings: Settings, folder: Path) -> dict[str, int]:
    """Read the files that ``MadeShop.write`` wrote into an empty warehouse, in one transaction.

    Returns:
        Rows by table.

    Raises:
        ValueError: if the warehouse holds a shop.
    """
    rows = {}
    with open_warehouse(settings, purpose="load a made shop") as warehouse:
        migrate(warehouse)
        if warehouse.query("select count(*) as n from shop.sources")[0]["n"]:
            raise ValueError(f"The warehouse {warehouse.name} holds a shop: name a home without one.")
        with warehouse.transaction() as connection:
            for table in TABLES:
                files = sorted(folder.glob(f"{table}-*.parquet"))
                rows[table] = sum(warehouse.append(connection, f"shop.{table}", _reader(path)) for path in files)
            source = {
                "source": ["made"],
                "time_zone": ["UTC"],
                "has_item_history": [False],
                "load_id": ["made"],
                "loaded_at": pa.array([START + timedelta(days=DAYS)], pa.timestamp("us")),
            }
            warehouse.append(connection, "shop.sources", pa.table(source))
    return rows


def _reader(path: Path) -> pa.RecordBatchReader:
    file = pq.ParquetFile(path)

    def batches() -> Iterator[pa.RecordBatch]:
        yield from file.iter_batches(ROWS_PER_GROUP)

    return pa.RecordBatchReader.from_batches(file.schema_arrow, batches())
