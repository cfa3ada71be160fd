"""Rows as bad as they get: unknown, infinite or equal features, generators that propose nothing."""

from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow.parquet as pq
import pytest

from recsys import pipeline
from recsys.artifacts import facts_of, local_path
from recsys.errors import ContractError
from recsys.lists import Lists
from recsys.ranking import RankingSet, train_ranker
from recsys.settings import Objective, RankerSettings, load_settings
from tests.support.chain import stages_to_rankers, write_chain_shop
from tests.support.planted import quick_settings
from tests.support.proposed import write_proposals
from tests.support.sealing import changed_copy

CUSTOMERS, CANDIDATES = 100, 12
OBJECTIVES: tuple[Objective, ...] = ("lambdarank", "rank_xendcg", "binary")


def rows_of(features: np.ndarray, seed: int = 1) -> RankingSet:
    """Rows with these features, of which what is bought depends on the first one, where it is known."""
    random = np.random.default_rng(seed)
    signal = np.nan_to_num(features[:, 0], posinf=0, neginf=0)
    return RankingSet(
        features=features.astype(np.float32),
        labels=(signal + random.normal(size=len(features)) > 1).astype(np.int8),
        user_idx=np.repeat(np.arange(CUSTOMERS), CANDIDATES).astype(np.int32),
        item_idx=np.tile(np.arange(CANDIDATES), CUSTOMERS).astype(np.int32),
        groups=np.full(CUSTOMERS, CANDIDATES, np.int32),
        names=tuple(f"feature_{n}" for n in range(features.shape[1])),
    )


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_features_that_are_no_numbers_hide_nothing(objective: Objective) -> None:
    random = np.random.default_rng(2)
    features = random.normal(size=(CUSTOMERS * CANDIDATES, 5))
    features[random.random(len(features)) < 0.3, 0] = np.nan
    features[:, 1] = np.nan
    features[:, 2] = np.where(random.random(len(features)) < 0.5, np.inf, -np.inf)
    features[:, 3] = 4.0
    features[random.random(len(features)) < 0.3, 4] = np.inf
    rows = rows_of(features)
    settings = load_settings(threads=1, ranker=RankerSettings(trees=20, objective=objective))
    ranker = train_ranker(rows, settings)
    scores = ranker.scores(rows.features, 1)
    assert np.isfinite(scores).all()
    assert ranker.importance()[0]["feature"] == "feature_0"
    known = ~np.isnan(features[:, 0])
    assert np.corrcoef(scores[known], features[known, 0])[0, 1] > 0.7


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_equal_features_give_equal_scores_and_the_lower_items(objective: Objective) -> None:
    rows = rows_of(np.ones((CUSTOMERS * CANDIDATES, 3)))
    ranker = train_ranker(rows, load_settings(threads=1, ranker=RankerSettings(trees=5, objective=objective)))
    scores = ranker.scores(rows.features, 1)
    assert len(np.unique(scores)) == 1
    lists = Lists.ranked(rows.user_idx[::-1], rows.item_idx[::-1], scores, 3)
    assert lists.item_idx.reshape(CUSTOMERS, 3).tolist() == [[0, 1, 2]] * CUSTOMERS


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    settings = quick_settings(tmp_path_factory.mktemp("silent"), threads=1)
    write_chain_shop(settings, users=90)
    return {"settings": settings, **stages_to_rankers(settings)}


def silenced(made: dict[str, object], folder: Path, *names: str) -> list[str]:
    """Copy what generators proposed, and let these propose nothing to anybody."""

    def silence(target: Path) -> None:
        for path in target.rglob("*.parquet"):
            write_proposals(path, [])

    return [
        changed_copy(local_path(uri), folder, silence if facts_of(uri)["generator"] in names else lambda _: None)
        for uri in made["candidates"]
    ]


def test_a_generator_that_proposes_nothing_is_left_out_of_the_figures(made: dict[str, object]) -> None:
    settings = made["settings"]
    names = {name: made[name] for name in ("snapshot", "features")}
    candidates = silenced(made, settings.resolved_home / f"silent {uuid4().hex}", "als")
    built = pipeline.build_ranking_set(settings, candidates=candidates, placements=["for_you"], **names)
    ranking_set = built["ranking_set"]
    rows = pq.read_table(
        local_path(ranking_set) / "for_you" / "holdout.parquet", columns=["als_rank", "popularity_rank"]
    )
    assert rows["als_rank"].null_count == rows.num_rows
    rankers = pipeline.train_rankers(settings, ranking_set=ranking_set)["rankers"]
    measured = pipeline.evaluate_models(
        settings,
        snapshot=made["snapshot"],
        ranking_set=ranking_set,
        rankers=rankers,
    )["metrics"]["for_you"]
    assert "als" not in measured
    assert measured["ranker"] > measured["popularity"]
    assert {"fused_rrf", "fused_scores", "fused_rules", "fused_union", "logistic", "tree", "forest"} <= set(measured)


def test_nobody_proposing_anything_says_what_to_do(made: dict[str, object]) -> None:
    settings = made["settings"]
    names = {name: made[name] for name in ("snapshot", "features")}
    everybody = settings.candidates.generators
    candidates = silenced(made, settings.resolved_home / f"silent {uuid4().hex}", *everybody)
    built = pipeline.build_ranking_set(settings, candidates=candidates, placements=["for_you"], **names)
    with pytest.raises(ContractError, match="No candidate was bought within the horizon"):
        pipeline.train_rankers(settings, ranking_set=built["ranking_set"])
