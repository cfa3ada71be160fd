"""Labels by event type: the strongest event counts, rankers put it first, models are measured by purchases alone."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from recsys.compute import engine
from recsys.cuts import lay_cut
from recsys.history import eligible_items
from recsys.ranking import RankingSet, train_ranker, write_labels, write_truth
from recsys.ranking.labels import gains_of, levels_of
from recsys.settings import LearnerSettings, RankerSettings, load_settings
from recsys.snapshot import Snapshot, take_snapshot
from tests.ranking.test_ranking_set import CUT
from tests.support.planted import NOW, Event, days, quick_settings, write_shop

WEIGHTS = {"purchase": 1.0, "cart": 0.5, "click": 0.5, "view": 0.1}


def test_levels_and_gains_by_hand() -> None:
    assert levels_of(WEIGHTS) == {"purchase": 3, "cart": 2, "click": 2, "view": 1}
    assert gains_of(WEIGHTS).tolist() == [0, 0.1, 0.5, 1]
    assert levels_of({"purchase": 4.0}) == {"purchase": 1}


def written(folder: Path, weights: dict[str, float]) -> tuple[dict[tuple[str, str], int], set[tuple[str, str]]]:
    """Return the labels of a small shop, and what was truly bought."""
    settings = quick_settings(folder, ranker=RankerSettings(event_weights=weights))
    items = ["milk", "soap", "tea", "jam", "rare"]
    base = [Event("other", item, CUT - days(n + 1)) for n in range(3) for item in items[:-1]]
    known = [Event(user, "milk", CUT - days(9)) for user in ("ann", "bob")]
    after = [
        Event("ann", "soap", CUT + days(1), kind="view"),
        Event("ann", "soap", CUT + days(2), kind="cart"),
        Event("ann", "tea", CUT + days(2), kind="view"),
        Event("ann", "tea", CUT + days(3)),
        Event("ann", "tea", CUT + days(4), kind="view"),
        Event("ann", "milk", CUT + days(1), kind="impression"),  # says nothing of her
        Event("ann", "rare", CUT + days(1), kind="view"),  # may not be recommended
        Event("ann", "jam", CUT + days(29), kind="cart"),  # too late
        Event("bob", "jam", CUT + days(1), kind="view"),
        Event("bob", "jam", CUT + days(2)),
        Event("bob", "jam", CUT + days(3), kind="return"),  # so what is left is the look
        Event("carl", "tea", CUT + days(1), kind="view"),  # has no purchase before the cut
        Event("other", "milk", CUT + days(200)),
    ]
    write_shop(settings, users=["ann", "bob", "carl", "other"], items=items, events=[*base, *known, *after])
    snapshot = Snapshot.open(take_snapshot(settings, as_of="latest", now=NOW).uri)
    files = folder / "truth.parquet", folder / "labels.parquet"
    with engine(settings) as connection:
        snapshot.attach(connection)
        lay_cut(connection, CUT)
        items, _ = eligible_items(connection, settings)
        write_truth(connection, settings, items, files[0])
        write_labels(connection, settings, items, files[1])
    users = pq.read_table(snapshot.users)["user_id"].to_pylist()
    products = pq.read_table(snapshot.items)["item_id"].to_pylist()
    truth, labels = (pq.read_table(path).to_pylist() for path in files)
    return (
        {(users[row["user_idx"]], products[row["item_idx"]]): row["level"] for row in labels},
        {(users[row["user_idx"]], products[row["item_idx"]]) for row in truth},
    )


def test_the_strongest_event_counts(tmp_path: Path) -> None:
    labels, truth = written(tmp_path, WEIGHTS)
    assert labels == {("ann", "soap"): 2, ("ann", "tea"): 3, ("bob", "jam"): 1}
    assert truth == {("ann", "tea")}


def test_by_default_a_label_is_a_purchase(tmp_path: Path) -> None:
    labels, truth = written(tmp_path, RankerSettings().event_weights)
    assert labels == {("ann", "tea"): 1}
    assert truth == {("ann", "tea")}


def graded_rows(customers: int = 300, candidates: int = 20) -> RankingSet:
    """Rows whose first feature makes purchases likely (level 2) and whose second makes views likely (level 1)."""
    random = np.random.default_rng(4)
    features = random.normal(size=(customers * candidates, 2)).astype(np.float32)
    noise = random.normal(size=features.shape) / 3
    bought, viewed = (features + noise > 1.2).T
    return RankingSet(
        features=features,
        labels=np.where(bought, 2, np.where(viewed, 1, 0)).astype(np.int8),
        user_idx=np.repeat(np.arange(customers), candidates).astype(np.int32),
        item_idx=np.tile(np.arange(candidates), customers).astype(np.int32),
        groups=np.full(customers, candidates, np.int32),
        names=("buys", "looks"),
    )


@pytest.mark.parametrize("objective", ["lambdarank", "rank_xendcg", "binary"])
def test_the_weights_say_what_belongs_first(objective: str) -> None:
    """What a view is worth decides how high products go that are looked at; purchases stay above views all the same."""
    rows = graded_rows()
    learner = LearnerSettings(trees=30, min_rows_in_leaf=5, objective=objective)
    only_buys, only_looks = np.array([[2, 0], [0, 2]], np.float32)
    lead = {}
    for worth in (0.05, 0.9):
        settings = load_settings(threads=1, ranker=RankerSettings(event_weights={"purchase": 1.0, "view": worth}))
        ranker = train_ranker(rows, settings, learner)
        buys, looks, nothing = ranker.scores(np.array([only_buys, only_looks, [0, 0]], np.float32), 1)
        assert buys > looks - 1e-9
        assert looks > nothing
        lead[worth] = (buys - looks) / (buys - nothing)
    if objective == "rank_xendcg":  # knows the order of the weights alone
        assert lead[0.05] == lead[0.9]
    else:
        assert lead[0.05] > lead[0.9] + 0.05


def test_with_one_kind_of_event_its_weight_changes_nothing() -> None:
    rows = graded_rows()
    one = RankingSet(**{**rows.__dict__, "labels": (rows.labels == 2).astype(np.int8)})
    texts = {
        train_ranker(one, load_settings(threads=1, ranker=ranker)).booster.model_to_string()
        for ranker in (RankerSettings(trees=5), RankerSettings(trees=5, event_weights={"purchase": 3.0}))
    }
    assert len(texts) == 1


@pytest.mark.parametrize(
    "weights", [{}, {"view": 1.0}, {"purchase": 1.0, "return": 1.0}, {"purchase": 0.0}, {"purchase": float("nan")}]
)
def test_weights_that_make_no_sense_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="event_weights"):
        RankerSettings(event_weights=weights)
