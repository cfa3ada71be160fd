"""A shop with a sensitive category, from events to lists: who sees its products, and that no reason names one."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from recsys.artifacts import local_path
from recsys.ranking import Ranker
from recsys.scoring import FittedState, Recipe, fit_state, score_shard
from recsys.scoring.finishing import default_lists
from recsys.scoring.shard import Scorer, Shard
from recsys.settings import PlacementSettings, Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import open_warehouse
from tests.support.chain import PLACEMENTS, stages_to_rankers
from tests.support.planted import parquet_rows, quick_settings, run_sql
from tests.support.warehouse import write_small_shop

WINE = "Drinks > Wine > Red"
Row = dict[str, Any]


class Shop:
    """Lists by setting and placement, and what is true."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = quick_settings(folder)
        with open_warehouse(self.settings, purpose="test") as warehouse:
            write_small_shop(warehouse, users=90)
        for table in ("items", "item_versions"):
            run_sql(
                self.settings,
                f"update shop.{table} set category = '{WINE}', title = 'Wine ' || item_id "
                "where item_id between 'i001' and 'i010'",
            )
        self.made = stages_to_rankers(self.settings)
        self.snapshot = Snapshot.open(self.made["snapshot"])
        rows = parquet_rows(
            "select distinct user_id, item_id, undone_at is null from read_parquet($events) inner join "
            "read_parquet($users) using (user_idx) inner join read_parquet($items) using (item_idx) "
            "where event_type = 'purchase'",
            events=self.snapshot.event_files(),
            users=str(self.snapshot.users),
            items=str(self.snapshot.items),
        )
        self.drinkers = {user for user, item, kept in rows if kept and item <= "i010"}
        self.everyone = {user for user, *_ in rows}

    def with_rule(self, rule: str) -> Settings:
        rules = {
            name: PlacementSettings.model_validate({"repeats": name == "for_you", "shaping": {"sensitive": rule}})
            for name in PLACEMENTS
        }
        return self.settings.model_copy(update={"placements": rules})

    def state(self, settings: Settings) -> FittedState:
        key = Recipe.of(settings, "for_you").state_key
        return FittedState(fit_state(settings, self.snapshot, key).path)

    def lists(self, rule: str) -> dict[str, list[Row]]:
        settings, target = self.with_rule(rule), self.folder / rule
        target.mkdir(exist_ok=True)
        scorers = [
            Scorer(
                settings, name, Ranker.load(local_path(self.made["rankers"]) / name / "release"), self.state(settings)
            )
            for name in PLACEMENTS
        ]
        score_shard(self.snapshot, Shard(0, 4096), scorers, target)
        return {name: pq.read_table(target / f"{name}.parquet").to_pylist() for name in PLACEMENTS}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("wine"))


@pytest.fixture(scope="module")
def lists(shop: Shop) -> dict[str, dict[str, list[Row]]]:
    return {rule: shop.lists(rule) for rule in ("show", "only_if_bought")}


def wines(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["item_id"] <= "i010"]


def test_only_who_bought_in_the_category_sees_it(shop: Shop, lists: dict[str, dict[str, list[Row]]]) -> None:
    assert 10 < len(shop.drinkers) < len(shop.everyone) - 10
    shown = {row["subject_id"] for placement in PLACEMENTS for row in wines(lists["show"][placement])}
    assert shown - shop.drinkers, "without the rule others see it as well"
    for placement in PLACEMENTS:
        limited = {row["subject_id"] for row in wines(lists["only_if_bought"][placement])}
        assert limited
        assert limited <= shop.drinkers


def test_no_reason_names_it_or_tells_of_it(lists: dict[str, dict[str, list[Row]]]) -> None:
    for by_placement in lists.values():
        rows = [row for found in by_placement.values() for row in found]
        assert {row["reason"] for row in wines(rows)} == {"This is part of our range."}
        assert not [row for row in rows if "Wine" in row["reason"]]
        told = Counter(row["reason"].split()[0] for row in rows)
        assert told["You"] > 100
        assert told["Often"] > 20


def test_lists_stay_full(shop: Shop, lists: dict[str, dict[str, list[Row]]]) -> None:
    for by_placement in lists.values():
        for rows in by_placement.values():
            assert set(Counter(row["subject_id"] for row in rows).values()) == {20}


@pytest.mark.parametrize(("rule", "is_there"), [("show", True), ("only_if_bought", False), ("hide", False)])
def test_visitors_see_it_only_if_everyone_does(shop: Shop, rule: str, is_there: bool) -> None:
    settings = shop.with_rule(rule)
    rows = default_lists(settings, "for_you", shop.state(settings)).to_pylist()
    assert bool(wines(rows)) == is_there
    assert {row["rank"] for row in rows} == set(range(1, 21))
