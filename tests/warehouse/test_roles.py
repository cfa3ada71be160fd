"""Least privilege on PostgreSQL: each role does its work, and is refused anything more."""

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from recsys.assets import read_sql, sql_path
from recsys.errors import WarehouseError
from recsys.publication import publish
from recsys.settings import PublicationSettings, Settings
from recsys.snapshot import Snapshot, take_snapshot
from recsys.warehouse import migrate, open_warehouse, pending_migrations
from tests.support.postgres import execute_on, make_database, postgres_programs
from tests.support.publications import ITEMS, NOW, approve, live_rows, made_lists, write_publication
from tests.support.warehouse import make_settings, write_small_shop

USERS = {
    "r_owner": "recsys_owner",
    "r_extract": "recsys_extract",
    "r_publish": "recsys_publish",
    "r_read": "recsys_read",
}
DDL = ("create table shop.mine (n int)", "create table recsys.mine (n int)", "create schema mine")
REFUSED = {
    "r_extract": (
        "insert into shop.events select * from shop.events limit 1",
        "delete from shop.users",
        "update shop.users set is_personalised = true",
        "truncate shop.quarantine",
        "select * from recsys.decisions",
        "select * from recsys.live_recommendations",
        "select recsys.new_list_part('for_you')",
        "delete from recsys.do_not_process",
        "create temp table mine (n int)",
        *DDL,
    ),
    "r_publish": (
        "insert into shop.events select * from shop.events limit 1",
        "update shop.users set user_id = 'x'",
        "delete from shop.users",
        "delete from recsys.decisions",
        "update recsys.decisions set reason = 'x'",
        "delete from recsys.pointer_moves",
        "delete from recsys.do_not_process",
        "update recsys.do_not_process set mark = ''",
        "delete from recsys.erasures",
        "update recsys.schema_migrations set checksum = ''",
        "drop table recsys.list_rows_0",
        "drop view recsys.live_recommendations",
        "truncate recsys.publications",
        "create temp table mine (n int)",
        *DDL,
    ),
    "r_read": (
        "select * from recsys.publications",
        "select * from recsys.list_rows",
        "select * from recsys.published_rows",
        "select * from recsys.decisions",
        "select * from shop.users",
        "select recsys.drop_unused_list_parts('for_you')",
        "create temp table mine (n int)",
        *DDL,
    ),
}


@pytest.fixture(scope="module")
def database(postgres_url: str) -> str:
    """A migrated warehouse that belongs to the owner, with a user for each role."""
    url = make_database(postgres_url, "roles_test")
    execute_on(url, read_sql("roles", "roles.postgresql.sql"))
    for user, role in USERS.items():
        execute_on(url, f"drop role if exists {user}", f"create role {user} login in role {role}")
    execute_on(url, "alter role r_owner set role recsys_owner")
    return url


def as_user(database: str, user: str) -> str:
    return database.replace("://postgres@", f"://{user}@")


@pytest.fixture(scope="module")
def shop(database: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The made shop, written by the owner; a version is approved by who publishes."""
    folder = tmp_path_factory.mktemp("roles")
    with open_warehouse(settings_of(folder, database, "r_owner"), purpose="test") as warehouse:
        write_small_shop(warehouse, users=60, items=ITEMS, days=60)
    execute_on(as_user(database, "r_owner"), read_sql("roles", "grants.postgresql.sql"))
    with open_warehouse(settings_of(folder, database, "r_publish"), purpose="test") as warehouse:
        approve(warehouse, "1")
    return database


def settings_of(folder: Path, database: str, user: str) -> Settings:
    return make_settings(folder, warehouse_url=as_user(database, user), publication=PublicationSettings(keep=2))


def test_who_extracts_takes_a_snapshot_and_puts_rows_aside(shop: str, tmp_path: Path) -> None:
    owner = as_user(shop, "r_owner")
    execute_on(
        owner,
        "insert into shop.events (event_id, user_id, bucket, item_id, event_type, occurred_at) "
        "values ('odd', 'u0001', 1, 'unheard-of', 'purchase', '2024-12-30')",
    )
    taken = take_snapshot(settings_of(tmp_path, shop, "r_extract"), as_of="2025-01-01", now=NOW)
    assert Snapshot.open(taken.uri).user_count == 60
    with psycopg.connect(owner) as connection:
        found = connection.execute("select distinct source_table from shop.quarantine").fetchall()
    assert found == [("events",)] or found == [("shop.events",)]


def test_who_publishes_needs_no_right_to_make_tables(shop: str, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, shop, "r_publish")
    with open_warehouse(settings, purpose="test") as warehouse:
        assert migrate(warehouse) == []
        for day in range(5):
            lists = write_publication(tmp_path / "files", f"p{day}", made_lists(shift=day))
            publish(warehouse, settings, lists, now=NOW + timedelta(days=day))
        assert {row["publication_id"] for row in live_rows(warehouse)} == {"p4"}
        [kept] = warehouse.query("select count(*) as parts from recsys.list_parts")
        [tables] = warehouse.query(
            "select count(*) as parts from pg_inherits where inhparent = cast('recsys.list_rows' as regclass)"
        )
    # The live one and the two that are kept; beside them the part of before there were parts.
    assert (kept["parts"], tables["parts"]) == (3, 4)


def test_a_reader_sees_what_customers_see(shop: str, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, shop, "r_publish")
    with open_warehouse(settings, purpose="test") as warehouse:
        publish(warehouse, settings, write_publication(tmp_path / "files", "seen", made_lists(shift=9)), now=NOW)
    with psycopg.connect(as_user(shop, "r_read")) as connection:
        rows = connection.execute("select rank from recsys.live_recommendations where user_id = '*'").fetchall()
    assert len(rows) == 10


def test_a_migration_leaves_the_roles_their_rights(
    database: str, postgres_url: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """From before the view was made anew to the newest: the reader goes on, and what happened stays written.

    Where the rights can't be given, the last migration did not happen, so that the next attempt gives them.
    """
    url = make_database(postgres_url, "roles_migrated")
    execute_on(url, read_sql("roles", "roles.postgresql.sql"))
    before = tmp_path / "before"
    before.mkdir()
    for path in sql_path("schema").glob("*.sql"):
        if path.name < "0009":
            shutil.copy2(path, before / path.name)
    settings = settings_of(tmp_path_factory.mktemp("migrated"), url, "r_owner")
    with open_warehouse(settings, purpose="test") as warehouse:
        migrate(warehouse, folder=before)
        execute_on(
            as_user(url, "r_owner"),
            "grant usage on schema recsys to recsys_read",
            "grant select on recsys.live_recommendations to recsys_read",
        )
        execute_on(url, "alter role recsys_publish rename to recsys_elsewhere")
        try:
            with pytest.raises(WarehouseError, match="recsys_publish"):
                migrate(warehouse)
        finally:
            execute_on(url, "alter role recsys_elsewhere rename to recsys_publish")
        assert len(pending_migrations(warehouse)) == 1
        migrate(warehouse)
    execute_on(as_user(url, "r_read"), "select * from recsys.live_recommendations")
    execute_on(as_user(url, "r_publish"), "select * from recsys.do_not_process")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute_on(as_user(url, "r_publish"), "delete from recsys.do_not_process")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute_on(as_user(url, "r_read"), "select * from recsys.do_not_process")


def test_after_a_restore_the_files_bring_the_rights_back(shop: str, postgres_url: str, tmp_path: Path) -> None:
    dump, url = tmp_path / "dump", make_database(postgres_url, "roles_restored")
    found = postgres_programs()
    assert found is not None
    programs = (found / "pg_ctl").resolve().parent  # of the whole package, where the PATH has links to some
    subprocess.run([programs / "pg_dump", "--format", "custom", "--file", dump, shop], check=True)
    restore = [programs / "pg_restore", "--exit-on-error", "--no-owner", "--no-privileges", "--role", "recsys_owner"]
    execute_on(url, "grant create on database roles_restored to recsys_owner")
    subprocess.run([*restore, "--dbname", url, dump], check=True)
    read = "select * from recsys.live_recommendations"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute_on(as_user(url, "r_read"), read)
    execute_on(url, read_sql("roles", "roles.postgresql.sql"))
    execute_on(as_user(url, "r_owner"), read_sql("roles", "grants.postgresql.sql"))
    execute_on(as_user(url, "r_read"), read)


def test_roles_that_nobody_granted_anything_get_nothing(database: str, postgres_url: str, tmp_path: Path) -> None:
    """They may be another warehouse's on the same server."""
    url = make_database(postgres_url, "roles_elsewhere")
    execute_on(url, read_sql("roles", "roles.postgresql.sql"))
    with open_warehouse(settings_of(tmp_path, url, "r_owner"), purpose="test") as warehouse:
        migrate(warehouse)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute_on(as_user(url, "r_read"), "select * from recsys.live_recommendations")


@pytest.mark.parametrize(
    ("user", "statement"), [(user, statement) for user, refused in REFUSED.items() for statement in refused]
)
def test_anything_more_is_refused(shop: str, user: str, statement: str) -> None:
    with psycopg.connect(as_user(shop, user)) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())
