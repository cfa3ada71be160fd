"""No leakage in time: what is planted in the future changes nothing that is computed as of a moment."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recsys.artifacts import local_path
from recsys.candidates import GENERATORS, make_generator, needs_of, propose
from recsys.compute import engine
from recsys.cuts import lay_cut
from recsys.features import TABLES, compute_tables
from recsys.features.tables import make_item_groups
from recsys.history import read_history
from recsys.settings import Settings
from recsys.snapshot import Snapshot, take_snapshot
from recsys.warehouse import open_warehouse
from tests.support.chain import PLACEMENTS, stages_to_rankers
from tests.support.planted import (
    NOW,
    SCHEMAS,
    Event,
    Person,
    Version,
    add_events,
    quick_settings,
    run_sql,
)
from tests.support.warehouse import item_id, user_id, write_small_shop

USERS, ITEMS, SPAN = 50, 50, 200
END = datetime(2025, 1, 1)
AS_OF = END - timedelta(days=40)
CUT = AS_OF - timedelta(days=30)
PLANTED = ("events", "items", "changes", "users", "promotions", "rules")
MARK = "planted"  # begins the id of every planted row
FEW = hypothesis_settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # a failure takes minutes to shrink, and says what differs as it is
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    quick = quick_settings(tmp_path_factory.mktemp("future"))
    candidates = quick.candidates.model_copy(update={"newcomer_lines": 1000})  # so that everybody is a newcomer
    settings = quick.model_copy(update={"candidates": candidates})
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=USERS, items=ITEMS, days=SPAN)
        rules = [rule(f"early{n}", n, CUT - timedelta(days=n)) for n in range(1, 13)]
        with warehouse.transaction() as connection:
            warehouse.append(connection, "shop.item_rules", pa.Table.from_pylist(rules))
    return settings


def moments(low: datetime, high: datetime) -> st.SearchStrategy[datetime]:
    return st.integers(0, int((high - low).total_seconds()) - 1).map(lambda n: low + timedelta(seconds=n))


@st.composite
def future_events(draw: st.DrawFn, since: datetime, until: datetime) -> Event:
    """Draw an event that occurred, or of which the shop first knew, in [since, until)."""
    known = draw(moments(since, until))
    late = draw(st.booleans())
    occurred = draw(moments(END - timedelta(days=SPAN - 5), since)) if late else known
    return Event(
        draw(st.one_of(st.none(), st.integers(0, USERS - 1).map(user_id))),
        draw(st.integers(0, ITEMS - 1).map(item_id)),
        occurred,
        kind=draw(st.sampled_from(["purchase", "purchase", "return", "return", "view", "dismiss"])),
        recorded=known if late else draw(st.one_of(st.none(), st.just(known))),
        quantity=draw(st.sampled_from([1.0, 40.0])),
        value=500.0,
    )


@st.composite
def futures(draw: st.DrawFn, since: datetime, until: datetime) -> dict[str, list[Any]]:
    """Draw what becomes true in [since, until): events, products, changes of products, customers, promotions, rules."""
    events = draw(st.lists(future_events(since, until), min_size=20, max_size=60))
    born = draw(st.lists(moments(since, until), max_size=4))
    fresh = [
        Version(f"{MARK}{n}", at, "New", draw(st.sampled_from(["AAA > New", "Zzz > New"])), "AAA")
        for n, at in enumerate(born)
    ]
    events += [Event(user_id(n), version.item, version.since + timedelta(0)) for n, version in enumerate(fresh)]
    return {
        "events": [Event(**{**event.__dict__, "name": f"{MARK}{n}"}) for n, event in enumerate(events)],
        "items": fresh,
        "changes": [
            Version(item_id(n), draw(moments(since, until)), f"Changed {n}", "AAA > Changed", "AAA", False)
            for n in draw(st.lists(st.integers(0, ITEMS - 1), max_size=5, unique=True))
        ],
        "users": [Person(f"{MARK}{n}", at) for n, at in enumerate(draw(st.lists(moments(since, until), max_size=3)))],
        "promotions": draw(st.lists(moments(since, until), max_size=5)),
        "rules": draw(st.lists(moments(since, until), max_size=5)),
    }


def rule(rule_id: str, number: int, known_at: datetime, weight: float = 1.0) -> dict[str, Any]:
    """Return a row of ``shop.item_rules``, of each kind in turn."""
    kind = ("goes_with", "boost", "replaces")[number % 3]
    pair = {"other_item_id": item_id(number + 1)} if kind != "boost" else {"other_item_id": None}
    named = {"rule_id": rule_id, "kind": kind, "item_id": item_id(number), **pair}
    return {**named, "weight": weight, "created_by": "test", "known_at": known_at}


def plant(settings: Settings, future: dict[str, list[Any]]) -> None:
    with open_warehouse(settings, purpose="test") as warehouse:
        with warehouse.transaction() as connection:
            connection.exec_driver_sql("create table if not exists kept_items as select * from shop.items")
            versions = [{**one.row(), "valid_from": one.since} for one in (*future["items"], *future["changes"])]
            items = [{**one.row(), "created_at": one.since} for one in future["items"]]
            promotions = [
                {
                    "promotion_id": f"{MARK}{n}",
                    "item_id": item_id(n),
                    "kind": "display",
                    "starts_at": at - timedelta(days=90),
                    "ends_at": at + timedelta(days=7),
                    "known_at": at,
                }
                for n, at in enumerate(future["promotions"])
            ]
            rules = [rule(f"{MARK}{n}", n, at, weight=50.0) for n, at in enumerate(future["rules"])]
            tables = {"item_versions": versions, "items": items, "promotions": promotions, "item_rules": rules}
            for table, rows in tables.items():
                if rows:
                    warehouse.append(connection, f"shop.{table}", pa.Table.from_pylist(rows))
            people = [person.row() for person in future["users"]]
            if people:
                warehouse.append(connection, "shop.users", pa.Table.from_pylist(people, SCHEMAS["users"]))
            for change in future["changes"]:
                connection.exec_driver_sql(
                    f"update shop.items set title = '{change.title}', category = '{change.category}', "
                    f"brand = '{change.brand}', recommendable = false where item_id = '{change.item}'"
                )
        add_events(warehouse, future["events"])


def uproot(settings: Settings) -> None:
    """Bring the shop back to what it was."""
    run_sql(
        settings,
        f"delete from shop.events where event_id like '{MARK}%'",
        f"delete from shop.users where user_id like '{MARK}%'",
        f"delete from shop.item_rules where rule_id like '{MARK}%'",
        f"delete from shop.promotions where promotion_id like '{MARK}%'",
        "delete from shop.item_versions where title in ('New') or title like 'Changed%'",
        "delete from shop.items",
        "insert into shop.items select * from kept_items",
        "drop table kept_items",
    )


def snapshot_id(settings: Settings, as_of: datetime) -> str:
    return take_snapshot(settings, as_of=as_of.isoformat(), now=NOW).path.name


@pytest.fixture(scope="module")
def clean_id(shop: Settings) -> str:
    return snapshot_id(shop, AS_OF)


@FEW
@given(future=futures(AS_OF, END + timedelta(days=300)))
def test_the_future_of_the_warehouse_changes_no_snapshot(
    shop: Settings, clean_id: str, future: dict[str, list[Any]]
) -> None:
    """Every later stage reads the snapshot alone, which is named by its content: no stage sees a difference."""
    plant(shop, future)
    try:
        assert snapshot_id(shop, AS_OF) == clean_id
    finally:
        uproot(shop)


def test_the_plant_is_seen_once_its_time_has_come(shop: Settings, clean_id: str) -> None:
    """The property above would hold as well if what is planted were never read."""
    seen = []
    for change in PLANTED:
        future: dict[str, list[Any]] = {name: [] for name in PLANTED}
        at = AS_OF - timedelta(seconds=1)
        future[change] = {
            "events": [Event(user_id(1), item_id(1), at, name=MARK)],
            "items": [Version(f"{MARK}1", at, "New")],
            "changes": [Version(item_id(2), at, "Changed")],
            "users": [Person(f"{MARK}1", at)],
            "promotions": [at],
            "rules": [at],
        }[change]
        plant(shop, future)
        try:
            seen.append(snapshot_id(shop, AS_OF))
        finally:
            uproot(shop)
    assert len({clean_id, *seen}) == 1 + len(PLANTED)
    assert snapshot_id(shop, AS_OF) == clean_id


NAMED = {
    "user_idx": "users.user_id",
    "user_market": "features.user_market",
    "item_idx": "items.item_id",
    "category_no": "(select any_value(category) from items_at_cut join item_groups using (item_idx) "
    "where item_groups.category_no = features.category_no)",
    "family_no": "(select any_value(split_part(category, ' > ', 1) || split_part(category, ' > ', 2)) "
    "from items_at_cut join item_groups using (item_idx) where item_groups.family_no = features.family_no)",
    "brand_no": "(select any_value(brand) from items_at_cut join item_groups using (item_idx) "
    "where item_groups.brand_no = features.brand_no)",
}


def known_at(settings: Settings, as_of: datetime, folder: Path) -> dict[str, list[str]]:
    """Return all features and proposals at the cut, by names, from a snapshot as of a later moment."""
    snapshot = Snapshot.open(take_snapshot(settings, as_of=as_of.isoformat(), now=NOW).uri)
    found: dict[str, list[str]] = {}
    folder.mkdir(exist_ok=True)
    with engine(settings) as connection:
        snapshot.attach(connection)
        lay_cut(connection, CUT)
        compute_tables(connection, folder)
        make_item_groups(connection)
        for table, keys in TABLES.items():
            names = ", ".join(f"{NAMED[key]} as {key}_name" for key in keys)
            joins = "".join(
                f" join {side} using ({key})"
                for key, side in (("user_idx", "users"), ("item_idx", "items"))
                if key in keys
            )
            query = (
                f"select to_json(r)::varchar from (select {names}, features.* exclude ({', '.join(keys)}) "
                f"from '{folder / table}.parquet' features{joins}) r"
            )
            found[table] = sorted(row for (row,) in connection.execute(query).fetchall())
        history = read_history(connection, settings, CUT, snapshot.user_count, needs=needs_of(GENERATORS))
        users = dict(connection.execute("select user_idx, user_id from users order by 1").fetchall())
        things = dict(connection.execute("select item_idx, item_id from items").fetchall())
    before = [number for number, name in users.items() if not name.startswith(MARK)]
    for name in GENERATORS:
        generator = make_generator(name)
        generator.fit(history, settings)
        for repeats in (True, False):
            rows: list[str] = []
            for block in propose(generator, history, pa.array(before).to_numpy().astype("int32"), 20, repeats=repeats):
                columns = (block.user_idx.tolist(), block.item_idx.tolist(), block.score.tolist(), block.rank.tolist())
                rows += [json.dumps([users[u], things[i], s, r]) for u, i, s, r in zip(*columns, strict=True)]
            found[f"{name} {repeats}"] = rows
    return found


@pytest.fixture(scope="module")
def then(shop: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What was known at the cut, from a snapshot as of the cut itself."""
    found = known_at(shop, CUT, tmp_path_factory.mktemp("then"))
    empty = {name for name in found if not found[name]}
    assert empty == {"repurchase False", "due False", "mf True", "mf False"}, "the shop has no ratings"
    return found


@FEW
@given(future=futures(CUT, AS_OF))
def test_what_a_cut_sees_does_not_depend_on_what_came_after_it(
    shop: Settings, then: dict[str, list[str]], tmp_path: Path, future: dict[str, list[Any]]
) -> None:
    """Features and proposals at a cut are the same from a snapshot of that day and from a later one."""
    plant(shop, future)
    try:
        found = known_at(shop, AS_OF, tmp_path / "tables")
    finally:
        uproot(shop)
    for name, rows in then.items():
        assert found[name] == rows, name


def test_new_customers_do_not_change_what_a_cut_sees(
    shop: Settings, then: dict[str, list[str]], tmp_path: Path
) -> None:
    future: dict[str, list[Any]] = {name: [] for name in PLANTED}
    future["users"] = [Person(f"{MARK}{n}", CUT + timedelta(days=1)) for n in range(9)]
    future["events"] = [Event(f"{MARK}{n}", item_id(n), CUT + timedelta(days=2), name=f"{MARK}{n}") for n in range(9)]
    plant(shop, future)
    try:
        found = known_at(shop, AS_OF, tmp_path / "tables")
    finally:
        uproot(shop)
    for name, rows in then.items():
        assert found[name] == rows, name


def test_nothing_of_the_hold_out_reaches_the_twin(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=120, items=60, days=200)
    as_of = END - timedelta(days=10)
    holdout = as_of - timedelta(days=settings.ranker.horizon_days)
    before = rankers(settings, as_of)
    in_holdout = f"occurred_at >= timestamp '{holdout}' and occurred_at < timestamp '{as_of}'"
    run_sql(
        settings,
        f"delete from shop.events where {in_holdout} and hash(event_id) % 2 = 0",
        "update shop.events set item_id = 'i003', quantity = 9, value = 1 "
        f"where {in_holdout} and hash(event_id) % 3 = 0",
        "insert into shop.events (event_id, user_id, bucket, item_id, event_type, occurred_at, quantity, basket_id) "
        f"select event_id || '-back', user_id, bucket, item_id, 'return', timestamp '{holdout}', 1, basket_id "
        f"from shop.events where event_type = 'purchase' and occurred_at < timestamp '{holdout}' "
        "and occurred_at >= timestamp '2024-10-01' and user_id is not null and hash(event_id) % 4 = 0",
    )
    after = rankers(settings, as_of)
    for placement in PLACEMENTS:
        assert after[placement, "twin"] == before[placement, "twin"]
        assert after[placement, "release"] != before[placement, "release"]


def rankers(settings: Settings, as_of: datetime) -> dict[tuple[str, str], str]:
    made = stages_to_rankers(settings, as_of.isoformat())
    folder = local_path(made["rankers"])
    return {
        (placement, kind): (folder / placement / kind / "ranker.txt").read_text()
        for placement in PLACEMENTS
        for kind in ("twin", "release")
    }
