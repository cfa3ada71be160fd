"""Rules of the shop from a file to what customers see: proposed, told, kept apart, taken out."""

from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from recsys import pipeline, registry
from recsys.artifacts import local_path
from recsys.evaluation.shaped import shape_ranking
from recsys.knowledge.loading import load_rules
from recsys.scoring import load_recommender
from recsys.settings import CandidateSettings, PublicationSettings, Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import open_warehouse
from tests.support.chain import PLACEMENTS, all_published, list_rows, run
from tests.support.planted import NOW, parquet_rows, quick_settings, run_sql
from tests.support.warehouse import write_small_shop

BOUGHT, WITH, REPLACED, NEWER = "i001", "i049", "i003", "i039"
APART = {"i011", "i021"}
BOOSTED = "Brand 3"
RULES = f"""rule_id,kind,item_id,brand,other_item_id,weight,placement,season_from,season_to
with,goes_with,{BOUGHT},,{WITH},2,,,
newer,replaces,{NEWER},,{REPLACED},,,,
apart,never_together,i011,,i021,,,,
winter,boost,,{BOOSTED},,,discover,12-01,01-31
summer,never_together,i001,,i011,,,06-01,08-31
"""
GOES = "Goes with Product 1 of group 1, which you bought."
TAKES = "Takes the place of Product 3 of group 1, which you bought."
Lists = dict[str, dict[str, list[dict[str, Any]]]]


class Shop:
    """What was live before rules were loaded and after; the model in between is the same."""

    def __init__(self, folder: Path) -> None:
        candidates = CandidateSettings(
            generators=("popularity", "repurchase", "knowledge"), per_generator=14, knowledge_items=2
        )
        publication = PublicationSettings(min_item_purchases=3, items=20, spare=10)
        self.settings = quick_settings(folder, candidates=candidates, publication=publication)
        with open_warehouse(self.settings, purpose="test") as warehouse:
            write_small_shop(warehouse, users=100)
        run(self.settings)
        self.before = lists(self.settings)
        path = folder / "rules.csv"
        path.write_text(RULES, encoding="utf-8")
        with open_warehouse(self.settings, purpose="test") as warehouse:
            load_rules(warehouse, self.settings, path, append=False, created_by="anna", now=NOW)
        self.snapshot, self.state, self.files = serve(self.settings)
        self.after = lists(self.settings)
        self.bought: dict[str, set[str]] = defaultdict(set)
        self.touched: dict[str, set[str]] = defaultdict(set)
        snapshot = Snapshot.open(self.snapshot)
        for user, item, kept in parquet_rows(
            "select user_id, item_id, event_type = 'purchase' and undone_at is null from read_parquet($events) "
            "inner join read_parquet($users) using (user_idx) inner join read_parquet($items) using (item_idx)",
            events=snapshot.event_files(),
            users=str(snapshot.users),
            items=str(snapshot.items),
        ):
            self.touched[user].add(item)
            self.bought[user] |= {item} if kept else set()


def lists(settings: Settings) -> Lists:
    found: Lists = {}
    for placement, rows in all_published(settings).items():
        by_user: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            by_user[row["user_id"]].append(row)
        found[placement] = dict(by_user)
    return found


def serve(settings: Settings) -> tuple[str, str, list[str]]:
    """Run the stages of a publication; return the snapshot, the state and the lists."""
    snapshot = pipeline.take_snapshot(settings, as_of="latest", now=NOW)["snapshot"]
    fitted = pipeline.fit_state(settings, snapshot=snapshot, placements=PLACEMENTS)
    files = [pipeline.score_shard(settings, state=fitted["state"], **shard)["lists"] for shard in fitted["shards"]]
    for placement in PLACEMENTS:
        pipeline.publish_lists(
            settings, state=fitted["state"], lists=files, placement=placement, run_id="rules", now=NOW
        )
    return snapshot, fitted["state"], files


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return Shop(tmp_path_factory.mktemp("rules"))


def items(rows: list[dict[str, Any]]) -> set[str]:
    return {row["item_id"] for row in rows}


def test_buyers_see_what_goes_with_it_and_why(shop: Shop) -> None:
    asked = {
        user
        for user in shop.after["discover"]
        if not user.startswith(("*", "segment:")) and BOUGHT in shop.bought[user] and WITH not in shop.touched[user]
    }
    assert len(asked) > 5
    shown = {user: row["reason"] for user in asked for row in shop.after["discover"][user] if row["item_id"] == WITH}
    assert set(shown) == asked
    assert set(shown.values()) == {GOES}
    assert not asked & {user for user, rows in shop.before["discover"].items() if WITH in items(rows)}


def test_reasons_of_rules_are_true(shop: Shop) -> None:
    told = [row for by_user in shop.after.values() for rows in by_user.values() for row in rows]
    pairs = {GOES: (BOUGHT, WITH), TAKES: (REPLACED, NEWER)}
    for reason, (source, target) in pairs.items():
        said = [row for row in told if row["reason"] == reason]
        assert len(said) > 5
        assert all(row["item_id"] == target and source in shop.bought[row["user_id"]] for row in said)
        assert all("knowledge" in row["source"].split(",") for row in said)
    earlier = {row["reason"] for by_user in shop.before.values() for rows in by_user.values() for row in rows}
    assert not earlier & {GOES, TAKES, "In season now.", "Chosen by the shop."}


def test_a_boost_of_one_placement_is_told_there_and_only_with_its_season(shop: Shop) -> None:
    told = {
        placement: [row for rows in by_user.values() for row in rows if row["reason"] == "In season now."]
        for placement, by_user in shop.after.items()
    }
    brands = dict(
        parquet_rows("select item_id, brand from read_parquet($f)", f=str(Snapshot.open(shop.snapshot).items))
    )
    assert len(told["discover"]) > 5
    assert {brands[row["item_id"]] for row in told["discover"]} == {BOOSTED}
    assert told["for_you"] == []


def test_what_never_stands_together_does_not(shop: Shop) -> None:
    together = {
        when: [user for by_user in found.values() for user, rows in by_user.items() if items(rows) >= APART]
        for when, found in (("before", shop.before), ("after", shop.after))
    }
    assert len(together["before"]) > 5
    assert together["after"] == []
    for product in APART:
        assert any(product in items(rows) for by_user in shop.after.values() for rows in by_user.values())


def test_what_is_replaced_is_not_shown_not_even_to_visitors(shop: Shop) -> None:
    for placement in PLACEMENTS:
        assert any(REPLACED in items(rows) for rows in shop.before[placement].values())
        assert not any(REPLACED in items(rows) for rows in shop.after[placement].values())
    assert REPLACED in items(shop.before["for_you"]["*"])
    assert "*" in shop.after["for_you"]


def test_a_rule_out_of_season_counts_not(shop: Shop) -> None:
    both = {"i001", "i011"}
    assert any(items(rows) >= both for rows in shop.after["for_you"].values())


def test_shards_make_no_difference(shop: Shop) -> None:
    def rows(folders: list[str], placement: str) -> list[tuple[Any, ...]]:
        return list_rows([local_path(uri) / f"{placement}.parquet" for uri in folders])

    parts = [
        pipeline.score_shard(shop.settings, state=shop.state, bucket_from=low, bucket_to=high)["lists"]
        for low, high in ((0, 700), (700, 2500), (2500, 4096))
    ]
    for placement in PLACEMENTS:
        assert rows(parts, placement) == rows(shop.files, placement)


def test_the_registered_model_keeps_to_the_rules_of_a_snapshot_and_knows_none_of_its_own(shop: Shop) -> None:
    bundle = registry.download_bundle(shop.settings, "recsys_discover", "1")
    model = load_recommender(bundle)
    user = next(user for user, rows in shop.after["discover"].items() if GOES in {row["reason"] for row in rows})
    asked = {"subject_id": user, "placement": "discover", "k": 20}
    batch = [(row["item_id"], row["reason"]) for row in shop.after["discover"][user]]
    answer = model.recommend([{**asked, "events": shop.snapshot}])
    assert [(row["item_id"], row["reason"]) for row in answer] == batch
    events = f'[{{"item_id": "{BOUGHT}", "occurred_at": "2024-12-30T10:00"}}]'
    alone = model.recommend([{**asked, "events": events}])
    assert len(alone) > 5
    assert WITH not in items(alone)


@pytest.mark.parametrize(("age", "is_kept"), [(0, True), (28, False)])
def test_the_evaluation_keeps_to_the_rules_known_at_its_cut(shop: Shop, age: int, is_kept: bool) -> None:
    snapshot = Snapshot.open(shop.snapshot)
    index = dict(parquet_rows("select item_id, item_idx from read_parquet($f)", f=str(snapshot.items)))
    crowd = np.array([index[name] for name in (*sorted(APART), REPLACED, BOUGHT)], np.int32)
    users = np.repeat(np.arange(5, dtype=np.int32), len(crowd))
    candidates = (users, np.tile(crowd, 5), np.tile(np.arange(4.0), 5))
    at = snapshot.as_of - timedelta(days=age)
    found = shape_ranking(shop.settings, snapshot, "discover", at, candidates, 10).lists
    shown = {user: set(found.item_idx[found.user_idx == user].tolist()) for user in range(5)}
    expected = {index[BOUGHT], index[max(APART)]} if is_kept else set(crowd.tolist())
    assert shown == dict.fromkeys(range(5), expected)


def test_a_training_proposes_by_a_rule_only_at_cuts_after_it_was_known(shop: Shop) -> None:
    def proposed() -> dict[datetime, int]:
        source = pipeline.take_snapshot(shop.settings, as_of="latest", now=NOW)["snapshot"]
        made = pipeline.generate_candidates(shop.settings, snapshot=source, generator="knowledge")["candidates"]
        files = sorted(local_path(made).glob("*/repeats.parquet"))
        return {datetime.fromisoformat(path.parent.name): pq.read_metadata(path).num_rows for path in files}

    late = proposed()
    assert len(late) > 2
    assert set(late.values()) == {0}
    between = sorted(late)[1]
    run_sql(shop.settings, f"update shop.item_rules set known_at = timestamp '{between}' where rule_id = 'with'")
    assert {cut for cut, rows in proposed().items() if rows > 5} == {cut for cut in late if cut > between}
