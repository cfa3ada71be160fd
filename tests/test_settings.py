"""Settings from variables and files: what names one setting leaves the others as they are."""

import os
from pathlib import Path

import pytest

from recsys.doctor.places import variable_findings
from recsys.errors import SettingsError
from recsys.settings import PlacementSettings, Settings, load_settings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(f"RECSYS_PLACEMENTS__{name}", value)
    return load_settings()


def test_one_setting_of_a_placement_leaves_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, for_you__FUSION="scores", discover__WEIGHTS__als="2")
    assert settings.placements == {
        "for_you": PlacementSettings(fusion="scores"),
        "discover": PlacementSettings(repeats=False, weights={"als": 2.0}),
    }


def test_a_file_may_add_a_placement_and_take_one_out(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("recsys.toml").write_text(
        "[placements]\ndiscover = false\n[placements.home]\nfused = 50\n[placements.for_you.ranker]\ntrees = 7\n"
    )
    settings = load_settings()
    assert settings.placements == {
        "for_you": PlacementSettings(ranker={"trees": 7}),
        "home": PlacementSettings(fused=50),
    }


def test_a_variable_beats_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("recsys.toml").write_text("[placements.for_you.ranker]\ntrees = 7\nleaves = 9\n")
    settings = read(monkeypatch, for_you__RANKER__TREES="8", discover="false")
    assert settings.placements == {"for_you": PlacementSettings(ranker={"trees": 8, "leaves": 9})}


def test_a_placement_ranks_with_its_own_settings_and_the_common_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, discover__RANKER__LEARNING_RATE="0.5", discover__RANKER__OBJECTIVE="binary")
    assert settings.ranker_of("for_you") == settings.ranker
    own = settings.ranker_of("discover")
    assert (own.learning_rate, own.objective) == (0.5, "binary")
    assert own.model_copy(update={"learning_rate": 0.07, "objective": "lambdarank"}) == settings.ranker


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("discover__RANKER__TREES", "0", r"placements.discover.ranker.trees = '0'"),
        ("discover__RANKER__HORIZON_DAYS", "7", r"placements.discover.ranker.horizon_days"),
        ("for_you__FUSION", "best", r"placements.for_you.fusion = 'best'"),
        ("for_you__WEIGHTS", '{"magic": 1}', r"unknown generator 'magic'"),
    ],
)
def test_what_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read(monkeypatch, **{name: value})


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("RECSYS_HOEM", "RECSYS_HOEM is no setting and has no effect. Did you mean RECSYS_HOME?"),
        (
            "RECSYS_RANKR__TREES",
            "RECSYS_RANKR__TREES is no setting and has no effect. Did you mean RECSYS_RANKER__TREES?",
        ),
        ("RECSYS_XYZZY", "RECSYS_XYZZY is no setting and has no effect."),
    ],
)
def test_a_variable_that_has_no_effect_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, told: str
) -> None:
    monkeypatch.setenv("RECSYS_THREADS", "1")
    load_settings()
    assert caplog.messages == []
    monkeypatch.setenv(name, "1")
    load_settings()
    assert caplog.messages == [told]
    assert [one.found for one in variable_findings(os.environ)] == [told]
