"""Migrations: ordered files, each applied once and whole."""

from pathlib import Path

import pytest

from recsys.errors import WarehouseError
from recsys.warehouse import Warehouse, migrate, pending_migrations
from recsys.warehouse.migrations import split_statements


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")


def tables(warehouse: Warehouse) -> set[str]:
    rows = warehouse.query(
        "select table_schema, table_name from information_schema.tables "
        "where table_schema not in ('information_schema', 'pg_catalog')"
    )
    return {f"{row['table_schema']}.{row['table_name']}" for row in rows}


def test_the_schema_is_made_once_and_documents_each_grain(warehouse: Warehouse) -> None:
    expected = pending_migrations(warehouse)
    assert expected[0] == "0001_shop.sql"
    assert migrate(warehouse) == expected
    made = tables(warehouse)
    assert {"shop.users", "shop.events", "shop.quarantine", "recsys.schema_migrations"} <= made
    assert migrate(warehouse) == []
    assert pending_migrations(warehouse) == []
    assert tables(warehouse) == made
    sql = {
        "duckdb": "select table_name, comment from duckdb_tables() where schema_name = 'shop'",
        "postgresql": "select relname as table_name, obj_description(oid) as comment from pg_class "
        "where relnamespace = 'shop'\\:\\:regnamespace and relkind = 'r'",
    }[warehouse.dialect]
    comments = {row["table_name"]: row["comment"] for row in warehouse.query(sql)}
    assert len(comments) == 14
    assert all(comment.startswith("one row per ") for comment in comments.values()), comments


def test_files_run_in_the_order_of_their_names(warehouse: Warehouse, tmp_path: Path) -> None:
    write(tmp_path, "0002_second.sql", "insert into play.a values (2);\n")
    write(tmp_path, "0001_first.sql", "create schema play;\ncreate table play.a (n integer);\n")
    assert migrate(warehouse, folder=tmp_path) == ["0001_first.sql", "0002_second.sql"]
    assert warehouse.query("select n from play.a") == [{"n": 2}]
    write(tmp_path, "0003_third.sql", "insert into play.a values (3);\n")
    assert migrate(warehouse, folder=tmp_path) == ["0003_third.sql"]
    assert warehouse.query("select sum(n) as s from play.a")[0]["s"] == 5


def test_a_file_for_one_engine_is_left_out_in_the_other(warehouse: Warehouse, tmp_path: Path) -> None:
    write(tmp_path, "0001_both.sql", "create schema play;\n")
    for dialect in ("duckdb", "postgresql"):
        write(tmp_path, f"0002_one.{dialect}.sql", f"create table play.{dialect} (n integer);\n")
    assert migrate(warehouse, folder=tmp_path) == ["0001_both.sql", f"0002_one.{warehouse.dialect}.sql"]
    assert migrate(warehouse, folder=tmp_path) == []
    assert {name for name in tables(warehouse) if name.startswith("play.")} == {f"play.{warehouse.dialect}"}


def test_a_changed_file_is_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    write(tmp_path, "0001_first.sql", "create schema play;\n")
    migrate(warehouse, folder=tmp_path)
    write(tmp_path, "0001_first.sql", "create schema play;\ncreate table play.a (n integer);\n")
    with pytest.raises(WarehouseError, match=r"0001_first\.sql was changed after .* new migration"):
        migrate(warehouse, folder=tmp_path)
    assert "play.a" not in tables(warehouse)


def test_a_failing_file_leaves_nothing_of_itself_and_all_before_it(warehouse: Warehouse, tmp_path: Path) -> None:
    write(tmp_path, "0001_good.sql", "create schema play;\n")
    write(tmp_path, "0002_bad.sql", "create table play.a (n integer);\ninsert into play.a values ('x y');\n")
    with pytest.raises(WarehouseError, match="x y"):
        migrate(warehouse, folder=tmp_path)
    assert "play.a" not in tables(warehouse)
    assert warehouse.query("select name from recsys.schema_migrations") == [{"name": "0001_good.sql"}]
    write(tmp_path, "0002_bad.sql", "create table play.a (n integer);\n")
    assert migrate(warehouse, folder=tmp_path) == ["0002_bad.sql"]


def test_statements_end_at_the_end_of_a_line() -> None:
    script = "-- a remark; really\nselect ';' as a;  \n\nselect\n  2;\n-- the end;\n"
    assert split_statements(script) == ["-- a remark; really\nselect ';' as a", "select\n  2"]


def test_a_body_between_dollars_is_not_split() -> None:
    script = "create function f() as $$\nbegin\n  perform 1;\nend\n$$;\nselect 2;\n"
    assert split_statements(script) == ["create function f() as $$\nbegin\n  perform 1;\nend\n$$", "select 2"]
