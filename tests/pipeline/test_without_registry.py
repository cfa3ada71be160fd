"""The day after: lists are published while MLflow is away, or after somebody deleted there what is live."""

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys import ledger, pipeline, registry
from recsys.errors import NotFoundError, RecsysError, RegistryError
from recsys.settings import Settings
from recsys.warehouse import open_warehouse
from tests.support.chain import PLACEMENTS, all_published, shared_run
from tests.support.planted import NOW, Event, add_events, debris, quick_settings
from tests.support.warehouse import item_id, user_id

AWAY = "http://127.0.0.1:9"
LATER = NOW + timedelta(days=1)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home in which version 1 is live on both placements, and the next day's events are there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        folder = tmp_path_factory.mktemp("live")
        shutil.copytree(shared_run(tmp_path_factory.getbasetemp()).settings.resolved_home, folder / "home")
        settings = quick_settings(folder)
        with open_warehouse(settings, purpose="test") as warehouse:
            bought = [
                Event(user_id(n), item_id(n % 7), datetime(2025, 1, 2, 1), name=f"late{n}") for n in range(0, 100, 2)
            ]
            add_events(warehouse, bought)
        return settings


@pytest.fixture
def live(first: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A copy of that home, with its own MLflow."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    home = tmp_path / "home"
    shutil.copytree(first.resolved_home, home)
    return quick_settings(tmp_path)


def publish(settings: Settings, placements: list[str] = PLACEMENTS) -> list[dict[str, Any]]:
    """What the publication DAG does."""
    snapshot = pipeline.take_snapshot(settings, as_of="latest", now=LATER)["snapshot"]
    fitted = pipeline.fit_state(settings, snapshot=snapshot, placements=placements)
    lists = [pipeline.score_shard(settings, state=fitted["state"], **shard)["lists"] for shard in fitted["shards"]]
    return [
        pipeline.publish_lists(
            settings, state=fitted["state"], lists=lists, placement=placement, run_id="day after", now=LATER
        )
        for placement in placements
    ]


def away(settings: Settings) -> Settings:
    return settings.model_copy(update={"tracking_uri": AWAY})


def without_version(settings: Settings) -> Settings:
    with registry.connected(settings) as client:
        client.delete_model_version(settings.model_name("for_you"), "1")
    return settings


def without_model(settings: Settings) -> Settings:
    with registry.connected(settings) as client:
        client.delete_registered_model(settings.model_name("for_you"))
    return settings


def without_run(settings: Settings) -> Settings:
    run_id = registry.get_version(settings, settings.model_name("for_you"), "1").run_id
    with registry.connected(settings) as client:
        client.delete_run(run_id)
    return settings


FAULTS: dict[str, Callable[[Settings], Settings]] = {
    "MLflow is away": away,
    "the version was deleted": without_version,
    "the model was deleted": without_model,
    "the run was deleted": without_run,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_approved_and_was_downloaded_goes_on(
    live: Settings, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = all_published(live)
    broken = FAULTS[fault](live)
    told = publish(broken, ["for_you"])
    assert [(one["status"], one["skipped"]) for one in told] == [("live", False)]
    assert {row["publication_id"] for row in all_published(live)["for_you"]} == {told[0]["publication_id"]}
    assert all_published(live)["discover"] == before["discover"]
    assert ("is used as it was downloaded before" in caplog.text) == (fault != "the run was deleted")
    with open_warehouse(live, purpose="test") as warehouse:
        assert [one.verdict for one in ledger.list_decisions(warehouse)] == ["approved", "approved"]
    assert publish(broken, ["for_you"])[0]["skipped"]
    assert debris(live.resolved_home) == []


@pytest.mark.parametrize("fault", ["MLflow is away", "the version was deleted"])
def test_the_lists_are_those_that_would_have_been(first: Settings, live: Settings, tmp_path: Path, fault: str) -> None:
    publish(FAULTS[fault](live), ["for_you"])
    shutil.copytree(first.resolved_home, tmp_path / "undisturbed" / "home")
    undisturbed = quick_settings(tmp_path / "undisturbed")
    publish(undisturbed, ["for_you"])
    assert all_published(live) == all_published(undisturbed)


def fails(settings: Settings, live: Settings, error: type[RecsysError], message: str) -> None:
    before = all_published(live)
    with pytest.raises(error, match=message):
        publish(settings, ["for_you"])
    assert all_published(live) == before
    assert debris(live.resolved_home) == []


def test_what_was_never_downloaded_waits_and_what_is_live_stays(live: Settings) -> None:
    shutil.rmtree(live.resolved_home / "models")
    fails(away(live), live, RegistryError, "can't be")
    without_version(live)
    fails(live, live, NotFoundError, "no such thing")


def test_what_was_altered_meanwhile_is_not_used(live: Settings) -> None:
    [bundle] = (live.resolved_home / "models" / live.model_name("for_you")).iterdir()
    (bundle / "ranker.txt").write_bytes((bundle / "ranker.txt").read_bytes() + b" ")
    fails(away(live), live, RegistryError, "can't be")


def test_a_bundle_of_another_registry_is_not_taken_for_it(live: Settings) -> None:
    """Versions are counted anew where MLflow was: which of two is the approved one, nobody can say."""
    [bundle] = (live.resolved_home / "models" / live.model_name("for_you")).iterdir()
    shutil.copytree(bundle, bundle.with_name("1-0123456789abcdef"))
    fails(away(live), live, RegistryError, "can't be")


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "MLflow is away"])
def test_a_look_tells_what_was_deleted_and_changes_nothing(live: Settings, fault: str) -> None:
    before = all_published(live)
    FAULTS[fault](live)
    for day in (1, 2):
        looked = pipeline.reconcile(live, now=NOW + timedelta(days=day))
        lost = [] if fault == "the run was deleted" else [(live.model_name("for_you"), "champion", "1")]
        assert [(one["model"], one["alias"], one["wanted"]) for one in looked["lost"]] == lost
        assert (looked["approved"], looked["refused"], looked["restored"]) == ([], [], [])
    assert all_published(live) == before


def test_a_training_tells_that_the_champion_was_deleted_and_a_person_decides(live: Settings) -> None:
    without_version(live)
    found = pipeline.find_champions(live, placements=["for_you"])["champions"]["for_you"]
    assert "MLflow doesn't have it any more" in found[0]["why"]
