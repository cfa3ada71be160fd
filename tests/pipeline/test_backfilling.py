"""Past days again: by the champion of then, or trained as of then; in the archive, and nowhere else."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from recsys import ledger, pipeline, registry
from recsys.artifacts import local_path
from recsys.errors import AlteredError, ContractError, SettingsError
from recsys.publication import find_publication, live_publication
from recsys.publication.live_files import read_manifest
from recsys.settings import Settings
from recsys.warehouse import open_warehouse
from tests.support.backfills import KEPT, MOVED, PLACEMENTS, backfill, lists_of, registered, stored
from tests.support.chain import run, write_chain_shop
from tests.support.planted import quick_settings

MODEL = "recsys_for_you"
BEFORE = "2024-11-20T05:00"  # nothing was approved yet
FIRST = "2024-12-01T05:00"
SECOND = "2024-12-08T05:00"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def published(settings: Settings, as_of: str) -> dict[str, str]:
    """Publish a day as it was done then; return the publications by placement."""
    now = moment(as_of)
    snapshot = pipeline.take_snapshot(settings, as_of=as_of, now=now)["snapshot"]
    fitted = pipeline.fit_state(settings, snapshot=snapshot, placements=PLACEMENTS)
    lists = [pipeline.score_shard(settings, state=fitted["state"], **one)["lists"] for one in fitted["shards"]]
    made = {"state": fitted["state"], "lists": lists, "run_id": f"run of {as_of}", "now": now}
    return {
        name: pipeline.publish_lists(settings, placement=name, **made)["publication_id"]
        for name in fitted["placements"]
    }


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Version 1 was approved on 1 December and published again on the 8th; version 2 serves for_you since the 15th."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        made = quick_settings(tmp_path_factory.mktemp("backfill"))
        write_chain_shop(made)
        run(made, now=moment(FIRST), as_of=FIRST)
        published(made, SECOND)
        with registry.connected(made) as client:
            first = client.get_model_version(MODEL, "1")
            client.create_model_version(MODEL, source=first.source, run_id=first.run_id, tags=first.tags)
        named: dict[str, Any] = {"placement": "for_you", "model_name": MODEL, "model_version": "2"}
        how: dict[str, Any] = {"verdict": ledger.APPROVED, "decided_by": "ada", "channel": "cli", "reason": "r"}
        with open_warehouse(made, purpose="test") as warehouse:
            ledger.record_decision(warehouse, **named, **how, now=datetime(2024, 12, 15))
        yield made


def live_of(settings: Settings) -> dict[str, str]:
    with open_warehouse(settings, purpose="test") as warehouse:
        found = {name: live_publication(warehouse, name) for name in PLACEMENTS}
    return {name: one.publication_id for name, one in found.items() if one is not None}


def test_a_day_is_what_its_champion_published_then(settings: Settings) -> None:
    live = live_of(settings)
    before = (stored(settings, *MOVED), registered(settings), read_manifest(settings.resolved_home / "live"))
    done = backfill(settings, SECOND)
    assert {name: one["model_version"] for name, one in done.items()} == {"for_you": "1", "discover": "1"}
    for placement in PLACEMENTS:
        again, really = lists_of(settings, done[placement]["publication_id"]), lists_of(settings, live[placement])
        assert len(again) > 100
        assert again == really
    with open_warehouse(settings, purpose="test") as warehouse:
        kept = find_publication(warehouse, done["for_you"]["publication_id"])
        decided = ledger.champion_at(warehouse, "for_you", moment(SECOND))
    assert kept is not None and decided is not None
    assert (kept.kind, kept.status, kept.live_at) == ("archive", "archived", None)
    assert (kept.as_of, kept.decision_id, kept.model_name) == (moment(SECOND), decided.decision_id, MODEL)
    assert live_of(settings) == live
    assert (stored(settings, *MOVED), registered(settings), read_manifest(settings.resolved_home / "live")) == before


def test_before_any_champion_it_is_trained_as_of_then_and_known_to_nobody(settings: Settings) -> None:
    before = (stored(settings, *MOVED), registered(settings), read_manifest(settings.resolved_home / "live"))
    done = backfill(settings, BEFORE)
    assert (stored(settings, *MOVED), registered(settings), read_manifest(settings.resolved_home / "live")) == before
    for placement, one in done.items():
        assert one["model_version"].startswith("20241120T050000-")
        folder = settings.resolved_home / "backfills" / f"{placement}-{one['model_version']}"
        assert len(list(folder.glob("bundle-*/recipe.json"))) == 1
        with open_warehouse(settings, purpose="test") as warehouse:
            kept = find_publication(warehouse, one["publication_id"])
        assert kept is not None
        assert (kept.status, kept.model_name) == ("archived", f"recsys_{placement}_backfill")
        assert (kept.decision_id, kept.as_of) == (None, moment(BEFORE))


def test_again_changes_nothing(settings: Settings) -> None:
    backfill(settings, SECOND)
    backfill(settings, BEFORE)
    before = stored(settings, *KEPT, *MOVED)
    for day in (SECOND, BEFORE):
        assert all(one["skipped"] for one in backfill(settings, day).values())
    assert stored(settings, *KEPT, *MOVED) == before


def test_what_came_later_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    """The same shop as it was on that day: no later event, and nobody who came later."""
    early = quick_settings(tmp_path)
    write_chain_shop(early)
    with open_warehouse(early, purpose="test") as warehouse, warehouse.transaction() as connection:
        removed = connection.exec_driver_sql(f"delete from shop.events where occurred_at >= '{BEFORE}'").rowcount
        connection.exec_driver_sql(f"delete from shop.users where created_at >= '{BEFORE}'")
    assert removed > 100
    now, then = backfill(settings, BEFORE), backfill(early, BEFORE)
    for placement in PLACEMENTS:
        lists = lists_of(early, then[placement]["publication_id"])
        assert len(lists) > 100
        assert lists == lists_of(settings, now[placement]["publication_id"])
        learned = [
            path.read_bytes()
            for made, done in ((settings, now), (early, then))
            for path in (made.resolved_home / "backfills").glob(
                f"{placement}-{done[placement]['model_version']}/bundle-*/ranker.txt"
            )
        ]
        assert len(learned) == 2
        assert learned[0] == learned[1]


def test_a_placement_may_have_a_champion_and_another_none(settings: Settings, tmp_path: Path) -> None:
    champions = pipeline.find_past_champions(settings, as_of=SECOND, placements=PLACEMENTS)["champions"]
    snapshot = pipeline.take_snapshot(settings, as_of=SECOND, now=moment(SECOND))["snapshot"]
    mixed = {"for_you": champions["for_you"], "discover": None}
    models = pipeline.fetch_past_models(settings, snapshot=snapshot, champions=mixed)["models"]
    assert [(name, one["model"]) for name, one in models.items()] == [
        ("for_you", MODEL),
        ("discover", "recsys_discover_backfill"),
    ]
    assert models["for_you"]["decision_id"] == champions["for_you"]["decision_id"]
    assert models["discover"]["decision_id"] is None


def test_the_champion_of_a_moment_is_that_of_the_ledger(settings: Settings) -> None:
    def version(as_of: str) -> str | None:
        found = pipeline.find_past_champions(settings, as_of=as_of, placements=["for_you"])["champions"]["for_you"]
        return found and found["version"]

    days = ["2024-11-30", "2024-12-02", "2024-12-14T23:59", "2024-12-15", "latest"]
    assert [version(day) for day in days] == [None, "1", "1", "2", "2"]


def test_files_that_somebody_changed_are_not_used(settings: Settings) -> None:
    snapshot = pipeline.take_snapshot(settings, as_of=BEFORE, now=moment(SECOND))["snapshot"]
    none = {"for_you": None}
    models = pipeline.fetch_past_models(settings, snapshot=snapshot, champions=none)["models"]
    ranker = local_path(models["for_you"]["bundle"]) / "ranker.txt"
    text = ranker.read_text(encoding="utf-8")
    ranker.write_text(text + "\n", encoding="utf-8")
    try:
        with pytest.raises(AlteredError, match="are not those that it was made of"):
            pipeline.fit_past_models(settings, snapshot=snapshot, models=models)
    finally:
        ranker.write_text(text, encoding="utf-8")
    assert pipeline.fit_past_models(settings, snapshot=snapshot, models=models)["placements"] == ["for_you"]


def test_a_day_that_can_not_be_made_says_why_and_leaves_nothing(settings: Settings) -> None:
    before = stored(settings, *KEPT, *MOVED)
    with pytest.raises(ContractError, match="training needs at least three"):
        backfill(settings, "2024-02-01")
    with pytest.raises(SettingsError, match="before the first event"):
        backfill(settings, "2023-02-01")
    with pytest.raises(SettingsError, match="homepage"):
        pipeline.find_past_champions(settings, as_of=SECOND, placements=["homepage"])
    assert stored(settings, *KEPT, *MOVED) == before
