"""Shops whose every row a test writes itself, and settings that make a training a matter of seconds."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from recsys.buckets import GUEST_BUCKET, bucket_of
from recsys.settings import (
    CandidateSettings,
    GateSettings,
    PublicationSettings,
    RankerSettings,
    Settings,
)
from recsys.warehouse import Warehouse, migrate, open_warehouse
from tests.support.warehouse import SHOP_TABLES, TIME, make_settings

OPENED = datetime(2024, 1, 1)
NOW = datetime(2025, 1, 2, 6)


def quick_settings(folder: Path, **overrides: Any) -> Settings:
    """Return settings under which the whole chain on a small shop takes some seconds."""
    quick: dict[str, Any] = {
        "ranker": RankerSettings(trees=40, cuts=2, min_rows_in_leaf=20),
        "candidates": CandidateSettings(
            als_factors=8, als_iterations=3, user_neighbours=20, item_neighbours=50, per_generator=40
        ),
        "publication": PublicationSettings(min_item_purchases=3),
        "gate": GateSettings(bootstrap=100, margin=0.2),
    }
    return make_settings(folder, **{**quick, **overrides})


@dataclass(frozen=True)
class Event:
    """One row of ``shop.events``; ``user`` None is a guest."""

    user: str | None
    item: str | None
    at: datetime
    kind: str = "purchase"
    recorded: datetime | None = None
    quantity: float | None = 1.0
    value: float | None = 2.0
    basket: str | None = None
    name: str | None = None
    market: str | None = "store 1"

    def row(self, number: int) -> dict[str, Any]:
        return {
            "event_id": self.name or f"e{number:05d}",
            "user_id": self.user,
            "bucket": GUEST_BUCKET if self.user is None else bucket_of("recsys", self.user),
            "item_id": self.item,
            "event_type": self.kind,
            "occurred_at": self.at,
            "recorded_at": self.recorded,
            "quantity": self.quantity,
            "value": self.value,
            "basket_id": self.basket or f"{self.user} {self.at:%Y-%m-%d %H:%M}",
            "market": self.market,
        }


@dataclass(frozen=True)
class Version:
    """One row of ``shop.item_versions``; the last one of an item is also its row of ``shop.items``."""

    item: str
    since: datetime = OPENED
    title: str = ""
    category: str = "Department > Group"
    brand: str = "Brand"
    recommendable: bool = True

    def row(self) -> dict[str, Any]:
        return {
            "item_id": self.item,
            "title": self.title or f"Thing {self.item}",
            "category": self.category,
            "brand": self.brand,
            "price": 2.0,
            "available": True,
            "recommendable": self.recommendable,
        }


@dataclass(frozen=True)
class Person:
    """One row of ``shop.users``."""

    user: str
    since: datetime = OPENED
    consents: bool = True
    attributes: Mapping[str, Any] = field(default_factory=lambda: {"segment": "families"})

    def row(self) -> dict[str, Any]:
        return {
            "user_id": self.user,
            "bucket": bucket_of("recsys", self.user),
            "created_at": self.since,
            "is_personalised": self.consents,
            "attributes": json.dumps(dict(self.attributes)),
        }


@dataclass(frozen=True)
class Promotion:
    """One row of ``shop.promotions``."""

    item: str
    market: str
    starts: datetime
    ends: datetime
    known: datetime

    def row(self, number: int) -> dict[str, Any]:
        return {
            "promotion_id": f"p{number}",
            "item_id": self.item,
            "market": self.market,
            "kind": "display",
            "starts_at": self.starts,
            "ends_at": self.ends,
            "known_at": self.known,
        }


SCHEMAS = {
    "promotions": pa.schema(
        [
            ("promotion_id", pa.string()),
            ("item_id", pa.string()),
            ("market", pa.string()),
            ("kind", pa.string()),
            ("starts_at", TIME),
            ("ends_at", TIME),
            ("known_at", TIME),
        ]
    ),
    "events": pa.schema(
        [
            ("event_id", pa.string()),
            ("user_id", pa.string()),
            ("bucket", pa.int16()),
            ("item_id", pa.string()),
            ("event_type", pa.string()),
            ("occurred_at", TIME),
            ("recorded_at", TIME),
            ("quantity", pa.float64()),
            ("value", pa.float64()),
            ("basket_id", pa.string()),
            ("market", pa.string()),
        ]
    ),
    "users": pa.schema(
        [
            ("user_id", pa.string()),
            ("bucket", pa.int16()),
            ("created_at", TIME),
            ("is_personalised", pa.bool_()),
            ("attributes", pa.string()),
        ]
    ),
}


def write_shop(
    settings: Settings,
    *,
    users: Iterable[Person | str],
    items: Iterable[Version | str],
    events: Iterable[Event],
    promotions: Iterable[Promotion] = (),
) -> None:
    """Replace all of ``shop.*`` by these rows, in their order."""
    versions = [Version(item) if isinstance(item, str) else item for item in items]
    people = [Person(user) if isinstance(user, str) else user for user in users]
    with open_warehouse(settings, purpose="test") as warehouse:
        migrate(warehouse)
        with warehouse.transaction() as connection:
            for table in SHOP_TABLES:
                connection.exec_driver_sql(f"delete from shop.{table}")
            if people:
                rows = [person.row() for person in people]
                warehouse.append(connection, "shop.users", pa.Table.from_pylist(rows, SCHEMAS["users"]))
            _write_versions(warehouse, connection, versions)
            told = [promotion.row(number) for number, promotion in enumerate(promotions)]
            if told:
                warehouse.append(connection, "shop.promotions", pa.Table.from_pylist(told, SCHEMAS["promotions"]))
        add_events(warehouse, events)


def _write_versions(warehouse: Warehouse, connection: Any, versions: list[Version]) -> None:
    newest = {version.item: version for version in sorted(versions, key=lambda version: version.since)}
    first: dict[str, datetime] = {}
    for version in versions:
        first[version.item] = min(version.since, first.get(version.item, version.since))
    if newest:
        rows = [{**version.row(), "created_at": first[version.item]} for version in newest.values()]
        warehouse.append(connection, "shop.items", pa.Table.from_pylist(rows))
        rows = [{**version.row(), "valid_from": version.since} for version in versions]
        warehouse.append(connection, "shop.item_versions", pa.Table.from_pylist(rows))


def add_events(warehouse: Warehouse, events: Iterable[Event], first: int = 0) -> None:
    """Append events, numbered from ``first``."""
    rows = [event.row(number) for number, event in enumerate(events, start=first)]
    if rows:
        with warehouse.transaction() as connection:
            warehouse.append(connection, "shop.events", pa.Table.from_pylist(rows, SCHEMAS["events"]))


def run_sql(settings: Settings, *statements: str) -> None:
    """Change the warehouse as somebody outside would."""
    with open_warehouse(settings, purpose="test") as warehouse, warehouse.transaction() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def parquet_rows(query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query over Parquet files."""
    with duckdb.connect() as connection:
        return connection.execute(query, parameters or None).fetchall()


def debris(home: Path) -> list[str]:
    """Return drafts and temporary files that a stage left below home."""
    left = [path for path in home.rglob(".draft-*")]
    left += [path for path in (home / "tmp").rglob("*") if path.is_file()]
    return [str(path.relative_to(home)) for path in left]


def days(count: float) -> timedelta:
    """Return so many days."""
    return timedelta(days=count)
