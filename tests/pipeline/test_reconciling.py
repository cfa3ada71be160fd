"""An alias that a person moved in MLflow is a decision: it goes through the gate, and the ledger says who."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys import ledger, pipeline, registry
from recsys.errors import ConflictError, RegistryError
from recsys.settings import Settings
from tests.support.planted import NOW
from tests.support.reviews import PLACEMENT, Peek, make_versions
from tests.support.warehouse import make_settings

QUIET: dict[str, Any] = {"approved": [], "refused": [], "restored": [], "lost": [], "written": 0}


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One SQLite MLflow for all tests of this file: to make one takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


@pytest.fixture
def settings(store: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Version 1 serves, approved by Ada; the gate passed 2 and failed 3."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    made = make_versions(tmp_path, store, request.node.name)
    decide(made, "1")
    return made


@pytest.fixture
def warehouse(settings: Settings) -> Peek:
    return Peek(settings)


def decide(settings: Settings, version: str, verdict: Any = "approved", day: int = 0) -> None:
    pipeline.decide(
        settings,
        model=settings.model_name(PLACEMENT),
        version=version,
        verdict=verdict,
        decided_by="ada",
        reason="looks right",
        now=NOW + timedelta(days=day),
    )


def look(settings: Settings, day: int = 1, since: int | None = None) -> dict[str, Any]:
    began = None if since is None else NOW + timedelta(days=since)
    return pipeline.reconcile(settings, now=NOW + timedelta(days=day), since=began)


def move(settings: Settings, version: str, alias: str = "champion", **tags: str) -> None:
    """Do what a person does on MLflow's pages."""
    model = settings.model_name(PLACEMENT)
    with registry.connected(settings) as client:
        for name, value in tags.items():
            client.set_model_version_tag(model, version, name, value)
        client.set_registered_model_alias(model, alias, version)


def alias(settings: Settings, name: str = "champion") -> str | None:
    return registry.get_alias(settings, settings.model_name(PLACEMENT), name)


def tags_of(settings: Settings, version: str) -> dict[str, str]:
    return dict(registry.get_version(settings, settings.model_name(PLACEMENT), version).tags)


def away(settings: Settings) -> Settings:
    """The same platform while its MLflow does not answer."""
    return settings.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})


def test_what_agrees_is_left_alone(settings: Settings, warehouse: Peek) -> None:
    assert look(settings) == look(settings, 2) == QUIET
    assert len(warehouse.decisions()) == 1


def test_a_move_to_a_version_that_passed_is_an_approval(settings: Settings, warehouse: Peek) -> None:
    move(settings, "2", reviewed_by="grace", reason="the bakery looks right")
    result = look(settings)
    [approved] = result["approved"]
    assert (approved["placement"], approved["version"], approved["decided_by"]) == (PLACEMENT, "2", "grace")
    assert (result["refused"], result["restored"], result["lost"]) == ([], [], [])
    last = warehouse.decisions()[-1]
    assert (last.verdict, last.channel, last.reason) == ("approved", "mlflow", "the bakery looks right")
    assert last.decided_at == NOW + timedelta(days=1)
    assert (alias(settings), alias(settings, "previous"), warehouse.champion()) == ("2", "1", "2")
    tags = tags_of(settings, "2")
    assert (tags["review"], tags["reviewed_by"], tags["decision_id"]) == ("approved", "grace", last.decision_id)
    assert tags["reviewed_at"] == f"{NOW + timedelta(days=1):%Y-%m-%d %H:%M} UTC"
    assert look(settings, 2) == QUIET


def test_what_the_platform_wrote_on_the_page_does_not_say_who_moved_the_alias(
    settings: Settings, warehouse: Peek
) -> None:
    decide(settings, "2", day=1)
    move(settings, "1")
    assert [one["decided_by"] for one in look(settings, 2)["approved"]] == ["somebody in MLflow"]
    assert warehouse.champion() == "1"


def test_a_move_to_a_version_that_failed_is_refused_and_taken_back(settings: Settings, warehouse: Peek) -> None:
    move(settings, "3", reviewed_by="grace")
    result = look(settings)
    [refused] = result["refused"]
    assert refused["version"] == "3"
    assert "It failed. To approve it all the same, set the tag override" in refused["why"]
    assert result["restored"] == [
        {"model": settings.model_name(PLACEMENT), "alias": "champion", "found": "3", "wanted": "1"}
    ]
    assert result["approved"] == []
    assert (alias(settings), warehouse.champion()) == ("1", "1")
    assert "taken back" in tags_of(settings, "3")["refused"]
    last = warehouse.decisions()[-1]
    assert (last.model_version, last.verdict, last.channel, last.decided_by) == ("3", "rejected", "policy", "gate")
    assert look(settings, 2) == QUIET


def test_a_refusal_settles_nothing(settings: Settings, warehouse: Peek) -> None:
    move(settings, "3")
    look(settings)
    third = registry.get_version(settings, settings.model_name(PLACEMENT), "3")
    registry.record_gate(settings, third, {"gate": "passed", "kind": "changed", "why": "It passed."})
    asked = pipeline.request_review(settings, model=settings.model_name(PLACEMENT), version="3")
    assert asked["settled"] == ""


def test_an_override_goes_through_and_is_told(settings: Settings, warehouse: Peek) -> None:
    move(settings, "3", override="a test in one shop")
    [approved] = look(settings)["approved"]
    assert (approved["version"], approved["decided_by"]) == ("3", "somebody in MLflow")
    assert warehouse.decisions()[-1].reason == "override: a test in one shop"
    assert (alias(settings), warehouse.champion()) == ("3", "3")


def test_an_empty_override_is_none(settings: Settings) -> None:
    move(settings, "3", override=" ")
    assert look(settings)["approved"] == []
    assert alias(settings) == "1"


@pytest.mark.parametrize("name", ["challenger", "previous"])
def test_other_aliases_go_back(settings: Settings, warehouse: Peek, name: str) -> None:
    decide(settings, "2", day=1)
    wanted = alias(settings, name)
    move(settings, "3", name)
    [restored] = look(settings, 2)["restored"]
    assert (restored["alias"], restored["found"], restored["wanted"]) == (name, "3", wanted)
    assert alias(settings, name) == wanted
    assert len(warehouse.decisions()) == 2


def test_a_removed_alias_comes_back(settings: Settings, warehouse: Peek) -> None:
    with registry.connected(settings) as client:
        client.delete_registered_model_alias(settings.model_name(PLACEMENT), "champion")
    assert look(settings) == {**QUIET, "written": 1}
    assert alias(settings) == "1"


def test_the_first_champion_can_be_chosen_in_mlflow(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    settings = make_versions(tmp_path, store, request.node.name)
    move(settings, "2")
    assert [one["version"] for one in look(settings)["approved"]] == ["2"]
    assert Peek(settings).champion() == alias(settings) == "2"


def test_a_place_without_a_warehouse_is_left_so(store: str, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, tracking_uri=store)
    assert look(settings) == QUIET
    assert not settings.home.exists()


def test_a_version_of_others_is_refused(settings: Settings, warehouse: Peek) -> None:
    with registry.connected(settings) as client:
        client.delete_model_version_tag(settings.model_name(PLACEMENT), "2", "placement")
    move(settings, "2")
    result = look(settings)
    assert "not registered by this platform" in result["refused"][0]["why"]
    assert (alias(settings), len(warehouse.decisions())) == ("1", 1)


def test_a_deleted_champion_is_told_and_what_is_approved_stays(settings: Settings, warehouse: Peek) -> None:
    model = settings.model_name(PLACEMENT)
    with registry.connected(settings) as client:
        client.delete_model_version(model, "1")
    for day in (1, 2):
        assert look(settings, day) == {**QUIET, "lost": [{"model": model, "alias": "champion", "wanted": "1"}]}
    assert warehouse.champion() == "1"
    move(settings, "3")
    assert look(settings, 3)["refused"]
    assert alias(settings) is None
    move(settings, "2")
    assert [one["version"] for one in look(settings, 4)["approved"]] == ["2"]
    assert (alias(settings), warehouse.champion()) == ("2", "2")


def roll_back(settings: Settings, warehouse: Peek, day: int) -> None:
    """A rollback's part of the ledger, while MLflow is away."""
    warehouse.decide(ledger.ROLLED_BACK, warehouse.champion() or "", day)


def test_an_alias_that_mlflow_missed_is_not_taken_for_a_decision(settings: Settings, warehouse: Peek) -> None:
    decide(settings, "2", day=1)
    roll_back(settings, warehouse, 2)
    with pytest.raises(RegistryError):
        look(away(settings), 3)
    assert (alias(settings), warehouse.champion()) == ("2", "1")
    result = look(settings, 4)
    assert result["approved"] == result["refused"] == []
    assert (alias(settings), warehouse.champion(), len(warehouse.decisions())) == ("1", "1", 3)
    assert tags_of(settings, "2")["review_reason"].startswith("rolled back: ")
    assert look(settings, 5) == QUIET


def test_a_write_that_was_never_noted_is_not_taken_for_a_decision(settings: Settings, warehouse: Peek) -> None:
    """Killed between MLflow and the note of it, and the ledger moved on: the alias names what was wanted between."""
    decide(settings, "2", day=1)
    roll_back(settings, warehouse, 2)
    move(settings, "1")  # the write of the killed process
    warehouse.decide("approved", "3", 3)
    result = look(settings, 4)
    assert result["approved"] == result["refused"] == result["restored"] == []
    assert (alias(settings), warehouse.champion(), len(warehouse.decisions())) == ("3", "3", 4)


def test_our_late_write_is_ours_also_by_a_clock_that_is_behind(settings: Settings, warehouse: Peek) -> None:
    """The machine that told MLflow last is days ahead of those that decide since."""
    decide(settings, "2", day=5)
    roll_back(settings, warehouse, 2)
    move(settings, "1")  # the write of a killed process
    warehouse.decide("approved", "3", 3)
    result = look(settings, 4)
    assert result["approved"] == result["refused"] == result["restored"] == []
    assert (alias(settings), warehouse.champion(), len(warehouse.decisions())) == ("3", "3", 4)


def test_a_person_who_moves_it_while_ours_is_late_is_heard(settings: Settings, warehouse: Peek) -> None:
    decide(settings, "2", day=1)
    roll_back(settings, warehouse, 2)
    move(settings, "3", override="we want this one")
    assert [one["version"] for one in look(settings, 3)["approved"]] == ["3"]
    assert (alias(settings), warehouse.champion()) == ("3", "3")


def test_a_decision_made_while_mlflow_was_away_reaches_its_page_later(
    settings: Settings, warehouse: Peek, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.decide("rejected", "2", 1)
    result = look(settings, 2)
    tags = tags_of(settings, "2")
    assert (tags["review"], tags["reviewed_by"]) == ("rejected", "ada")
    assert result == {**QUIET, "written": 1}


def test_an_attempt_after_a_killed_one_still_announces(settings: Settings) -> None:
    move(settings, "2")
    assert look(settings, 2, since=1)["approved"]
    again = look(settings, 3, since=1)
    assert look(settings, 2, since=3)["approved"], "the clock that says when the run began is ahead"
    assert [one["version"] for one in again["approved"]] == ["2"]
    decide(settings, "1", day=4)
    assert look(settings, 5, since=1)["approved"] == []


def test_what_was_decided_while_it_looked_is_not_overruled(
    settings: Settings, warehouse: Peek, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(settings, "2")
    real = registry.get_version

    def meanwhile(*args: Any) -> Any:
        warehouse.decide("approved", "3", 1)
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(registry, "get_version", meanwhile)
        with pytest.raises(ConflictError, match="look again"):
            look(settings, 2)
    assert warehouse.champion() == "3"
