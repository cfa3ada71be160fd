"""Flat names and values, worked out by hand."""

import pytest

from recsys.registry import flatten
from recsys.settings import load_settings
from tests.support.evaluations import evaluation, placement


def test_names_hold_only_what_mlflow_allows() -> None:
    assert flatten.metric_name("ndcg@10") == "ndcg_10"
    assert flatten.metric_name("11 to 50 baskets (é)") == "11_to_50_baskets____"


def test_metrics_have_a_name_per_placement_and_model() -> None:
    found = flatten.metrics(evaluation(for_you=placement(ranker=0.42, half_width=0.01)))
    assert found["for_you.customers"] == 1960
    assert found["for_you.popularity.recall_10"] == pytest.approx(0.0775)
    assert found["for_you.ranker_minus_popularity.ndcg_10"] == pytest.approx(0.265)
    assert found["for_you.ranker_minus_popularity.ndcg_10.high"] == pytest.approx(0.275)
    assert found["for_you.without_rule_of_ten.ranker"] == pytest.approx(0.378)
    assert found["for_you.slice.heavy_customers.customers"] == 490


def test_what_is_not_a_number_is_left_out() -> None:
    figures = placement()
    figures["models"]["ranker"]["ndcg@10"] = float("nan")
    found = flatten.metrics(evaluation(for_you=figures))
    assert "for_you.ranker.ndcg_10" not in found
    assert "for_you.ranker.recall_10" in found


def test_the_recipe_does_not_depend_on_the_machine() -> None:
    here = load_settings(home="/a", threads=1, shards=2, memory_limit_gb=1)
    there = load_settings(home="/b", threads=8, shards=5, memory_limit_gb=9, warehouse_url="duckdb:////x.duckdb")
    assert flatten.recipe_hash(here) == flatten.recipe_hash(there)
    assert flatten.recipe_hash(here) != flatten.recipe_hash(load_settings(home="/a", seed=1))
    assert flatten.recipe_hash(here) != flatten.recipe_hash(load_settings(home="/a", ranker={"trees": 10}))


def test_parameters_are_flat_text() -> None:
    found = flatten.parameters(load_settings(home="/a"))
    assert found["candidates.generators"].startswith("popularity, repurchase")
    assert found["ranker.trees"] == str(load_settings(home="/a").ranker.trees)
    assert all(isinstance(value, str) for value in found.values())


def test_a_secret_is_neither_shown_nor_part_of_the_recipe() -> None:
    secret = "0123456789abcdef"
    told = load_settings(home="/a", review={"webhook_secret": secret, "deadline_hours": 5})
    assert secret not in repr(told)
    assert secret not in "".join(flatten.parameters(told).values())
    assert flatten.parameters(told)["review.deadline_hours"] == "5.0"
    assert flatten.recipe_hash(told) == flatten.recipe_hash(load_settings(home="/a"))
