"""Baseline rankers: they find what is planted, whatever the features hold, and are the same for any threads."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from recsys.ranking import RankingSet, baselines
from recsys.ranking.baselines import BASELINE_RANKERS, read_scores, score_baselines, write_scores
from recsys.settings import load_settings


def planted_rows(seed: int, customers: int = 200, candidates: int = 10) -> RankingSet:
    """Rows whose first feature says what is bought; the others say nothing, and are as bad as features get."""
    random = np.random.default_rng(seed)
    count = customers * candidates
    features = np.empty((count, 6), np.float32)
    features[:, 0] = random.normal(size=count)
    features[random.random(count) < 0.1, 0] = np.nan
    features[:, 1] = random.normal(size=count) * 1e30
    features[:, 2] = np.where(random.random(count) < 0.3, np.inf, -np.inf)
    features[:, 3] = np.nan
    features[:, 4] = 7.0
    features[:, 5] = np.where(random.random(count) < 0.5, np.inf, random.normal(size=count))
    bought = np.nan_to_num(features[:, 0]) + random.normal(size=count) / 3 > 0.8
    return RankingSet(
        features=features,
        labels=np.where(bought, random.integers(1, 3, count), 0).astype(np.int8),  # graded or not, it is bought
        user_idx=np.repeat(np.arange(customers), candidates).astype(np.int32),
        item_idx=np.tile(np.arange(candidates), customers).astype(np.int32),
        groups=np.full(customers, candidates, np.int32),
        names=("signal", "wide", "infinite", "unknown", "constant", "half"),
    )


@pytest.fixture(scope="module")
def rows() -> tuple[RankingSet, RankingSet]:
    return planted_rows(1), planted_rows(2)


def test_each_finds_what_was_planted(rows: tuple[RankingSet, RankingSet]) -> None:
    learned_from, measured = rows
    scores = score_baselines(learned_from, measured, load_settings(threads=1))
    assert tuple(scores) == BASELINE_RANKERS
    for name, values in scores.items():
        assert np.isfinite(values).all()
        assert roc_auc_score(measured.labels > 0, values) > 0.9, name


def test_the_scores_are_the_same_for_any_number_of_threads(rows: tuple[RankingSet, RankingSet]) -> None:
    found = [score_baselines(*rows, load_settings(threads=threads)) for threads in (1, 2, 4)]
    for name in BASELINE_RANKERS:
        assert (found[0][name] == found[1][name]).all()
        assert (found[0][name] == found[2][name]).all()


def test_the_forest_is_that_of_the_library(rows: tuple[RankingSet, RankingSet]) -> None:
    learned_from, measured = rows
    model = baselines._make("forest", load_settings(threads=1))
    features = baselines._finite(measured.features)
    model.fit(baselines._finite(learned_from.features), learned_from.labels > 0)
    np.testing.assert_allclose(baselines._probability(model, features), model.predict_proba(features)[:, 1], rtol=1e-6)


def test_of_many_rows_a_seeded_draw_teaches(
    rows: tuple[RankingSet, RankingSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = score_baselines(*rows, load_settings(threads=1))
    monkeypatch.setattr(baselines, "MOST_ROWS", 500)
    monkeypatch.setattr(baselines, "BLOCK", 333)
    one, same, other = (score_baselines(*rows, load_settings(threads=1, seed=seed)) for seed in (3, 3, 4))
    for name in BASELINE_RANKERS:
        assert (one[name] == same[name]).all()
        assert (one[name] != other[name]).any()
        assert (one[name] != everything[name]).any()
        assert roc_auc_score(rows[1].labels > 0, one[name]) > 0.85


def test_all_equal_features_give_all_equal_scores(rows: tuple[RankingSet, RankingSet]) -> None:
    flat = [RankingSet(**{**one.__dict__, "features": np.ones_like(one.features)}) for one in rows]
    for values in score_baselines(flat[0], flat[1], load_settings(threads=1)).values():
        assert len(np.unique(values)) == 1


def test_nothing_to_score_is_no_scores(rows: tuple[RankingSet, RankingSet]) -> None:
    learned_from, measured = rows
    none = RankingSet(**{**measured.__dict__, "features": measured.features[:0]})
    assert {len(values) for values in score_baselines(learned_from, none, load_settings(threads=1)).values()} == {0}


def test_scores_are_kept_as_they_are(rows: tuple[RankingSet, RankingSet], tmp_path: Path) -> None:
    measured = rows[1]
    scores = {"logistic": np.linspace(0, 1, len(measured.labels), dtype=np.float32)}
    write_scores(measured, scores, tmp_path / "scores.parquet")
    (users, items), found = read_scores(tmp_path / "scores.parquet")
    assert (users == measured.user_idx).all()
    assert (items == measured.item_idx).all()
    assert list(found) == ["logistic"]
    assert (found["logistic"] == scores["logistic"]).all()
