"""Bad input: a message that says what is wrong and what to do, and nothing half-written."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys import pipeline
from recsys.errors import ContractError, NotFoundError, RecsysError, RegistryError, SettingsError
from recsys.publication import customer_list
from recsys.registry import download_bundle
from recsys.scoring import Recipe
from recsys.settings import Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import migrate, open_warehouse
from tests.support.chain import PLACEMENTS, Ran, all_published, run, shared_run
from tests.support.planted import NOW, Event, add_events, debris, quick_settings, run_sql, write_shop
from tests.support.warehouse import item_id, user_id

FIRST = datetime(2024, 1, 1, 9)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A home in which lists are live. Tests work on copies."""
    return shared_run(tmp_path_factory.getbasetemp())


@pytest.fixture
def live(served: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings on a copy of the warehouse in which lists are live; MLflow is the first home's."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy2(served.settings.resolved_home / "warehouse.duckdb", home / "warehouse.duckdb")
    return quick_settings(tmp_path, tracking_uri=served.settings.mlflow_uri)


def state_of(settings: Settings) -> dict[str, Any]:
    """Return everything that a failed run must leave as it was."""
    with open_warehouse(settings, purpose="test") as warehouse:
        return {
            name: warehouse.query(f"select * from recsys.{name} order by all")
            for name in ("publications", "decisions", "live_recommendations")
        }


def fails(
    settings: Settings,
    error: type[RecsysError],
    message: str,
    *,
    as_of: str = "latest",
    placements: list[str] = PLACEMENTS,
) -> None:
    """Run the chain: it must fail with the message, write nothing, and leave what is live."""
    before = state_of(settings)
    with pytest.raises(error, match=message):
        run(settings, now=NOW + timedelta(days=1), as_of=as_of, placements=placements)
    assert state_of(settings) == before
    assert debris(settings.resolved_home) == []


def test_there_is_something_live_to_keep(live: Settings) -> None:
    assert len(all_published(live)["for_you"]) > 1000


@pytest.mark.parametrize("as_of", ["1999-01-01", "2024-01-01"])
def test_as_of_before_any_event(live: Settings, as_of: str) -> None:
    fails(live, SettingsError, rf"as_of {as_of} lies before the first event \(2024-\d.*Choose a moment", as_of=as_of)
    assert not list((live.resolved_home / "snapshots").iterdir())


@pytest.mark.parametrize("as_of", ["2025-01-04T06:00:01", "2125-01-01"])
def test_as_of_in_the_future(live: Settings, as_of: str) -> None:
    message = rf"as_of {as_of} lies in the future \(it is 2025-01-03 06:00 UTC; 24 hours.*The newest event is of 202"
    fails(live, SettingsError, message, as_of=as_of)
    assert not list((live.resolved_home / "snapshots").iterdir())


def test_as_of_up_to_what_a_clock_may_be_off(live: Settings) -> None:
    taken = pipeline.take_snapshot(live, as_of=(NOW + timedelta(hours=24)).isoformat(), now=NOW)
    assert taken["as_of"] == (NOW + timedelta(hours=24)).isoformat()


@pytest.mark.parametrize("as_of", ["yesterday", "2024-13-01", ""])
def test_as_of_that_is_no_time(live: Settings, as_of: str) -> None:
    fails(live, SettingsError, f"as_of {as_of!r} is neither 'latest', a date", as_of=as_of)


def test_a_placement_that_does_not_exist(live: Settings) -> None:
    message = "There is no placement 'cart'; the settings have: discover, for_you"
    fails(live, SettingsError, message, placements=["for_you", "cart"])
    assert not (live.resolved_home / "ranking_sets").exists()


def test_an_unknown_customer_gets_the_list_of_everybody_and_is_told(live: Settings) -> None:
    with open_warehouse(live, purpose="test") as warehouse:
        found = customer_list(warehouse, live, "ghost", "for_you")
        with pytest.raises(NotFoundError, match="There is no placement 'cart'"):
            customer_list(warehouse, live, "ghost", "cart")
    assert found.is_default
    assert len(found.rows) == 10
    assert found.why == "There is no customer 'ghost' in the shop's tables, so this is the list for everybody."


def test_an_empty_warehouse(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    with open_warehouse(settings, purpose="test") as warehouse:
        migrate(warehouse)
    fails(settings, ContractError, r"no usable events \(0 rows in shop.events\).*recsys load completejourney")


def test_a_warehouse_without_tables(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    with open_warehouse(settings, purpose="test"):
        pass
    with pytest.raises(ContractError, match=r"no shop yet\. Load one first: 'recsys load completejourney'"):
        run(settings)
    assert debris(settings.resolved_home) == []


def test_only_unusable_events(live: Settings) -> None:
    run_sql(live, "update shop.events set occurred_at = timestamp '2099-01-01'")
    fails(live, ContractError, r"no usable events \(\d+ rows in shop.events\)")


@pytest.mark.parametrize(
    ("table", "column"), [("events", "quantity"), ("events", "market"), ("item_versions", "brand"), ("users", "bucket")]
)
def test_a_missing_column(live: Settings, table: str, column: str) -> None:
    run_sql(live, f"alter table shop.{table} drop column {column}")
    message = rf"The warehouse lacks shop\.{table}\.{column}\. .*give the column in the source's staging SQL"
    before = publications(live)
    with pytest.raises(ContractError, match=message):
        run(live)
    assert publications(live) == before
    assert debris(live.resolved_home) == []


def publications(settings: Settings) -> list[dict[str, Any]]:
    with open_warehouse(settings, purpose="test") as warehouse:
        return warehouse.query("select publication_id, status from recsys.publications")


def taken(settings: Settings) -> Snapshot:
    return Snapshot.open(pipeline.take_snapshot(settings, as_of="latest", now=NOW)["snapshot"])


def rejected(settings: Settings) -> dict[str, int]:
    with open_warehouse(settings, purpose="test") as warehouse:
        rows = warehouse.query("select rule, count(*) as n from shop.quarantine group by rule")
    return {row["rule"]: row["n"] for row in rows}


def test_a_customer_with_a_hundred_thousand_events(live: Settings) -> None:
    bot = "insert into shop.events (event_id, user_id, bucket, item_id, event_type, occurred_at, quantity) "
    run_sql(
        live,
        f"{bot} select 'bot' || range, '{user_id(0)}', 1, '{item_id(1)}', 'view', "
        "timestamp '2024-06-01' + to_seconds(range), 1 from range(100_000)",
    )
    own = "select count(*) as n from shop.events where user_id = :user"
    with open_warehouse(live, purpose="test") as warehouse:
        count = warehouse.query(own, {"user": user_id(0)})[0]["n"]
    snapshot = taken(live)
    assert snapshot.manifest["rejected"] == {"customer has more events than a person can make": count}
    assert rejected(live) == snapshot.manifest["rejected"]
    assert snapshot.manifest["rows"]["users"] == 183, "the customer stays known"


def test_an_item_in_events_that_is_missing_from_items(live: Settings) -> None:
    before = taken(live)
    with open_warehouse(live, purpose="test") as warehouse:
        ghosts = [Event(user_id(n), "ghost", FIRST + timedelta(days=200 + n), name=f"ghost{n}") for n in range(5)]
        add_events(warehouse, ghosts)
    after = pipeline.take_snapshot(live, as_of="latest", now=NOW)
    assert after["rejected"] == 5
    assert rejected(live) == {"item_id is not in items": 5}
    assert after["snapshot_id"] == before.snapshot_id, "what is rejected is no part of the content"


def test_an_event_dated_2099(live: Settings) -> None:
    before = taken(live)
    with open_warehouse(live, purpose="test") as warehouse:
        add_events(warehouse, [Event(user_id(1), item_id(1), datetime(2099, 1, 1), name="far")])
    after = pipeline.take_snapshot(live, as_of="latest", now=NOW)
    assert after["as_of"] == before.as_of.isoformat()
    assert after["rejected"] == 1
    assert rejected(live) == {"occurred_at lies in the future": 1}


def test_too_short_a_history(live: Settings) -> None:
    as_of = datetime(2024, 1, 2) + timedelta(days=70)
    message = r"begins on 2024-\d\d-\d\d: training needs at least three horizons of 28 days.*load more history"
    fails(live, ContractError, message, as_of=as_of.isoformat())
    made = {path.name for path in live.resolved_home.iterdir() if path.is_dir() and path.name not in ("privacy", "tmp")}
    assert made == {"snapshots", "contracts"}


def test_nobody_bought_anything_that_could_be_learned(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    events = [Event(f"u{n % 5}", f"i{n}", FIRST + timedelta(days=n)) for n in range(200)]
    write_shop(settings, users=[f"u{n}" for n in range(5)], items=[f"i{n}" for n in range(200)], events=events)
    with pytest.raises(ContractError, match=r"No candidate was bought within the horizon"):
        run(settings)
    assert not has_tables(settings) or publications(settings) == []
    assert debris(settings.resolved_home) == []


def has_tables(settings: Settings) -> bool:
    with open_warehouse(settings, purpose="test") as warehouse:
        query = "select 1 as one from information_schema.tables where table_name = 'publications'"
        return bool(warehouse.query(query))


def test_a_champion_of_other_feature_sql(served: Ran, live: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state_of(live)
    monkeypatch.setattr("recsys.scoring.recipe.features_hash", lambda: "another")
    with pytest.raises(RegistryError, match=r"trained with other feature SQL \(\w{16}\) than is installed \(another\)"):
        pipeline.fit_state(served.settings, snapshot=served.snapshot.uri, placements=PLACEMENTS)
    assert state_of(live) == before
    assert debris(live.resolved_home) == []


def test_the_recipe_travels_with_the_version(served: Ran, live: Settings) -> None:
    """Settings that changed after the approval don't change what the champion does."""
    promoted = served.stages["promotion"]["promoted"][0]
    recipe = Recipe.load(download_bundle(live, promoted["model"], promoted["version"]))
    other = live.model_copy(update={"seed": 1, "candidates": live.candidates.model_copy(update={"als_factors": 3})})
    applied = recipe.apply(other)
    assert (applied.seed, applied.candidates.als_factors) == (live.seed, 8)
    assert json.loads(json.dumps(recipe.as_json()))["features"] == recipe.features


def test_shards_that_were_not_scored_do_not_go_live(served: Ran, live: Settings) -> None:
    """A publication of half the customers fails its audit, and the old lists stay."""
    before = state_of(live)["live_recommendations"]
    with open_warehouse(live, purpose="test") as warehouse:
        add_events(warehouse, [Event(user_id(0), item_id(1), datetime(2025, 1, 1), name="one more")])
    snapshot = pipeline.take_snapshot(live, as_of="latest", now=NOW)["snapshot"]
    in_two = live.model_copy(update={"shards": 2})
    fitted = pipeline.fit_state(in_two, snapshot=snapshot, placements=["for_you"])
    first = pipeline.score_shard(live, state=fitted["state"], **fitted["shards"][0])["lists"]
    with pytest.raises(RecsysError, match=r"failed its audit.*[\s\S]*expected customers have a list"):
        pipeline.publish_lists(live, state=fitted["state"], lists=[first], placement="for_you", run_id="half", now=NOW)
    assert state_of(live)["live_recommendations"] == before
    assert sorted(row["status"] for row in publications(live)) == ["failed", "live", "live"]
