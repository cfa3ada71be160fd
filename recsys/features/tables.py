"""Runs the feature SQL at one cut."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from recsys.artifacts import file_hash
from recsys.assets import read_sql, sql_path
from recsys.compute import write_parquet
from recsys.cuts import customer_ranges

# Each feature table with the columns that it joins on, after cut_id.
TABLES: dict[str, tuple[str, ...]] = {
    "user": ("user_idx",),
    "item": ("item_idx",),
    "promotion": ("item_idx",),
    "market_item": ("user_market", "item_idx"),
    "user_item": ("user_idx", "item_idx"),
    "user_category": ("user_idx", "category_no"),
    "user_family": ("user_idx", "family_no"),
    "user_brand": ("user_idx", "brand_no"),
}
ITEM_SIDE = ("item", "promotion", "market_item")
USER_SIDE = tuple(name for name in TABLES if name not in ITEM_SIDE)
# What is summed up of the purchases of one range of customers after the other: memory does not grow with the shop.
_PARTS = {"item_parts": "part_items", "item_gaps": "part_gaps", "market_parts": "part_markets"}
_SUMMED = {"item": ("item_parts", "item_gaps"), "market_item": ("market_parts",)}
CUSTOMERS_AT_ONCE = 100_000
_MEANING = re.compile(r"^-- (\w+): (.+)$", re.MULTILINE)


def compute_tables(
    connection: duckdb.DuckDBPyConnection, folder: Path, names: tuple[str, ...] = tuple(TABLES)
) -> dict[str, int]:
    """Compute feature tables from ``purchases`` and write each to Parquet, in the order of its keys.

    Args:
        connection: has ``cuts``, ``items_at_cut`` and ``purchases`` of the cut (see ``recsys.cuts.lay_cut``), and
            the snapshot's ``promotions``.
        folder: where ``<table>.parquet`` goes.
        names: the tables to compute.

    Returns:
        Rows by table.
    """
    make_item_groups(connection)
    summed = [part for name in names for part in _SUMMED.get(name, ())]
    _sum_up(connection, summed)
    rows = {}
    for name in names:
        order = ", ".join(("cut_id", *TABLES[name]))
        query = f"select * from ({read_sql('features', f'{name}.sql')}) order by {order}"
        rows[name] = write_parquet(connection, query, folder / f"{name}.parquet")
    for table in summed:
        connection.execute(f"drop table {table}")
    return rows


def _sum_up(connection: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> None:
    """Make the named tables of ``_PARTS`` from ``purchases``."""
    if not tables:
        return
    for number, bounds in enumerate(customer_ranges(connection, CUSTOMERS_AT_ONCE)):
        _make(connection, "part_purchases", "part_purchases", bounds)
        _make(connection, "part_pairs", "part_pairs")
        for table in tables:
            if number:
                connection.execute(f"insert into {table} {read_sql('features', f'{_PARTS[table]}.sql')}")
            else:
                _make(connection, table, _PARTS[table])
    connection.execute("drop table part_purchases; drop table part_pairs")


def _make(
    connection: duckdb.DuckDBPyConnection, table: str, name: str, asked: Mapping[str, object] | None = None
) -> None:
    connection.execute(f"create or replace temp table {table} as {read_sql('features', f'{name}.sql')}", asked)


def make_item_groups(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table of each product's category, family and brand numbers at the cut that is laid."""
    _make(connection, "item_groups", "item_groups")


def feature_meanings() -> dict[str, str]:
    """Return each feature of the SQL files with its line of meaning, in the order of the tables."""
    meanings: dict[str, str] = {}
    for name in TABLES:
        meanings |= meanings_of(read_sql("features", f"{name}.sql"))
    return meanings


def meanings_of(sql: str) -> dict[str, str]:
    """Return the features that one SQL file computes, each with its line of meaning."""
    found = dict(_MEANING.findall(sql))
    found.pop("grain")
    return found


def features_hash() -> str:
    """Return the hash of the feature SQL: part of what a model version is."""
    return file_hash(*sorted(sql_path("features").glob("*.sql")))[:16]
