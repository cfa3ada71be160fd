"""What a desk gives the ranker."""

from pathlib import Path

import numpy as np

from recsys.compute import engine
from recsys.cuts import lay_cut
from recsys.features.assemble import feature_names
from recsys.fusion import Candidates
from recsys.ranking import Ranker, RankingSet, train_ranker
from recsys.scoring import FittedState, Recipe, fit_state
from recsys.scoring.desk import Scorer, open_desks, propose_to
from recsys.settings import CandidateSettings, PlacementSettings, Settings
from recsys.snapshot import Snapshot, take_snapshot
from recsys.warehouse import open_warehouse
from tests.support.planted import NOW, quick_settings
from tests.support.warehouse import write_small_shop

NAMES = ("popularity", "repurchase")
ALL = tuple(feature_names(NAMES))
RULES = PlacementSettings(first_trees=2, survivors=20)


def ranker_of(names: tuple[str, ...], settings: Settings) -> Ranker:
    """Return a ranker that learned from noise: what it reads matters here, not what it knows."""
    random = np.random.default_rng(1)
    features = random.normal(5, 5, size=(400, len(names))).astype(np.float32)
    labels = (features.sum(axis=1) > 5 * len(names)).astype(np.int8)
    nobody, groups = np.zeros(400, np.int32), np.full(20, 20, np.int32)
    return train_ranker(RankingSet(features, labels, nobody, nobody, groups, names), settings)


def test_a_ranker_reads_its_own_features_in_its_own_order(tmp_path: Path) -> None:
    """Also one that learned before there were others; and what the first look leaves is scored as it would be."""
    candidates = CandidateSettings(generators=NAMES, per_generator=30)
    settings = quick_settings(tmp_path, candidates=candidates, placements={"for_you": RULES})
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=30)
    snapshot = Snapshot.open(take_snapshot(settings, as_of="latest", now=NOW).uri)
    state = FittedState(fit_state(settings, snapshot, Recipe.of(settings, "for_you").state_key).path)
    scorers = [
        Scorer(settings, "for_you", ranker_of(names, settings), state) for names in (("fused_rank", "item_lines"), ALL)
    ]
    with engine(settings) as connection:
        snapshot.attach(connection)
        lay_cut(connection, snapshot.as_of)
        with open_desks(connection, scorers, snapshot.user_count) as (desks, known):
            for desk, proposed in zip(desks, propose_to(desks, known), strict=True):
                found = desk.fuse(proposed)
                features, (left, scores) = desk.features(found), desk.score(found)
                wanted = [ALL.index(name) for name in desk.scorer.ranker.names]
                np.testing.assert_array_equal(features, desk.tables.gather(found)[:, wanted])
                exact = dict(zip(pairs(found), desk.scorer.ranker.scores(features, 1), strict=True))
                assert [exact[pair] for pair in pairs(left)] == scores.tolist()
                assert len(scores) < len(features)


def pairs(found: Candidates) -> list[tuple[int, int]]:
    return list(zip(found.user_idx.tolist(), found.item_idx.tolist(), strict=True))
