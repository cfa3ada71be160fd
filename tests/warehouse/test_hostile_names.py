"""Names that would break out of a statement come back as they went in, in both engines."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings, strategies
from sqlalchemy import text

from recsys import ledger
from recsys.buckets import bucket_of, bucket_sql
from recsys.errors import NotFoundError, RecsysError, SettingsError
from recsys.load.cells import string
from recsys.publication import (
    Rule,
    customer_list,
    list_consent_changes,
    list_suppressions,
    set_consent,
    suppress,
    unsuppress,
)
from recsys.settings import Settings, load_settings
from recsys.warehouse import Warehouse, open_warehouse
from recsys.warehouse.names import quoted, split_table
from tests.support.monitored import put_live
from tests.support.postgres import make_database
from tests.support.publications import ITEMS, NOW, PLACEMENT, approve
from tests.support.warehouse import TIME, item_id, make_settings, user_id, write_small_shop

HOSTILE = [
    "'; drop table shop.users; --",
    '"; drop schema shop cascade; --',
    "' or '1'='1",
    "\\'; delete from shop.events; --",
    ":user_id",
    "%(user_id)s %s $1 {x} ${y}",
    "$$; drop table shop.items; $$",
    "/* */ --",
    "two\nlines\r\n\tand a tab",
    "äöü 商品 🛒 e\u0301",
    "x" * 300,
    "名" * 64,
    "\u202eright to left",
    "_%",
    "NULL",
    " ",
]
# PostgreSQL keeps no zero byte in a text, and half a surrogate pair is no text at all.
NAMES = strategies.sampled_from(HOSTILE) | strategies.text(
    strategies.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=80
)
FEW = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


@dataclass(frozen=True)
class Shop:
    settings: Settings
    warehouse: Warehouse

    def counts(self) -> list[int]:
        tables = ("shop.users", "shop.items", "shop.events", "recsys.publications")
        return [int(self.warehouse.query(f"select count(*) as n from {table}")[0]["n"]) for table in tables]


@pytest.fixture(scope="module", params=["duckdb", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("hostile")
    overrides = {}
    if request.param == "postgresql":
        overrides["warehouse_url"] = make_database(request.getfixturevalue("postgres_url"), "hostile_names")
    made = make_settings(folder, **overrides)
    with open_warehouse(made, purpose="test") as warehouse:
        write_small_shop(warehouse, users=20, items=ITEMS, days=30)
        approve(warehouse, "1")
        put_live(warehouse, made, "p1", {user_id(0): [item_id(number) for number in range(20)]})
        yield Shop(made, warehouse)


NUMBERS = count()


@FEW
@given(user=NAMES, item=NAMES)
def test_ids_come_back_as_they_were(shop: Shop, user: str, item: str) -> None:
    # Each example has ids of its own, and leaves the shop's other rows as they are.
    mark = str(next(NUMBERS))
    user, item = f"{user}{mark}", f"{item}{mark}"
    _, items, events, publications = shop.counts()
    with shop.warehouse.transaction() as connection:
        shop.warehouse.append(connection, "shop.users", _user(user))
        shop.warehouse.append(connection, "shop.items", _item(item))
    assert shop.warehouse.query("select bucket from shop.users where user_id = :user", {"user": user}) == [
        {"bucket": bucket_of("recsys", user)}
    ]
    with shop.warehouse.read_arrow("select title from shop.items where item_id = :item", {"item": item}) as reader:
        assert reader.read_all().to_pylist() == [{"title": item}]
    shown = customer_list(shop.warehouse, shop.settings, user, PLACEMENT).rows
    assert {row.item_id for row in shown} <= {item_id(number) for number in range(20)}
    assert shop.counts()[1:] == [items + 1, events, publications]


@settings(FEW, max_examples=4)
@given(user=NAMES, item=NAMES, reason=NAMES)
def test_rules_consent_and_their_reasons_come_back_too(shop: Shop, user: str, item: str, reason: str) -> None:
    mark = str(next(NUMBERS))
    user, item = f"{user}{mark}", f"{item}{mark}"
    with shop.warehouse.transaction() as connection:
        shop.warehouse.append(connection, "shop.users", _user(user))
        shop.warehouse.append(connection, "shop.items", _item(item))
    counts = shop.counts()
    who = {"by": user, "reason": f"x{reason}", "now": NOW}
    rule = suppress(shop.warehouse, shop.settings, Rule(NOW, item_id=item), **who)
    set_consent(shop.warehouse, shop.settings, user, is_granted=False, **who)
    unsuppress(shop.warehouse, shop.settings, rule.suppression_id, **{**who, "now": NOW + timedelta(days=1)})
    [found] = [one for one in list_suppressions(shop.warehouse) if one.suppression_id == rule.suppression_id]
    assert (found.item_id, found.reason) == (item, f"x{reason}")
    [change] = list_consent_changes(shop.warehouse, user)
    assert (change.user_id, change.reason) == (user, f"x{reason}")
    assert shop.counts() == counts


@FEW
@given(name=NAMES)
def test_what_is_not_there_is_not_found_whatever_it_is_called(shop: Shop, name: str) -> None:
    before = shop.counts()
    with pytest.raises(RecsysError):
        suppress(shop.warehouse, shop.settings, Rule(NOW, item_id=f"{name}?"), by="ada", reason="r", now=NOW)
    with pytest.raises(NotFoundError):
        unsuppress(shop.warehouse, shop.settings, name, by="ada", reason="r", now=NOW)
    assert ledger.list_aliases(shop.warehouse, name) == []
    assert shop.counts() == before


@FEW
@given(name=NAMES)
def test_identifiers_and_literals_are_one_word(shop: Shop, name: str) -> None:
    # PostgreSQL cuts identifiers at 63 bytes, which is why none that we make is longer.
    short = name.encode()[:60].decode(errors="ignore") or "x"
    with shop.warehouse.transaction() as connection:
        escaped = f"select {string(name)} as {quoted(short)}".replace(":", "\\:").replace("\x00", "")
        [row] = connection.execute(text(escaped)).mappings()
        assert list(row.items()) == [(short, name)]


@pytest.mark.parametrize("name", ["at", "select", "Order", "two words", 'a"b', "a'b", "größe", "a; drop table x"])
def test_a_column_of_any_name_is_loaded(shop: Shop, name: str) -> None:
    table = f"shop.odd_{next(NUMBERS)}"
    with shop.warehouse.transaction() as connection:
        shop.warehouse.run(connection, f"create table {table} ({quoted(name)} integer)")
        assert shop.warehouse.append(connection, table, pa.table({name: [1, 2]})) == 2
    assert shop.warehouse.query(f"select * from {table}") == [{name: 1}, {name: 2}]


@FEW
@given(name=NAMES)
def test_schemas_and_namespaces_that_are_no_plain_word_are_refused(shop: Shop, name: str) -> None:
    for table in (name, f"shop.{name}", f"{name}.users"):
        if not all(part.isascii() and part.replace("_", "a").isalnum() and part.islower() for part in table.split(".")):
            with pytest.raises(ValueError, match=r"is not schema\.table"):
                split_table(table)
    if not (name.isascii() and name.replace("_", "a").isalnum() and name[0].isalpha() and name == name.lower()):
        with pytest.raises(SettingsError, match="namespace"):
            load_settings(namespace=name)


@pytest.mark.parametrize(
    "name",
    ["recsys\n", "shop.users\n", "a" * 64, "1shop", "Shop", "shop.users; drop", "", f"shop.{'a' * 64}"],
)
def test_neither_a_line_break_nor_length_slips_through(name: str) -> None:
    with pytest.raises(SettingsError):
        load_settings(namespace=name)
    with pytest.raises(ValueError, match=r"is not schema\.table"):
        split_table(name)


@pytest.mark.parametrize("namespace", ["recsys", "a" * 63])
def test_the_bucket_is_the_same_in_the_statement(shop: Shop, namespace: str) -> None:
    for user in HOSTILE:
        rows = shop.warehouse.query(
            f"select {bucket_sql(namespace, 'u')} as bucket from (select cast(:user as text) as u) as given",
            {"user": user},
        )
        assert rows[0]["bucket"] == bucket_of(namespace, user)


def _user(name: str) -> pa.Table:
    return pa.table(
        {
            "user_id": [name],
            "bucket": pa.array([bucket_of("recsys", name)], pa.int16()),
            "created_at": pa.array([NOW], TIME),
            "is_personalised": [True],
        }
    )


def _item(name: str) -> pa.Table:
    return pa.table(
        {
            "item_id": [name],
            "title": [name],
            "available": [True],
            "recommendable": [True],
            "created_at": pa.array([NOW], TIME),
        }
    )
