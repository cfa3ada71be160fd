"""From every earlier version of the schema, with data in place, to the newest one: nothing is lost, and all answers.

The rows are made from the tables as they are at that version, so that a new migration is tested without a change here:
a text is its column's name with the row's number, unless a check in the schema's files allows only some words.
"""

import json
import re
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from recsys import ledger
from recsys.assets import sql_path
from recsys.publication import customer_list, list_publications
from recsys.settings import Settings
from recsys.warehouse import Warehouse, migrate, pending_migrations

FILES = sorted(sql_path("schema").glob("*.sql"))
EARLIER = [path.name for path in FILES[:-1]]
ROWS = 2
START = datetime(2025, 1, 1)
ONE_OF = re.compile(r"check \((\w+) in \(([^)]*)\)\)")
# Rows must hang together, so that the views have something to show.
SAME_AS = {"subject_id": "user_id"}
FIXED: dict[tuple[str, str], Any] = {
    ("shop.suppressions", "item_id"): "hidden",
    ("shop.suppressions", "ends_at"): datetime(2025, 1, 2),
    ("recsys.publications", "items_shown"): 1,
    ("recsys.publications", "audit"): "{}",
    ("recsys.publications", "status"): "live",
    ("recsys.publications", "kind"): "main",
    ("recsys.list_rows", "rank"): 1,
    ("recsys.list_rows", "part"): 0,
    ("recsys.decisions", "channel"): "cli",
}
RECORD = "recsys.schema_migrations"
PART = "recsys.list_rows_0"  # rows put into list_rows are in it
Row = dict[str, Any]


@pytest.mark.parametrize("version", EARLIER)
def test_data_of_an_earlier_version_is_whole_at_the_newest(
    warehouse: Warehouse, settings: Settings, tmp_path: Path, version: str
) -> None:
    migrate(warehouse, folder=upto(version, tmp_path / "schema"))
    written = {table: fill(warehouse, table, range(1, 1 + ROWS)) for table in tables(warehouse)}
    pending = pending_migrations(warehouse)
    assert migrate(warehouse) == pending
    for table, rows in written.items():
        assert still_there(warehouse, table, rows) == rows, table
    assert migrate(warehouse) == pending_migrations(warehouse) == []
    if "recsys.publications" in written:
        assert_published(warehouse, settings)
    for view in relations(warehouse, "VIEW"):
        warehouse.query(f"select count(*) as rows from {view}")
    # The newest tables take rows, those that were there and those that came.
    for table in tables(warehouse):
        fill(warehouse, table, range(1 + ROWS, 2 + ROWS))


def assert_published(warehouse: Warehouse, settings: Settings) -> None:
    """Look at what was published before the migration as a front end and the command line do."""
    shown = warehouse.query("select * from recsys.live_recommendations order by user_id")
    assert [(row["user_id"], row["item_id"], row["rank"], row["publication_id"]) for row in shown] == [
        (f"user_id-{n}", f"item_id-{n}", 1, f"publication_id-{n}") for n in range(1, 1 + ROWS)
    ]
    assert {one.publication_id for one in list_publications(warehouse)} == {"publication_id-1", "publication_id-2"}
    assert [one.decision_id for one in ledger.list_decisions(warehouse)] == ["decision_id-1", "decision_id-2"]
    placement = {"placement-1": settings.placements["for_you"]}
    told = settings.model_copy(update={"placements": placement})
    assert [row.item_id for row in customer_list(warehouse, told, "user_id-1", "placement-1").rows] == ["item_id-1"]


def upto(version: str, folder: Path) -> Path:
    """Return a folder with the migrations up to one, as an earlier release had them."""
    folder.mkdir()
    for path in FILES:
        if path.name <= version:
            shutil.copy(path, folder)
    return folder


def relations(warehouse: Warehouse, kind: str) -> list[str]:
    rows = warehouse.query(
        "select table_schema, table_name from information_schema.tables "
        "where table_schema in ('shop', 'recsys') and table_type = :kind order by table_schema desc, table_name",
        {"kind": kind},
    )
    return [f"{row['table_schema']}.{row['table_name']}" for row in rows]


def tables(warehouse: Warehouse) -> list[str]:
    return [name for name in relations(warehouse, "BASE TABLE") if name not in (RECORD, PART)]


def fill(warehouse: Warehouse, table: str, numbers: range) -> list[Row]:
    """Add made rows to a table and return them."""
    schema, _, name = table.partition(".")
    columns = warehouse.query(
        "select column_name, lower(data_type) as data_type from information_schema.columns "
        "where table_schema = :schema and table_name = :name and coalesce(is_generated, 'NEVER') = 'NEVER' "
        "order by ordinal_position",
        {"schema": schema, "name": name},
    )
    allowed = words_of(table)
    rows = [
        {one["column_name"]: value(table, one["column_name"], one["data_type"], allowed, number) for one in columns}
        for number in numbers
    ]
    with warehouse.transaction() as connection:
        for row in rows:
            insert(connection, table, row, {one["column_name"]: one["data_type"] for one in columns})
    return rows


def insert(connection: Connection, table: str, row: Row, types: dict[str, str]) -> None:
    values = ", ".join(f"cast(:{name} as {types[name]})" for name in row)
    connection.execute(text(f"insert into {table} ({', '.join(row)}) values ({values})"), row)


def value(table: str, column: str, kind: str, allowed: dict[str, str], number: int) -> Any:
    """Return what a made row holds in a column."""
    if (table, column) in FIXED:
        return FIXED[table, column]
    is_end = column.startswith(("until", "ends", "valid_to"))
    by_kind = {
        "timestamp": START + timedelta(days=number if is_end else 0),
        "date": START.date(),
        "json": json.dumps({"number": number}),
        "bool": True,
        **dict.fromkeys(("double", "numeric", "decimal", "real", "float"), 1.0),
        **dict.fromkeys(("bigint", "integer", "smallint"), number),
    }
    word = allowed.get(column) or f"{SAME_AS.get(column, column)}-{number}"
    return next((made for prefix, made in by_kind.items() if kind.startswith(prefix)), word)


def words_of(table: str) -> dict[str, str]:
    """Return the first word that a check allows, by column, from the newest file that makes or alters the table."""
    found: dict[str, str] = {}
    for path in FILES:
        for statement in path.read_text(encoding="utf-8").split(";\n"):
            if re.search(rf"(create|alter) table (if not exists )?{re.escape(table)}\b", statement):
                found |= {name: words.split("'")[1] for name, words in ONE_OF.findall(statement) if "'" in words}
    return found


def still_there(warehouse: Warehouse, table: str, rows: list[Row]) -> list[Row]:
    """Return what a table holds now in the columns of rows that were written to it."""
    held = warehouse.query(f"select {', '.join(rows[0])} from {table}")
    parsed = [{name: plain(row[name], rows[0][name]) for name in row} for row in held]
    return sorted(parsed, key=lambda row: rows.index(row) if row in rows else len(rows))


def plain(found: Any, written: Any) -> Any:
    """Return a value as it was written: the engines hand JSON over as text or as what it holds."""
    if isinstance(found, dict):
        return json.dumps(found)
    return json.dumps(json.loads(found)) if isinstance(written, str) and written.startswith("{") else found
