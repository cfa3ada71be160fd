"""What the evaluation calls shaped is what is published: the same steps on the same candidates, caps included."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

from recsys.artifacts import local_path
from recsys.evaluation.shaped import shape_ranking
from recsys.lists import Lists
from recsys.settings import PlacementSettings, Settings
from tests.support.chain import PLACEMENTS, Ran

Candidates = tuple[Any, Any, Any]


@pytest.fixture(scope="module")
def candidates(ran: Ran) -> Candidates:
    """Scores of 60 products for each customer, much alike for all, so that lists are crowded."""
    random = np.random.default_rng(2)
    users, items = np.repeat(np.arange(120), 60), np.tile(np.arange(60), 120)
    scores = 1.0 - items / 60 + random.normal(0, 0.05, len(items))
    order = random.permutation(len(users))
    return users[order].astype(np.int32), items[order].astype(np.int32), scores[order]


def shaped_with(ran: Ran, candidates: Candidates, k: int = 10, **shaping: Any) -> Lists:
    rules = PlacementSettings.model_validate({"shaping": shaping})
    settings: Settings = ran.settings.model_copy(update={"placements": {"for_you": rules}})
    return shape_ranking(settings, ran.snapshot, "for_you", ran.snapshot.as_of, candidates, k).lists


def test_caps_hold_in_the_evaluation_as_well(ran: Ran, candidates: Candidates) -> None:
    def most(lists: Lists) -> int:
        return max(Counter(lists.item_idx[lists.rank <= 10].tolist()).values())

    free, capped = shaped_with(ran, candidates), shaped_with(ran, candidates, item_cap=0.07)
    assert most(free) > 100
    assert most(capped) == 84, "7 % of 120 customers' ten places"
    for lists in (free, capped):
        assert (np.unique(lists.user_idx[lists.rank <= 10], return_counts=True)[1] == 10).all()


def test_longer_lists_begin_like_those_that_are_published(ran: Ran, candidates: Candidates) -> None:
    short, long = (shaped_with(ran, candidates, k, pool=30, diversity_weight=0.5) for k in (10, 50))
    assert len(long.rank) == 120 * 50
    for field in ("user_idx", "item_idx", "rank"):
        assert (getattr(short, field) == getattr(long, field)[long.rank <= 20]).all()


def test_nothing_ranked_is_nothing_shaped(ran: Ran) -> None:
    none = (np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0))
    assert len(shaped_with(ran, none).rank) == 0
    assert len(shaped_with(ran, none, item_cap=0.5).rank) == 0


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_evaluation_measures_it_beside_the_ranking(ran: Ran, placement: str) -> None:
    folder = local_path(ran.stages["evaluation"]["evaluation"])
    figures = json.loads((folder / "metrics.json").read_text())["placements"][placement]
    assert figures["ranker"] == "ranker"
    assert set(figures["models"]["ranker"]) == set(figures["models"]["shaped"])
    assert figures["models"]["shaped"]["diversity_category"] > figures["models"]["ranker"]["diversity_category"]
    assert figures["best_single"] != "shaped"
    assert [one for one in figures["comparisons"] if (one["a"], one["b"]) == ("ranker", "shaped")]
    page = (folder / "report.html").read_text()
    assert page.count("Ranked and shaped") == len(PLACEMENTS)
    examples = [one for one in json.loads((folder / "examples.json").read_text()) if one["placement"] == placement]
    assert all(len(one["ranked"]) == len(one["after"]) == 10 for one in examples)
    moved = [product for one in examples for product in one["ranked"] if product["other_rank"] is None]
    assert len(moved) < 3 * len(examples), "shaping changes little of a list"
