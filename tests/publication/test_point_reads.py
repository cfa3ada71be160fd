"""One customer's list on PostgreSQL: found by indexes, however many lists there are."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recsys.assets import read_sql
from recsys.publication import publish
from recsys.warehouse import Warehouse, open_warehouse
from tests.support.postgres import make_database
from tests.support.publications import ITEMS, NOW, approve, made_lists, write_publication
from tests.support.warehouse import make_settings, user_id, write_small_shop

DOCUMENTED = """
    select rank, item_id, reason from recsys.live_recommendations
    where placement = :placement and user_id = :user_id order by rank
"""
CROWD = 20_000
# So many more customers, products and lists that looking at all of them is never the cheaper way.
MORE = (
    f"""
    insert into shop.users (user_id, bucket, created_at, is_personalised, attributes)
    select 'crowd' || n, 1, created_at, true, null from shop.users, generate_series(1, {CROWD}) as n
    where user_id = '{user_id(0)}'
    """,
    f"""
    insert into shop.items (item_id, title, available, recommendable, created_at)
    select 'more' || n, 'More', true, true, created_at from shop.items, generate_series(1, {CROWD}) as n
    where item_id = 'i001'
    """,
    f"""
    insert into recsys.publication_lists (publication_id, bucket, subject_id, list_hash)
    select 'p1', 1, 'crowd' || n, n from generate_series(1, {CROWD}) as n
    """,
    f"""
    insert into recsys.list_rows (placement, subject_id, list_hash, rank, item_id, score, source, reason)
    select 'for_you', 'crowd' || n, n, rank, 'i001', 1, 'popularity', 'r'
    from generate_series(1, {CROWD}) as n, generate_series(1, 5) as rank
    """,
)


@pytest.fixture(scope="module")
def crowded(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A made publication of 30 customers among a crowd of others."""
    folder = tmp_path_factory.mktemp("reads")
    settings = make_settings(folder, warehouse_url=make_database(postgres_url, "point_reads"))
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=60, items=ITEMS, days=60)
        approve(warehouse, "1")
        publish(warehouse, settings, write_publication(folder / "files", "p1", made_lists()), now=NOW)
        with warehouse.transaction() as connection:
            for statement in MORE:
                connection.exec_driver_sql(statement)
        yield warehouse


def scanned(warehouse: Warehouse, query: str, user: str) -> set[str]:
    """Return the tables of which the plan of a query reads every row."""
    [row] = warehouse.query(f"explain (format json) {query}", {"placement": "for_you", "user_id": user})
    [plan] = row.values()
    found, waiting = set(), [(json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]]
    while waiting:
        node: dict[str, Any] = waiting.pop()
        waiting += node.get("Plans", [])
        if node["Node Type"] == "Seq Scan":
            found.add(node["Relation Name"])
    return found


@pytest.mark.parametrize("query", [DOCUMENTED, read_sql("publication", "customer_list.sql")], ids=["view", "fallback"])
@pytest.mark.parametrize("user", [user_id(3), user_id(50), "nobody", "*"])
def test_a_list_is_found_without_a_look_at_all_of_them(crowded: Warehouse, query: str, user: str) -> None:
    large = {"list_rows", "publication_lists", "users", "items"}
    assert not scanned(crowded, query, user) & large
    with crowded.transaction() as connection:
        connection.exec_driver_sql("analyze")
    assert not scanned(crowded, query, user) & large


def test_the_embedded_warehouse_has_no_index_on_its_lists(tmp_path: Path) -> None:
    """An index there would make loading slow, and finds nothing quicker."""
    with open_warehouse(make_settings(tmp_path), purpose="test") as warehouse:
        write_small_shop(warehouse, users=60, items=ITEMS, days=60)
        found = warehouse.query("select table_name from duckdb_indexes() where table_name in ('list_rows', 'users')")
    assert found == []
