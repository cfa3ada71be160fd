from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from recsys.load import find_source, load_source
from recsys.settings import Settings
from tests.support.shops import COMPLETEJOURNEY, SAMPLE_CUSTOMERS
from tests.support.warehouse import make_settings


@pytest.fixture
def settings(warehouse_url: str, tmp_path: Path) -> Settings:
    """Settings of an empty warehouse, once in each engine."""
    return make_settings(tmp_path, warehouse_url=warehouse_url)


@pytest.fixture(scope="session")
def journey_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's files, with the promotions of four weeks only."""
    folder = tmp_path_factory.mktemp("journey")
    for path in find_source(COMPLETEJOURNEY).data_folder().glob("*.parquet"):
        target = folder / path.name
        if path.name != "promotions.parquet":
            target.symlink_to(path)
            continue
        with duckdb.connect() as connection:
            connection.execute(
                f"copy (select * from read_parquet('{path}') where week in (2, 30, 49, 53) and store_id % 10 = 7) "
                f"to '{target}' (format parquet)"
            )
    return folder


@pytest.fixture(scope="session")
def journey(tmp_path_factory: pytest.TempPathFactory, journey_files: Path) -> Settings:
    """A warehouse that holds some customers of the demo shop; tests read it only."""
    settings = make_settings(tmp_path_factory.mktemp("journey_home"))
    load_source(settings, COMPLETEJOURNEY, data_dir=journey_files, customers=SAMPLE_CUSTOMERS)
    return settings


@pytest.fixture
def make_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Make a source ``play`` with one CSV, and stand in the folder that holds it."""
    monkeypatch.chdir(tmp_path)

    def make(csv: str | bytes, **files: str) -> Path:
        folder = tmp_path / "sql" / "staging" / "play"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in {**PLAY, **files}.items():
            path = folder / name.replace("_toml", ".toml").replace("_sql", ".sql")
            path.write_text(text, encoding="utf-8")
        data = tmp_path / "data.csv"
        data.write_bytes(csv if isinstance(csv, bytes) else csv.encode())
        return data

    yield make


PLAY = {
    "source_toml": """
title = "a made source"
max_rejected_share = 0.4
[tables.sales]
file = "*.csv"
known_at = "sold"
[tables.sales.columns]
id = { from = "Id", type = "text", required = true }
who = { from = "Who", type = "text" }
what = { from = "What", type = "text", required = true }
many = { from = "Many", type = "integer" }
paid = { from = "Paid", type = "double" }
sold = { from = "Sold", type = "timestamp", required = true }
""",
    "users_sql": "select who as user_id, min(sold) as created_at, true as is_personalised "
    "from raw_play.sales where who is not null group by who",
    "items_sql": "select what as item_id, what as title, true as available, true as recommendable, "
    "min(sold) as created_at from raw_play.sales where what <> 'ghost' group by what",
    "events_sql": "select id as event_id, who as user_id, what as item_id, 'purchase' as event_type, "
    "sold as occurred_at, many as quantity from raw_play.sales",
}
