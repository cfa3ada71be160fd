"""Fake accounts that push one product through the whole chain: what the others' lists hold of it."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from recsys.settings import ContractSettings, Settings
from recsys.warehouse import open_warehouse
from tests.support.chain import Ran, all_published, run
from tests.support.planted import SCHEMAS, Event, Person, add_events, quick_settings
from tests.support.warehouse import GROUP, item_id, write_small_shop

REAL, FAKE, ITEMS = 300, 3, 100
PUSHED = item_id(89)  # the least of its group, which is one of the least
FAVOURITES = [item_id(n) for n in range(86) if n % GROUP < 3]
BEGIN = datetime(2024, 12, 6)
DAY = timedelta(days=1)
RULES = {
    "events_repeats": "customer repeats one product more than a person does",
    "events_pushed": "a few customers together push one product",
}
Push = Callable[[int], Iterator[Event]]


def hammer(fake: int) -> Iterator[Event]:
    """Buy the product every three hours, and nothing else."""
    for k in range(200):
        yield Event(f"fake{fake}", PUSHED, BEGIN + timedelta(hours=3 * k + fake), name=f"f{fake}-{k}")


def pair(fake: int) -> Iterator[Event]:
    """Buy the product with each of the shop's favourites, in a basket of their own, day for day."""
    for k in range(25):
        for j, favourite in enumerate(FAVOURITES):
            at, name = BEGIN + k * DAY + timedelta(minutes=50 * j + fake), f"f{fake}-{k}-{j}"
            yield Event(f"fake{fake}", PUSHED, at, name=name, basket=name)
            yield Event(f"fake{fake}", favourite, at, name=f"{name}-f", basket=name)


def pushed(folder: Path, push: Push, **contracts: object) -> Ran:
    """Run the chain on a shop whose lists are made of what is bought together, and which has the accounts."""
    settings = quick_settings(folder, contracts=ContractSettings(**contracts))  # type: ignore[arg-type]
    together = {"generators": ("popularity", "repurchase", "co_purchase")}
    settings = settings.model_copy(update={"candidates": settings.candidates.model_copy(update=together)})
    write_pushed_shop(settings, push)
    return run(settings, placements=["discover"])


def share(ran: Ran) -> float:
    """Return the pushed product's share of the places in the lists of real customers."""
    rows = all_published(ran.settings)["discover"]
    shown = [row["item_id"] for row in rows if row["user_id"].startswith("u") and row["rank"] <= 10]
    assert len(shown) > 9 * REAL
    assert PUSHED not in {row["item_id"] for row in rows if row["user_id"] == "*"}
    return shown.count(PUSHED) / len(shown)


@pytest.mark.parametrize("push", [pair, pytest.param(hammer, marks=pytest.mark.soak)])
def test_one_per_cent_of_fake_accounts_get_at_most_one_per_cent_of_the_slots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, push: Push
) -> None:
    """Without the contracts the pairs win them more than that."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    defended = pushed(tmp_path / "on", push)
    rejected = defended.snapshot.manifest["rejected"]
    assert rejected.keys() <= set(RULES.values())
    assert sum(rejected.values()) == sum(event.item == PUSHED for fake in range(FAKE) for event in push(fake))
    assert share(defended) <= 0.01
    if push is pair:
        open_to_all = pushed(tmp_path / "off", push, severities=dict.fromkeys(RULES, "off"))
        assert open_to_all.snapshot.manifest["rejected"] == {}
        assert share(open_to_all) > 0.015


def write_pushed_shop(settings: Settings, push: Push) -> None:
    """Write the small shop, and the accounts beside its customers."""
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=REAL, items=ITEMS)
        people = [Person(f"fake{n}", since=BEGIN - DAY).row() for n in range(FAKE)]
        with warehouse.transaction() as connection:
            warehouse.append(connection, "shop.users", pa.Table.from_pylist(people, SCHEMAS["users"]))
        add_events(warehouse, [event for n in range(FAKE) for event in push(n)])
