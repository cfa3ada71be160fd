"""The made shop of the benchmark at scale: what its numbers must be like, whatever its size."""

from pathlib import Path

import duckdb
import pytest

from recsys.artifacts import content_hash
from recsys.buckets import bucket_of
from recsys.settings import Settings
from recsys.warehouse import open_warehouse
from tests.benchmarks.made_shop import CHUNK, DAYS, START, MadeShop, load_made_shop
from tests.support.warehouse import make_settings

USERS = 3000


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return make_settings(tmp_path_factory.mktemp("made shop"))


@pytest.fixture(scope="module")
def files(settings: Settings) -> Path:
    folder = settings.resolved_home / "made"
    folder.mkdir(parents=True)
    MadeShop(USERS).write(folder, settings)
    return folder


@pytest.fixture
def shop(files: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for name in ("users", "items", "events"):
        connection.read_parquet(str(files / f"{name}-*.parquet")).create_view(name)
    return connection


def one(shop: duckdb.DuckDBPyConnection, sql: str) -> tuple[object, ...]:
    return shop.execute(sql).fetchall()[0]


def test_the_size_is_as_asked(shop: duckdb.DuckDBPyConnection) -> None:
    assert one(shop, "select count(*), count(distinct user_id) from users") == (USERS, USERS)
    assert one(shop, "select count(*), count(distinct item_id) from items") == (USERS // 10, USERS // 10)
    counts = "count(distinct (user_id, item_id)), count(*), count(distinct event_id)"
    pairs, events, unique = (int(str(n)) / USERS for n in one(shop, f"select {counts} from events"))
    assert 15 < pairs < 30
    assert 35 < events < 70
    assert events == unique


def test_every_kind_of_event_is_there_and_valid(shop: duckdb.DuckDBPyConnection) -> None:
    kinds = dict(shop.execute("select event_type, count(*) from events group by event_type").fetchall())
    assert set(kinds) == {"view", "purchase", "rating"}
    assert min(kinds.values()) > USERS
    wrong = "quantity < 1 or price <= 0 or abs(value - price * quantity) > 1e-6 or basket_id is null or market is null"
    assert one(shop, f"select count(*) from events where event_type = 'purchase' and ({wrong})") == (0,)
    assert one(shop, "select min(value), max(value) from events where event_type = 'rating'") == (1.0, 5.0)


def test_nothing_happens_too_early_or_too_late(shop: duckdb.DuckDBPyConnection) -> None:
    early = (
        "select count(*) from events join users using (user_id) join items using (item_id) "
        "where occurred_at < greatest(users.created_at, items.created_at)"
    )
    assert one(shop, early) == (0,)
    limits = f"select count(*) from events where occurred_at < '{START}' or occurred_at >= '{START}'::timestamp + "
    assert one(shop, limits + f"to_days({DAYS})") == (0,)


def test_customers_buy_again_and_few_items_are_bought_by_many(shop: duckdb.DuckDBPyConnection) -> None:
    bought = "select user_id, item_id, count(*) as n from events where event_type = 'purchase' group by all"
    share, most = one(shop, f"select avg((n > 1)::integer), max(n) from ({bought})")
    assert 0.1 < float(str(share)) < 0.4
    assert int(str(most)) > 8
    # The tenth of the items that most turn to has more than twice its share.
    counts = "select count(distinct user_id) as n from events group by item_id"
    parts = f"select n, ntile(10) over (order by n desc) as tenth from ({counts})"
    assert float(str(one(shop, f"select sum(n) filter (tenth = 1) / sum(n) from ({parts})")[0])) > 0.2


def test_activity_is_uneven(shop: duckdb.DuckDBPyConnection) -> None:
    counts = "select user_id, count(*) as n from events group by user_id"
    median, mean = one(shop, f"select median(n), avg(n) from ({counts})")
    assert float(str(mean)) > 1.2 * float(str(median))


def test_buckets_are_those_of_the_platform(shop: duckdb.DuckDBPyConnection) -> None:
    rows = shop.execute("select user_id, bucket from users order by user_id limit 50").fetchall()
    assert [bucket for _, bucket in rows] == [bucket_of("recsys", name) for name, _ in rows]
    differ = "select count(*) from events join users using (user_id) where events.bucket <> users.bucket"
    assert one(shop, differ) == (0,)


def test_the_same_seed_gives_the_same_bytes(settings: Settings, files: Path, tmp_path: Path) -> None:
    MadeShop(USERS).write(tmp_path, settings.model_copy(update={"threads": 1}))
    names = sorted(path.name for path in files.iterdir())
    assert [content_hash(tmp_path / name) for name in names] == [content_hash(files / name) for name in names]


def test_another_seed_gives_another_shop(settings: Settings, files: Path, tmp_path: Path) -> None:
    MadeShop(USERS, seed=8).write(tmp_path, settings)
    assert content_hash(tmp_path / "events-000.parquet") != content_hash(files / "events-000.parquet")


def test_chunks_are_joined_without_a_seam(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.made_shop.CHUNK", 150)
    rows = MadeShop(400).write(tmp_path, settings)
    assert CHUNK > 400
    found = duckdb.sql(
        f"select count(*), count(distinct event_id), count(distinct user_id) from '{tmp_path}/events-*.parquet'"
    ).fetchall()[0]
    assert found[:2] == (rows["events"], rows["events"])
    assert 395 <= found[2] <= 400


def test_it_is_loaded_as_what_it_is_and_only_once(settings: Settings, files: Path) -> None:
    rows = load_made_shop(settings, files)
    with open_warehouse(settings, purpose="a test") as warehouse:
        assert warehouse.query("select source from shop.sources") == [{"source": "made"}]
        assert warehouse.query("select count(*) as n from shop.events") == [{"n": rows["events"]}]
        assert warehouse.query("select count(*) as n from shop.items where title not like 'Made product %'") == [
            {"n": 0}
        ]
    with pytest.raises(ValueError, match="holds a shop"):
        load_made_shop(settings, files)
