"""Learned fusion weights on their way: from the cuts before the hold-out into the registered recipe."""

import json
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from recsys import pipeline
from recsys.artifacts import facts_of, local_path
from recsys.cuts import cut_name
from recsys.evaluation.metrics import hit_matrix, ndcg
from recsys.evaluation.reading import read_truth
from recsys.lists import Lists
from recsys.pipeline.training import cuts_of
from recsys.ranking import Ranker, RankingSet
from recsys.registry import download_bundle
from recsys.scoring import FittedState, Recipe, fit_state, plan_shards, score_shard
from recsys.scoring.shard import Scorer
from recsys.settings import FusionRules, FusionSwitch, PlacementSettings, Settings
from recsys.snapshot import Snapshot
from tests.support.chain import stages_to_rankers, write_chain_shop
from tests.support.planted import quick_settings
from tests.support.sealing import changed_copy
from tests.support.warehouse import SEGMENTS

PLACEMENTS = {
    "for_you": PlacementSettings(fusion="scores", learn_weights=True),
    "discover": PlacementSettings(repeats=False, fusion="union", weights={"als": 3.0}),
}
HOME = PlacementSettings(
    fusion="rules",
    fused=10,
    rules=FusionRules(
        order=("als",),
        quotas={"als": 10},
        switches=(FusionSwitch(segments=(SEGMENTS[0],), order=("popularity",), quotas={"popularity": 10}),),
    ),
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = quick_settings(tmp_path_factory.mktemp("learned weights"), placements=PLACEMENTS)
    write_chain_shop(made)
    return made


@pytest.fixture(scope="module")
def made(settings: Settings) -> dict[str, Any]:
    """What the stages up to the evaluation made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        found = stages_to_rankers(settings)
        names = ("snapshot", "ranking_set", "rankers")
        return found | pipeline.evaluate_models(settings, **{name: found[name] for name in names})


def weights_of(made: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = facts_of(made["ranking_set"])["weights"]["for_you"]
    return found


def test_they_are_learned_where_the_settings_say_so(made: dict[str, Any], settings: Settings) -> None:
    weights = weights_of(made)
    assert set(weights) == set(settings.candidates.generators)
    assert len(set(weights.values())) > 1
    assert list(facts_of(made["ranking_set"])["weights"]) == ["for_you"]


def test_the_registered_recipe_has_them(
    made: dict[str, Any], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    names = ("snapshot", "rankers", "evaluation")
    registered = pipeline.register_models(settings, run_name="weights", **{name: made[name] for name in names})
    expected = {"for_you": weights_of(made), "discover": {"als": 3.0}}
    for version in registered["versions"]:
        recipe = Recipe.load(download_bundle(settings, version["model"], version["version"]))
        placement = version["placement"]
        in_force = recipe.apply(quick_settings(settings.resolved_home)).placement(placement)
        assert in_force.weights == expected[placement]
        assert in_force.fusion == PLACEMENTS[placement].fusion


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_every_method_is_measured_and_the_one_in_use_is_what_the_ranker_got(
    made: dict[str, Any], settings: Settings, placement: str
) -> None:
    evaluation = json.loads((local_path(made["evaluation"]) / "metrics.json").read_text(encoding="utf-8"))
    figures = evaluation["placements"][placement]
    assert {name for name in figures["models"] if name.startswith("fused_")} == {
        f"fused_{name}" for name in ("rrf", "scores", "rules", "union")
    }
    in_use = f"fused_{PLACEMENTS[placement].fusion}"
    learned = weights_of(made) if placement == "for_you" else None
    assert figures["fusion"] == {"in_use": in_use, "learned_weights": learned}
    assert figures["best_single"] in settings.candidates.generators
    rows = RankingSet.read([local_path(made["ranking_set"]) / placement / "holdout.parquet"])
    lists = Lists.ranked(rows.user_idx, rows.item_idx, -rows.features[:, rows.names.index("fused_rank")], 10)
    holdout = cut_name(cuts_of(settings, Snapshot.open(made["snapshot"])).holdout)
    truth = read_truth(local_path(made["features"]) / holdout / "truth.parquet", repeats=placement == "for_you")
    hits = hit_matrix(truth, lists.user_idx, lists.item_idx, lists.rank, 10)
    assert figures["models"][in_use]["ndcg@10"] == pytest.approx(float(ndcg(hits, truth.relevant).mean()))


def forget(features: Path, cuts: list[datetime]) -> None:
    for cut in cuts:
        truth = features / cut_name(cut) / "truth.parquet"
        pq.write_table(pq.read_table(truth).slice(0, 0), truth)


def test_the_hold_out_teaches_nothing(made: dict[str, Any], settings: Settings) -> None:
    """Without what was bought in the hold-out, the weights are the same; without an earlier cut, they may differ."""
    plan = cuts_of(settings, Snapshot.open(made["snapshot"]))
    tables = local_path(made["features"])
    for number, (cuts, same) in enumerate((([plan.holdout], True), (list(plan.twin), False))):
        forgetful = changed_copy(tables, settings.resolved_home / f"forgetful {number}", partial(forget, cuts=cuts))
        built = pipeline.build_ranking_set(
            settings,
            snapshot=made["snapshot"],
            features=forgetful,
            candidates=made["candidates"],
            placements=["for_you"],
        )
        assert (facts_of(built["ranking_set"])["weights"]["for_you"] == weights_of(made)) == same


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_baseline_rankers_are_measured_and_nothing_of_them_is_pickled(
    made: dict[str, Any], settings: Settings, placement: str
) -> None:
    evaluation = json.loads((local_path(made["evaluation"]) / "metrics.json").read_text(encoding="utf-8"))
    figures = evaluation["placements"][placement]
    for name in ("logistic", "tree", "forest"):
        assert figures["roles"][name] == "baseline ranker"
        assert figures["models"][name]["ndcg@10"] > figures["models"]["popularity"]["ndcg@10"] / 2
    kept = {path.suffix for path in local_path(made["rankers"]).rglob("*") if path.is_file()}
    assert kept == {".txt", ".json", ".parquet"}


def test_rules_that_switch_by_customer_hold_where_lists_are_made(
    made: dict[str, Any], settings: Settings, tmp_path: Path
) -> None:
    """One segment's lists come from what is popular, everybody else's from ALS."""
    snapshot = Snapshot.open(made["snapshot"])
    switched = settings.model_copy(update={"placements": {"for_you": HOME}})
    state = FittedState(fit_state(switched, snapshot, Recipe.of(switched, "for_you").state_key).path)
    ranker = Ranker.load(local_path(made["rankers"]) / "for_you" / "release")
    score_shard(snapshot, plan_shards(1)[0], [Scorer(switched, "for_you", ranker, state)], tmp_path)
    lists = pq.read_table(tmp_path / "for_you.parquet").to_pylist()
    segments = dict(
        zip(*(pq.read_table(snapshot.users)[name].to_pylist() for name in ("user_id", "segment")), strict=True)
    )
    for row in lists:
        assert ("popularity" if segments[row["subject_id"]] == SEGMENTS[0] else "als") in row["source"].split(",")
    assert len({segments[row["subject_id"]] for row in lists}) > 1
