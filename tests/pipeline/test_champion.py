"""The champion on a later hold-out: what it shows there is what it published then, or it is said why it isn't known."""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from recsys import pipeline, registry
from recsys.artifacts import local_path
from recsys.evaluation.champion import TWIN, TWIN_FILE, Champion, NotCompared, open_champion
from recsys.pseudonyms import Pseudonyms
from recsys.registry import download_bundle
from recsys.scoring.recipe import RECIPE_FILE
from recsys.settings import CandidateSettings, GateSettings, Settings
from recsys.warehouse import open_warehouse
from tests.support.chain import PLACEMENTS, Ran, all_published, run, write_chain_shop
from tests.support.planted import NOW, quick_settings

THEN, NOW_DAY = "2024-12-04", "2025-01-01"  # one horizon apart


def ignore(stage: str, result: object) -> None:
    """Tell nobody."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A home in which a first model went live four weeks before the newest day."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        # So few customers can't show at 95 % that the first model beats every baseline; that isn't tested here.
        gate = GateSettings(bootstrap=100, margin=0.2, confidence=0.51)
        settings = quick_settings(tmp_path_factory.mktemp("served"), gate=gate)
        write_chain_shop(settings)
        return run(settings, as_of=THEN)


@pytest.fixture(scope="module")
def published(served: Ran) -> dict[str, dict[str, list[str]]]:
    """The titles that each customer sees, by placement."""
    with open_warehouse(served.settings, purpose="test") as warehouse:
        titles = {row["item_id"]: row["title"] for row in warehouse.query("select item_id, title from shop.items")}
    lists: dict[str, dict[str, list[str]]] = {}
    for placement, rows in all_published(served.settings).items():
        for row in rows:
            lists.setdefault(placement, {}).setdefault(row["user_id"], []).append(titles[row["item_id"]])
    return lists


def evaluate(settings: Settings, as_of: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    made = pipeline.evaluate_only(settings, as_of=as_of, placements=PLACEMENTS, now=NOW, progress=ignore)
    folder = local_path(made["evaluation"])
    return json.loads((folder / "metrics.json").read_text())["placements"], json.loads(
        (folder / "examples.json").read_text()
    )


def changed(settings: Settings) -> Settings:
    """Settings whose candidates are made in another way than those of the champion."""
    candidates: Mapping[str, Any] = settings.candidates.model_dump() | {
        "generators": ("popularity", "repurchase", "item_cf"),
        "item_neighbours": 20,
    }
    return settings.model_copy(update={"candidates": CandidateSettings.model_validate(candidates)})


@pytest.mark.parametrize("recipe", ["the same", "another"])
def test_the_champion_shows_on_the_hold_out_what_it_published_then(
    served: Ran, published: dict[str, dict[str, list[str]]], recipe: str
) -> None:
    settings = served.settings if recipe == "the same" else changed(served.settings)
    figures, examples = evaluate(settings, NOW_DAY)
    for placement in PLACEMENTS:
        found = figures[placement]
        about = found["champion"]
        assert (about["version"], about["is_compared"], about["measured"]) == ("1", True, "release")
        assert about["is_refreshed"] == (recipe == "the same")
        assert set(about["seconds"]) == {"ranker", "champion"}
        assert 0.35 <= found["release"]["overlap"] <= 1
        compared = {one["metric"] for one in found["comparisons"] if one["b"] == "champion"}
        assert {"ndcg@10", "recall@20", "novelty", "calibration"} <= compared
        own = [one for one in examples if one["placement"] == placement]
        assert len(own) == 10
        checked = 0
        name = Pseudonyms.of(settings).name
        shown = {name(user): titles for user, titles in published[placement].items()}
        for one in own:
            if one["user"] in shown:  # others have withdrawn their consent
                assert [product["title"] for product in one["before"]] == shown[one["user"]]
                checked += 1
        assert checked >= 8


def test_lists_before_and_after_point_to_each_other(served: Ran) -> None:
    _, examples = evaluate(changed(served.settings), NOW_DAY)
    assert any(one["before"] != one["after"] for one in examples)
    for one in examples:
        for this, other in (("before", "after"), ("after", "before")):
            ranks = {product["title"]: rank for rank, product in enumerate(one[other], 1)}
            assert [product["other_rank"] for product in one[this]] == [ranks.get(p["title"]) for p in one[this]]


def test_the_model_that_serves_is_not_compared_with_itself(served: Ran) -> None:
    figures, examples = evaluate(served.settings, THEN)
    assert all(found["champion"] is None for found in figures.values())
    assert not any(one["before"] for one in examples)


def test_a_champion_that_knows_the_hold_out_is_refused(served: Ran) -> None:
    figures, _ = evaluate(served.settings, "2024-11-20")
    for found in figures.values():
        assert not found["champion"]["is_compared"]
        assert found["champion"]["why"] == "it has learned from days after 2024-10-23, on which it would be measured"
        assert "champion" not in found["models"]


def test_a_later_training_asks_with_the_comparison_at_hand(served: Ran) -> None:
    versions = run(changed(served.settings), as_of=NOW_DAY).stages["gate"]["verdicts"]
    for one in versions:
        assert (one["decision"], one["serves"]) == ("ask", False)
        assert "was not compared with" not in one["why"]
        page = registry.get_version(served.settings, one["model"], one["version"]).description
        assert "Model now live" in page


@pytest.fixture
def bundle(served: Ran, tmp_path: Path) -> Path:
    source = download_bundle(served.settings, served.settings.model_name("for_you"), "1")
    return Path(shutil.copytree(source, tmp_path / "bundle"))


def opened(bundle: Path, cut: str) -> Champion | NotCompared:
    return open_champion({"model": "m", "version": "1", "bundle": bundle.as_uri()}, datetime.fromisoformat(cut))


@pytest.mark.parametrize(("cut", "kind"), [("2024-12-04", "release"), ("2024-12-03T23:59", TWIN), ("2024-11-06", TWIN)])
def test_the_newest_ranker_that_knows_nothing_of_the_window_is_measured(bundle: Path, cut: str, kind: str) -> None:
    found = opened(bundle, cut)
    assert isinstance(found, Champion)
    assert found.kind == kind


def why(found: Champion | NotCompared) -> str:
    assert isinstance(found, NotCompared)
    return found.why


def test_a_recipe_that_learns_in_another_way_is_no_refresh(served: Ran, bundle: Path) -> None:
    found = opened(bundle, NOW_DAY)
    assert isinstance(found, Champion)
    learner = served.settings.ranker_of("for_you").model_dump(mode="json")
    assert found.is_refreshed_by(found.recipe, learner)
    assert not found.is_refreshed_by(found.recipe, learner | {"trees": learner["trees"] + 1})
    assert not found.is_refreshed_by(dataclasses.replace(found.recipe, min_item_purchases=99), learner)
    rules = [found.recipe.rules.model_copy(update={"learn_weights": True, "weights": {"als": w}}) for w in (1.0, 2.0)]
    learning, other = (dataclasses.replace(found.recipe, rules=one) for one in rules)
    assert dataclasses.replace(found, recipe=learning).is_refreshed_by(other, learner)
    fixed = dataclasses.replace(other, rules=other.rules.model_copy(update={"learn_weights": False}))
    assert not dataclasses.replace(found, recipe=fixed).is_refreshed_by(learning, learner)


def test_what_cannot_be_compared_says_why(bundle: Path) -> None:
    assert "2024-11-05" in why(opened(bundle, "2024-11-05"))
    assert why(open_champion({"model": "m", "version": "1", "why": "it is gone"}, datetime(2025, 1, 1))) == "it is gone"
    recipe = json.loads((bundle / RECIPE_FILE).read_text())
    (bundle / RECIPE_FILE).write_text(json.dumps(recipe | {"features": "0123"}))
    assert why(opened(bundle, NOW_DAY)) == "the feature SQL has changed since it was trained"
    (bundle / RECIPE_FILE).write_text(json.dumps(recipe | {"candidates": {"no such setting": 1}}))
    assert "can't be read by this release" in why(opened(bundle, NOW_DAY))
    (bundle / RECIPE_FILE).write_text(json.dumps(recipe))
    (bundle / TWIN / TWIN_FILE).unlink()
    assert why(opened(bundle, NOW_DAY)) == "it was registered without its evaluation twin"


def test_a_version_that_is_gone_from_mlflow_is_told(served: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = served.settings.model_copy(update={"tracking_uri": f"sqlite:///{served.settings.home / 'other.db'}"})
    found = pipeline.find_champions(elsewhere, placements=["for_you"])["champions"]["for_you"]
    assert len(found) == 1
    assert "MLflow doesn't have it any more" in found[0]["why"]
