"""Artifacts that are altered or missing: refused by who would use them, and made anew by the stage that makes them."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from recsys import pipeline
from recsys.artifacts import local_path
from recsys.errors import AlteredError, NotFoundError, RecsysError
from recsys.settings import Settings
from tests.support.chain import PLACEMENTS, all_published, run, write_chain_shop
from tests.support.planted import NOW, debris, quick_settings
from tests.support.sealing import damage

Stage = Callable[[], Mapping[str, Any]]


class Shop:
    """A home in which the chain ran, and its stages once more, each from what the ones before it made."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.made = run(settings).stages
        self.names = settings.candidates.generators
        self.candidates = [self.made[f"candidates {name}"]["candidates"] for name in self.names]

    def snapshot(self) -> Any:
        return pipeline.take_snapshot(self.settings, as_of="latest", now=NOW)

    def features(self) -> Any:
        return pipeline.build_features(self.settings, snapshot=self.made["snapshot"]["snapshot"])

    def propose(self) -> Any:
        return pipeline.generate_candidates(
            self.settings, snapshot=self.made["snapshot"]["snapshot"], generator=self.names[0]
        )

    def ranking_set(self) -> Any:
        return pipeline.build_ranking_set(
            self.settings,
            snapshot=self.made["snapshot"]["snapshot"],
            features=self.made["features"]["features"],
            candidates=self.candidates,
            placements=PLACEMENTS,
        )

    def rankers(self) -> Any:
        return pipeline.train_rankers(self.settings, ranking_set=self.made["ranking set"]["ranking_set"])

    def evaluation(self) -> Any:
        return pipeline.evaluate_models(
            self.settings,
            snapshot=self.made["snapshot"]["snapshot"],
            ranking_set=self.made["ranking set"]["ranking_set"],
            rankers=self.made["ranker"]["rankers"],
            references=[made["candidates"] for name, made in self.made.items() if name.startswith("reference ")],
        )

    def gate(self) -> Any:
        versions = self.made["registration"]["versions"]
        return pipeline.apply_gate(self.settings, evaluation=self.made["evaluation"]["evaluation"], versions=versions)

    def state(self) -> Any:
        return pipeline.fit_state(self.settings, snapshot=self.made["snapshot"]["snapshot"], placements=PLACEMENTS)

    def score(self) -> Any:
        state = self.made["state"]
        made = [pipeline.score_shard(self.settings, state=state["state"], **shard) for shard in state["shards"]]
        return made[0]

    def publish(self) -> Any:
        lists = [made["lists"] for name, made in self.made.items() if name.startswith("scoring ")]
        return pipeline.publish_lists(
            self.settings, state=self.made["state"]["state"], lists=lists, placement="for_you", run_id="r", now=NOW
        )

    def one(self, kind: str, pattern: str) -> Path:
        """Return one file of what the stages made."""
        return sorted((self.settings.resolved_home / kind).glob(pattern))[0]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        settings = quick_settings(tmp_path_factory.mktemp("altered"))
        write_chain_shop(settings)
        return Shop(settings)


# What is altered, who would use it (what that one made before is taken away first), and who makes it.
CASES = {
    "events": ("snapshots", "*/events/03.parquet", "features", "features", "snapshot"),
    "customers": ("snapshots", "*/users.parquet", "features", "features", "snapshot"),
    "manifest": ("snapshots", "*/manifest.json", "", "features", "snapshot"),
    "features": ("features", "*/*/item.parquet", "ranking_sets", "ranking_set", "features"),
    "ranking set": ("ranking_sets", "*/for_you/2*.parquet", "rankers", "rankers", "ranking_set"),
    "ranker": ("rankers", "*/for_you/twin/ranker.txt", "evaluations", "evaluation", "rankers"),
    "evaluation": ("evaluations", "*/metrics.json", "", "gate", "evaluation"),
    "plan": ("plans", "*/plan.json", "lists", "score", "state"),
    "state": ("states", "*/eligible.npz", "lists", "score", "state"),
    "bundle": ("models", "*_for_you/1-*/ranker.txt", "lists", "score", "state"),
    "lists": ("lists", "*/for_you.parquet", "", "publish", "score"),
    "seal": ("rankers", "*/_done.json", "evaluations", "evaluation", "rankers"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_was_altered_is_refused_and_made_anew(shop: Shop, case: str) -> None:
    kind, pattern, made_before, user, maker = CASES[case]
    before, path = all_published(shop.settings), shop.one(kind, pattern)
    content = path.read_bytes()
    if made_before:
        shutil.rmtree(shop.settings.resolved_home / made_before)
    damage(path)
    assert path.stat().st_size == len(content)
    with pytest.raises(AlteredError, match=r"(altered|damaged).*rerun the stage that"):
        getattr(shop, user)()
    assert not made_before or not list((shop.settings.resolved_home / made_before).glob("*"))
    getattr(shop, maker)()
    assert path.read_bytes() == content
    getattr(shop, user)()
    assert all_published(shop.settings) == before
    assert debris(shop.settings.resolved_home) == []


def test_candidates_that_were_altered(shop: Shop) -> None:
    path = sorted(local_path(shop.candidates[0]).glob("*/repeats.parquet"))[0]
    shutil.rmtree(shop.settings.resolved_home / "ranking_sets")
    damage(path)
    with pytest.raises(AlteredError, match=rf"{path.name} is not what its stage wrote"):
        shop.ranking_set()
    assert not shop.propose()["reused"]
    assert shop.ranking_set()["ranking_set"] == shop.made["ranking set"]["ranking_set"]


@pytest.mark.parametrize(("pattern", "error"), [("*/eligible.npz", AlteredError), ("*", NotFoundError)])
def test_what_is_missing_is_told_and_made_anew(shop: Shop, pattern: str, error: type[RecsysError]) -> None:
    path = shop.one("states", pattern)
    shutil.rmtree(shop.settings.resolved_home / "lists")
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(error, match="rerun the stage that makes it"):
        shop.score()
    shop.state()
    assert not shop.score()["reused"]


def test_an_altered_artifact_is_no_reason_to_fail_for_who_makes_it(shop: Shop) -> None:
    path = shop.one("snapshots", "*/items.parquet")
    damage(path)
    assert not shop.snapshot()["reused"]
    assert shop.snapshot()["reused"]
    assert shop.snapshot()["snapshot"] == shop.made["snapshot"]["snapshot"]
