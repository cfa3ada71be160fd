"""Aliases follow the ledger and never overrule a person."""

from dataclasses import dataclass

import pytest

from recsys.errors import NotFoundError
from recsys.registry import connected, get_alias, project_aliases, restore_alias, set_alias
from recsys.registry.connection import experiment_id
from recsys.settings import Settings


@dataclass(frozen=True)
class Wanted:
    model_name: str
    alias: str
    wanted_version: str | None
    written_version: str | None = None


@pytest.fixture
def model(settings: Settings) -> str:
    """A model with the versions 1 and 2."""
    name = settings.model_name("for_you")
    with connected(settings) as client:
        client.create_registered_model(name)
        run = client.create_run(experiment_id(client, settings)).info
        for number in (1, 2):
            source = f"{run.artifact_uri}/model-{number}"
            client.create_model_version(name, source=source, run_id=run.run_id)
    return name


def act(settings: Settings, *wanted: Wanted) -> list[str]:
    return [outcome.action for outcome in project_aliases(settings, wanted)]


def test_a_missing_alias_is_written_and_then_kept(settings: Settings, model: str) -> None:
    assert get_alias(settings, model, "champion") is None
    assert act(settings, Wanted(model, "champion", "1")) == ["written"]
    assert get_alias(settings, model, "champion") == "1"
    assert act(settings, Wanted(model, "champion", "1", "1")) == ["kept"]


def test_a_late_write_is_repeated(settings: Settings, model: str) -> None:
    set_alias(settings, model, "champion", "1")
    assert act(settings, Wanted(model, "champion", "2", written_version="1")) == ["written"]
    assert get_alias(settings, model, "champion") == "2"


def test_an_alias_that_somebody_removed_is_restored(settings: Settings, model: str) -> None:
    assert act(settings, Wanted(model, "champion", "1", written_version="1")) == ["written"]


def test_a_version_that_somebody_deleted_is_reported(settings: Settings, model: str) -> None:
    assert act(settings, Wanted(model, "champion", "1")) == ["written"]
    with connected(settings) as client:
        client.delete_model_version(model, "1")
    assert act(settings, Wanted(model, "champion", "1", written_version="1")) == ["lost"]


def test_what_a_person_moved_is_left_and_reported(settings: Settings, model: str) -> None:
    set_alias(settings, model, "champion", "2")
    (outcome,) = project_aliases(settings, [Wanted(model, "champion", "1", written_version="1")])
    assert (outcome.action, outcome.found_version, outcome.wanted_version) == ("person", "2", "1")
    assert get_alias(settings, model, "champion") == "2"


def test_an_alias_that_should_not_be_there_is_removed_if_it_is_ours(settings: Settings, model: str) -> None:
    set_alias(settings, model, "challenger", "2")
    assert act(settings, Wanted(model, "challenger", None, written_version="2")) == ["removed"]
    assert get_alias(settings, model, "challenger") is None
    assert act(settings, Wanted(model, "challenger", None)) == ["kept"]
    set_alias(settings, model, "challenger", "1")
    assert act(settings, Wanted(model, "challenger", None, written_version="2")) == ["person"]


def test_several_are_projected_at_once(settings: Settings, model: str) -> None:
    assert act(settings, Wanted(model, "champion", "2"), Wanted(model, "previous", "1")) == [
        "written",
        "written",
    ]
    with connected(settings) as client:
        assert {a: str(v) for a, v in client.get_registered_model(model).aliases.items()} == {
            "champion": "2",
            "previous": "1",
        }


def test_a_version_that_is_not_there_gets_no_alias_and_keeps_none_from_the_others(
    settings: Settings, model: str
) -> None:
    assert act(settings, Wanted(model, "champion", "9"), Wanted(model, "previous", "1")) == ["lost", "written"]
    assert (get_alias(settings, model, "champion"), get_alias(settings, model, "previous")) == (None, "1")
    with pytest.raises(NotFoundError):
        set_alias(settings, model, "champion", "9")


def test_an_alias_is_taken_back_only_from_where_it_was_seen(settings: Settings, model: str) -> None:
    set_alias(settings, model, "champion", "2")
    assert not restore_alias(settings, model, "champion", found="1", wanted=None)
    assert get_alias(settings, model, "champion") == "2"
    assert restore_alias(settings, model, "champion", found="2", wanted="1")
    assert get_alias(settings, model, "champion") == "1"
    assert restore_alias(settings, model, "champion", found="1", wanted="9")
    assert get_alias(settings, model, "champion") is None


def test_a_model_that_is_not_there_has_no_aliases(settings: Settings) -> None:
    assert get_alias(settings, f"{settings.namespace}_none", "champion") is None
