"""An interaction file as a folder with the layout of a snapshot, every cell checked on the way.

What is wrong with a single cell is an error that names it, since a protocol that quietly drops customers' last
events measures something else. What has one clear remedy (duplicates, rows out of order) is mended and counted.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb

from recsys import columns as c
from recsys.assets import read_sql
from recsys.buckets import bucket_sql
from recsys.compute import engine, fetch_columns, write_parquet
from recsys.errors import SourceError
from recsys.leave_one_out.tables import RawFile, load_rows, open_file
from recsys.settings import Settings
from recsys.snapshot import MANIFEST, PARTS, Snapshot

ROOM: Final = "leave_one_out"
TIMESTAMP: Final = "timestamp"
ORDER: Final = "order"
LARGEST_VALUE: Final = 1e13  # what a decimal(18, 4) holds
_ITEM_TEXTS: Final = (c.TITLE, c.CATEGORY, c.BRAND)


@dataclass(frozen=True)
class Interactions:
    """A checked interaction file.

    Attributes:
        snapshot: the folder it was turned into.
        counts: what the files held and what was done about it, see ``counts.sql`` and ``item_counts.sql``.
        is_timed: whether times are real; else a day is a position.
        counted_as_purchase: the event type that stands for purchases, where the file has none.
        has_attributes: whether any product has a title, a category or a brand.
    """

    snapshot: Snapshot
    counts: dict[str, int]
    is_timed: bool
    counted_as_purchase: str | None
    has_attributes: bool


def read_interactions(settings: Settings, path: Path, folder: Path, items: Path | None = None) -> Interactions:
    """Turn an interaction file into a snapshot's folder.

    Args:
        settings: in force.
        path: CSV or Parquet with user_id, item_id, timestamp or order (or both), optionally value and event_type.
        folder: where the Parquet files go.
        items: CSV or Parquet with item_id and whatever is known of products.

    Raises:
        SourceError: if a file can't be used; it names the row, column and cell, or the customer.
    """
    with engine(settings) as connection:
        file = open_file(connection, path, (c.USER_ID, c.ITEM_ID))
        if TIMESTAMP not in file.columns and ORDER not in file.columns:
            raise SourceError(
                f"{path} has neither a column 'timestamp' nor 'order', so nobody can tell which item was a customer's "
                f"last. It has: {', '.join(file.columns)}. Add one of them."
            )
        facts = {"has_timestamp": TIMESTAMP in file.columns}
        _load_typed(connection, settings, file)
        counted, strongest = _counted_types(connection, settings, path)
        known: dict[str, object] = {"counted_types": counted, **facts}
        _make(connection, "interactions", known | {"strongest": strongest})
        counts = _single_row(connection, "counts.sql", known)
        if not counts["events"]:
            raise SourceError(
                f"{path} holds no event that counts ({counts['rows_read']:,} rows). Give a file with some."
            )
        has_attributes = _load_items(connection, items)
        return Interactions(
            snapshot=_write(connection, settings, folder, path, counts, items is not None),
            counts=counts,
            is_timed=facts["has_timestamp"],
            counted_as_purchase=strongest,
            has_attributes=has_attributes,
        )


def _load_typed(connection: duckdb.DuckDBPyConnection, settings: Settings, file: RawFile) -> None:
    """Make ``typed``, once every cell is found to be usable."""
    texts = {
        c.USER_ID: file.text(c.USER_ID),
        c.ITEM_ID: file.text(c.ITEM_ID),
        "timestamp_text": file.text(TIMESTAMP),
        "order_text": file.text(ORDER),
        "value_text": file.text(c.VALUE),
        c.EVENT_TYPE: f"lower({file.text(c.EVENT_TYPE)})" if c.EVENT_TYPE in file.columns else f"'{c.PURCHASE}'",
    }
    load_rows(connection, file, "texts", texts)
    _make(connection, "typed", {})
    _stop_at_faults(connection, file)
    if TIMESTAMP in file.columns and ORDER in file.columns:
        _stop_at_contradictions(connection, file)


def _stop_at_faults(connection: duckdb.DuckDBPyConnection, file: RawFile) -> None:
    found = connection.execute(
        read_sql(ROOM, "faults.sql"),
        {
            "has_timestamp": TIMESTAMP in file.columns,
            "has_order": ORDER in file.columns,
            "has_event_type": c.EVENT_TYPE in file.columns,
            "event_types": list(c.EVENT_TYPES),
            "lowest": -LARGEST_VALUE,
            "highest": LARGEST_VALUE,
        },
    )
    first = found.fetchone()
    if first is None:
        return
    row, column, cell, rule, count = first
    shown = "" if cell is None else f" {cell!r}"
    more = f" {count - 1:,} more cells can't be used." if count > 1 else ""
    known = f" Known are {', '.join(c.EVENT_TYPES)}." if column == c.EVENT_TYPE else ""
    raise SourceError(f"{file.path}, {file.place(row)}: {column}{shown} {rule}.{known}{more} Correct or remove them.")


def _stop_at_contradictions(connection: duckdb.DuckDBPyConnection, file: RawFile) -> None:
    found = connection.execute(read_sql(ROOM, "contradictions.sql")).fetchall()
    if not found:
        return
    user, first, first_place, first_at, second, second_place, second_at = found[0]
    raise SourceError(
        f"{file.path}: the order of customer {user!r} contradicts the timestamp: {file.place(first)} has order "
        f"{first_place:g} at {first_at}, {file.place(second)} has order {second_place:g} at {second_at}, which is "
        f"earlier ({len(found):,} such rows). Correct one of the columns, or leave one out."
    )


def _counted_types(
    connection: duckdb.DuckDBPyConnection, settings: Settings, path: Path
) -> tuple[list[str], str | None]:
    """Return the event types that say something about a taste, and which of them stands for purchases."""
    weights = {name: weight for name, weight in settings.candidates.event_weights.items() if weight > 0}
    there = {row[0] for row in connection.execute("select distinct event_type from typed").fetchall()}
    counted = sorted(there & set(weights), key=lambda name: (-weights[name], name))
    if there and not counted:
        raise SourceError(
            f"{path} has only events of the types {', '.join(sorted(there))}, which say nothing about a taste. Events "
            f"count if they are of the types {', '.join(weights)} (RECSYS_CANDIDATES__EVENT_WEIGHTS)."
        )
    return counted, None if not counted or c.PURCHASE in counted else counted[0]


def _load_items(connection: duckdb.DuckDBPyConnection, path: Path | None) -> bool:
    """Make ``item_texts`` of the item file; other columns than those known are read as part of the title."""
    if path is None:
        texts = ", ".join(f"cast(null as varchar) as {name}" for name in (c.ITEM_ID, *_ITEM_TEXTS))
        connection.execute(f"create or replace temp table item_texts as select 0 as file_row, {texts} where false")
        return False
    file = open_file(connection, path, (c.ITEM_ID,))
    others = [file.text(name) for name in file.columns if name not in (c.ITEM_ID, *_ITEM_TEXTS)]
    title = f"nullif(concat_ws(' ', {', '.join([file.text(c.TITLE), *others])}), '')"
    columns = {name: file.text(name) for name in (c.ITEM_ID, c.CATEGORY, c.BRAND)} | {c.TITLE: title}
    load_rows(connection, file, "item_texts", columns)
    (found,) = connection.execute(
        "select count(*) filter (coalesce(title, category, brand) is not null) from item_texts"
    ).fetchall()[0]
    return bool(found)


def _make(connection: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, object]) -> None:
    connection.execute(f"create or replace temp table {name} as {read_sql(ROOM, f'{name}.sql')}", dict(parameters))


def _single_row(
    connection: duckdb.DuckDBPyConnection, file: str, parameters: dict[str, object] | None = None
) -> dict[str, int]:
    found = fetch_columns(connection, read_sql(ROOM, file), parameters)
    return {name: int(values[0]) for name, values in found.items()}


def _write(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    folder: Path,
    path: Path,
    counts: dict[str, int],
    has_items: bool,
) -> Snapshot:
    """Write the folder, and add to the counts how the item file fits."""
    users = read_sql(ROOM, "users.sql").format(bucket=bucket_sql(settings.namespace, c.USER_ID))
    queries = {c.USERS: users, c.ITEMS: read_sql(ROOM, "items.sql")}
    queries[c.ITEM_VERSIONS] = read_sql(ROOM, "item_versions.sql")
    queries[c.PROMOTIONS] = read_sql(ROOM, "promotions.sql")
    queries[c.ITEM_RULES] = read_sql(ROOM, "item_rules.sql")
    rows = {}
    for table, query in queries.items():
        target = folder / f"{table}.parquet"
        rows[table] = write_parquet(connection, query, target)
        connection.from_parquet(str(target)).create_view(f"snapshot_{table}")
    if has_items:
        counts |= _single_row(connection, "item_counts.sql")
    (folder / c.EVENTS).mkdir()
    width = c.BUCKETS // PARTS
    ranges = {f"{part:02d}": (part * width, (part + 1) * width) for part in range(PARTS)} | {"guests": (-1, 0)}
    rows[c.EVENTS] = 0
    for name, (bucket_from, bucket_to) in ranges.items():
        bounds: dict[str, object] = {"bucket_from": bucket_from, "bucket_to": bucket_to}
        target = folder / c.EVENTS / f"{name}.parquet"
        rows[c.EVENTS] += write_parquet(connection, read_sql(ROOM, "events.sql"), target, bounds)
    first, last = _span(connection)
    manifest: dict[str, Any] = {
        "as_of": (last + timedelta(days=1)).isoformat(),
        "first_event": first.isoformat(),
        "source": path.name,
        "rows": rows,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    return Snapshot(folder)


def _span(connection: duckdb.DuckDBPyConnection) -> tuple[datetime, datetime]:
    found = connection.execute("select min(occurred_at), max(occurred_at) from interactions").fetchall()
    first, last = found[0]
    return first, last
