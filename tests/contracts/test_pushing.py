"""Fake accounts that push one product through the whole chain: what the others' lists hold of it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from recsys.settings import Settings
from recsys.warehouse import open_warehouse
from tests.support.chain import all_published, run
from tests.support.planted import SCHEMAS, Event, Person, add_events, quick_settings
from tests.support.warehouse import item_id, write_small_shop

REAL, FAKE, ITEMS = 300, 3, 240
PUSHED = item_id(229)  # the least of its group, which is one of the least
BEGIN = datetime(2024, 12, 6)
DAY = timedelta(days=1)


def hammer(fake: int) -> Iterator[Event]:
    """Buy the product every three hours, and nothing else."""
    for k in range(200):
        yield Event(f"fake{fake}", PUSHED, BEGIN + timedelta(hours=3 * k + fake), name=f"f{fake}-{k}")


def mixed(fake: int) -> Iterator[Event]:
    """Buy the product every day beside three favourites of the shop, so that it looks as if it went with them."""
    for k in range(25):
        at, basket = BEGIN + k * DAY + timedelta(hours=fake), f"fb{fake}-{k}"
        yield Event(f"fake{fake}", PUSHED, at, name=f"f{fake}-{k}", basket=basket)
        for j in range(3):
            yield Event(f"fake{fake}", item_id(10 * ((k + j) % 11)), at, name=f"f{fake}-{k}-{j}", basket=basket)


@pytest.mark.parametrize("push", [mixed, pytest.param(hammer, marks=pytest.mark.soak)])
def test_one_per_cent_of_fake_accounts_get_at_most_one_per_cent_of_the_slots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, push: object
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    settings = quick_settings(tmp_path)
    write_pushed_shop(settings, push)
    ran = run(settings)
    assert ran.snapshot.manifest["rejected"].keys() <= {
        "a few customers together push one product",
        "customer repeats one product more than a person does",
    }
    assert sum(ran.snapshot.manifest["rejected"].values()) == FAKE * (25 if push is mixed else 200)
    for placement, rows in all_published(settings).items():
        shown = [row["item_id"] for row in rows if row["user_id"].startswith("u") and row["rank"] <= 10]
        assert len(shown) > 9 * REAL, placement
        assert shown.count(PUSHED) <= 0.01 * len(shown), placement
        assert PUSHED not in {row["item_id"] for row in rows if row["user_id"] == "*"}


def write_pushed_shop(settings: Settings, push: object) -> None:
    """Write the small shop, and the accounts beside its customers."""
    assert callable(push)
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=REAL, items=ITEMS)
        people = [Person(f"fake{n}", since=BEGIN - DAY).row() for n in range(FAKE)]
        with warehouse.transaction() as connection:
            warehouse.append(connection, "shop.users", pa.Table.from_pylist(people, SCHEMAS["users"]))
        add_events(warehouse, [event for n in range(FAKE) for event in push(n)])
