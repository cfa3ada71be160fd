"""The model card and the feature catalogue."""

from pathlib import Path

import pytest

from recsys.candidates import GENERATORS
from recsys.evaluation.card import model_card
from recsys.evaluation.catalogue import catalogue, list_features
from recsys.features.assemble import feature_names
from recsys.settings import Settings, load_settings
from tests.support.evaluations import evaluation, placement, with_champion


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path)


def card(settings: Settings, **placements: dict[str, object]) -> str:
    return model_card(
        evaluation(**placements),
        "for_you",
        settings,
        rows={"users": 2469, "events": 1_470_000},
        learned_from="2017-01-01T00:00:00",
        generators=("popularity", "als"),
    )


def test_the_card_says_what_the_model_is_for_and_what_it_saw(settings: Settings) -> None:
    text = card(settings)
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# For you: model card",
        "## Purpose",
        "## Data and window",
        "## Method",
        "## Figures",
        "## For whom",
        "## Limits",
        "## How to read it",
    ]
    assert "2,469 users, 1,470,000 events, from 1 January 2017 to 2 January 2018" in text
    assert "from 5 December 2017 to 2 January 2018, by a twin of the model" in text
    assert "2 generators (popularity, als)" in text
    assert len(text.split()) < 1000, "one page"


def test_the_card_has_figures_with_intervals_and_slices(settings: Settings) -> None:
    text = card(settings)
    assert "| NDCG@10 | 0.420 | 0.416 to 0.424 | +0.0150 (+0.0110 to +0.0190), better |" in text
    assert "| light customers | 490 | 0.252 | 0.243 | +0.0090 (+0.0010 to +0.0170) |" in text
    assert "Too small to be judged (fewer than 30 customers): new customers." in text
    compared = card(settings, for_you=with_champion(placement(), score=0.41))
    assert "minus: Model now live" in compared
    assert "+0.0100 (+0.0060 to +0.0140), better" in compared


def test_a_card_without_figures_says_so(settings: Settings) -> None:
    least = {**placement(), "customers": 0, "comparisons": [], "intervals": {}, "slices": {}}
    least["models"] = {name: {} for name in least["models"]}
    assert "No slices were measured." in card(settings, for_you=least)


def test_the_catalogue_has_every_column_of_the_ranker_in_order() -> None:
    generators = tuple(GENERATORS)
    features = list_features(generators)
    assert [one.name for one in features] == feature_names(generators)
    assert all(one.meaning and one.grain for one in features)
    grains = {one.name: one.grain for one in features}
    assert grains["user_lines"] == "customer"
    assert grains["pair_lines"] == "customer and product"
    assert grains["category_share"] == "customer and category"


def test_the_catalogue_tells_each_placements_gain() -> None:
    gains = [{"feature": "pair_order", "gain": 3.0}, {"feature": "item_lines", "gain": 1.0}]
    figures = evaluation(
        for_you={**placement(), "importance": gains}, discover={**placement(), "importance": gains[:1]}
    )
    text = catalogue(figures, ("als",))
    row = next(line for line in text.splitlines() if line.startswith("| `pair_order`"))
    assert row.endswith("| 75.0 % | 100.0 % |")
    row = next(line for line in text.splitlines() if line.startswith("| `item_lines`"))
    assert row.endswith("| 25.0 % | \u2013 |")
    assert "One row per customer and product." in text
    assert "| `als_score` | score by als: " in text
