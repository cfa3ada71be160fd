"""The same shop gives the same published lists, whichever engine the warehouse is."""

import shutil
from pathlib import Path

import pytest

from recsys.load import load_source
from recsys.settings import Settings
from tests.pipeline.test_refreshing import buy, publish
from tests.support.chain import PLACEMENTS, Ran, all_published, run, write_chain_shop
from tests.support.engines import POSTGRESQL
from tests.support.planted import quick_settings
from tests.support.postgres import make_database
from tests.support.shops import COMPLETEJOURNEY
from tests.support.warehouse import make_settings

Lists = dict[str, list[dict[str, object]]]


@pytest.fixture
def warehouse_engine() -> str:
    """The one that is laid beside the embedded one."""
    return POSTGRESQL


def test_a_small_shop(ran: Ran, warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    settings = quick_settings(tmp_path, warehouse_url=warehouse_url)
    write_chain_shop(settings)
    there = run(settings)
    assert there.snapshot.snapshot_id == ran.snapshot.snapshot_id
    require_same(all_published(settings), all_published(ran.settings))

    home = tmp_path / "embedded"
    shutil.copytree(ran.settings.resolved_home, home)
    here = ran.settings.model_copy(update={"home": home})
    require_same(refreshed(settings), refreshed(here))


def require_same(lists: Lists, expected: Lists) -> None:
    for placement in PLACEMENTS:
        assert expected[placement]
        assert lists[placement] == expected[placement]


def refreshed(settings: Settings) -> Lists:
    """Let some customers buy, make and publish their lists alone, and return all lists."""
    settings = settings.model_copy(update={"whole_every_days": 7})
    buy(settings)
    done = publish(settings)
    assert {name: bool(result["base"]) for name, result in done.items()} == dict.fromkeys(PLACEMENTS, True)
    return all_published(settings)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_the_demo(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load and main job of the demo shop, without its promotions."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    here = make_settings(tmp_path / "here", memory_limit_gb=2.0)
    there = make_settings(tmp_path / "there", memory_limit_gb=2.0, warehouse_url=make_database(postgres_url, "demo"))
    require_same(published_demo(there), published_demo(here))


def published_demo(settings: Settings) -> Lists:
    load_source(settings, COMPLETEJOURNEY, promotions=False)
    run(settings)
    return all_published(settings)
