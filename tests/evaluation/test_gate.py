"""The gate on evaluations whose figures are known."""

import json
from typing import Any

import pytest

from recsys.evaluation.gate import judge
from recsys.evaluation.rules import find_comparison
from recsys.settings import GateSettings
from tests.support.evaluations import comparison, evaluation, placement, with_champion

GATE = GateSettings(margin=0.005)


def verdict(figures: dict[str, Any], *, has_champion: bool = False, gate: GateSettings = GATE) -> dict[str, Any]:
    return judge(evaluation(for_you=figures), gate, has_champion=has_champion)["for_you"]


def with_interval(figures: dict[str, Any], other: str, low: float, high: float) -> dict[str, Any]:
    kept = [one for one in figures["comparisons"] if one["b"] != other]
    return {
        **figures,
        "comparisons": [*kept, comparison("ranker", other, (low + high) / 2, (high - low) / 2)],
    }


def test_the_first_champion_goes_live_by_itself_when_all_rules_hold() -> None:
    found = verdict(placement())
    assert (found["gate"], found["decision"]) == ("passed", "auto")
    assert [rule["rule"] for rule in found["rules"]] == [
        "somebody was measured",
        "not below the best single generator (repurchase)",
        "beats the baseline popularity",
        "the release's lists are like its twin's (share of the ten in both)",
        "the release's scores are like its twin's (distance of the distributions, in deviations)",
    ]
    assert found["kind"] == "first"
    assert json.loads(json.dumps(found)) == found


def test_a_later_champion_asks_a_person() -> None:
    found = verdict(placement(), has_champion=True)
    assert (found["gate"], found["decision"]) == ("passed", "ask")
    assert "person" in found["why"]


def compared(**changes: Any) -> dict[str, Any]:
    """Return figures beside a champion that is .01 below, with some of them changed."""
    return {**with_champion(placement(), score=0.41), **changes}


def test_the_policy_can_be_turned_round() -> None:
    gate = GateSettings(first_champion="ask", later_champions="auto")
    assert verdict(placement(), gate=gate)["decision"] == "ask"
    assert verdict(compared(), gate=gate, has_champion=True)["decision"] == "auto"
    asked = verdict(compared(), has_champion=True)
    assert asked["decision"] == "ask"
    assert "the policy asks a person" in asked["why"]


def test_a_champion_that_was_not_compared_with_is_never_replaced_by_itself() -> None:
    found = verdict(placement(), gate=GateSettings(later_champions="auto"), has_champion=True)
    assert (found["gate"], found["decision"]) == ("passed", "ask")
    assert "the champion was not compared with, so a person decides" in found["why"]


def test_why_the_champion_was_not_compared_with_is_told() -> None:
    figures = {**placement(), "champion": {"version": "1", "is_compared": False, "why": "it has no twin"}}
    assert "the champion was not compared with (it has no twin), so" in verdict(figures, has_champion=True)["why"]


def test_a_difference_without_an_interval_fails() -> None:
    figures = with_interval(placement(), "popularity", 0.1, 0.2)
    figures["comparisons"][-1] |= {"low": None, "high": None}
    found = verdict(figures)
    assert found["gate"] == "failed"
    assert "popularity: not measured" in found["why"]


@pytest.mark.parametrize(
    ("low", "high", "gate"),
    [
        (-0.03, 0.03, "passed"),  # a small shop: nothing is shown
        (-0.009, 0.0, "passed"),
        (-0.011, 0.0, "failed"),  # on average worse by more than the margin
        (-0.004, -0.0001, "failed"),  # shown to be worse, however little
    ],
)
def test_the_ranker_must_not_be_below_the_best_single_generator(low: float, high: float, gate: str) -> None:
    found = verdict(with_interval(placement(), "repurchase", low, high))
    assert found["gate"] == gate
    assert ("repurchase" in found["why"]) == (gate == "failed")


@pytest.mark.parametrize(("low", "gate"), [(0.0001, "passed"), (0.0, "failed")])
def test_the_interval_over_a_baseline_lies_above_zero(low: float, gate: str) -> None:
    assert verdict(with_interval(placement(), "popularity", low, 0.1))["gate"] == gate


def test_a_baseline_that_is_the_best_single_generator_is_judged_once() -> None:
    figures = with_interval({**placement(), "baselines": ["popularity", "repurchase"]}, "repurchase", -0.001, 0.02)
    found = verdict(figures)
    assert found["gate"] == "passed"
    assert sum("repurchase" in rule["rule"] for rule in found["rules"]) == 1


def test_what_fails_is_never_promoted_by_itself() -> None:
    gate = GateSettings(first_champion="auto", later_champions="auto")
    failing = placement(ranker=0.1)
    assert verdict(failing, gate=gate)["decision"] == "ask"
    assert verdict(failing, gate=gate, has_champion=True)["decision"] == "ask"


def test_a_missing_comparison_fails() -> None:
    figures = placement()
    figures["comparisons"] = [one for one in figures["comparisons"] if one["b"] != "popularity"]
    found = verdict(figures)
    assert found["gate"] == "failed"
    assert "popularity: not measured" in found["why"]


def test_a_figure_that_is_not_a_number_fails() -> None:
    assert verdict(with_interval(placement(), "popularity", float("nan"), float("nan")))["gate"] == "failed"


def test_nobody_measured_fails() -> None:
    assert verdict(placement(customers=0))["gate"] == "failed"


def test_a_champion_in_the_evaluation_is_compared_with() -> None:
    figures = placement()
    figures["comparisons"].append(comparison("ranker", "champion", -0.02, 0.001))
    found = verdict(figures, has_champion=True)
    assert found["gate"] == "failed"
    assert "not below the champion: -0.0200" in found["why"]


def test_each_placement_is_judged_by_its_own_figures_and_champion() -> None:
    figures = evaluation(for_you=placement(), discover=placement(ranker=0.1), cart=placement())
    found = judge(figures, GATE, has_champion={"for_you": True})
    assert {name: (one["gate"], one["decision"]) for name, one in found.items()} == {
        "for_you": ("passed", "ask"),
        "discover": ("failed", "ask"),
        "cart": ("passed", "auto"),
    }


def test_a_comparison_kept_the_other_way_round_is_turned() -> None:
    found = find_comparison({"comparisons": [comparison("popularity", "ranker", -0.3, 0.01)]}, "ranker", "popularity")
    assert found is not None
    assert (found["difference"], found["low"], found["high"]) == pytest.approx((0.3, 0.29, 0.31))


def failures(found: dict[str, Any]) -> list[str]:
    return [rule["rule"] for rule in found["rules"] if not rule["passed"]]


@pytest.mark.parametrize(
    ("score", "is_refreshed", "failed"),
    [
        (0.41, False, []),  # +.010 (.006 to .014)
        (0.4185, False, ["gains on the champion, since the recipe changed"]),  # +.0015 (-.0025 to .0055)
        (0.4185, True, []),
        (0.4205, True, []),  # -.0005 (-.0045 to .0035)
        (0.4215, True, ["not below the champion"]),  # -.0015 (-.0055 to .0025): may be worse by the margin
        (0.43, True, ["not below the champion"]),
    ],
)
def test_a_refresh_must_be_no_worse_and_a_changed_recipe_must_gain(
    score: float, is_refreshed: bool, failed: list[str]
) -> None:
    figures = with_champion(placement(), score=score, is_refreshed=is_refreshed)
    found = verdict(figures, has_champion=True)
    assert failures(found) == failed
    assert found["kind"] == ("refresh" if is_refreshed else "changed")


@pytest.mark.parametrize(("difference", "failed"), [(0.0015, True), (0.0025, False)])
def test_a_gain_that_is_sure_but_small_is_not_enough_for_a_changed_recipe(difference: float, failed: bool) -> None:
    figures = with_champion(placement(), score=0.42 - difference, half_width=0.001)
    assert bool(failures(verdict(figures, has_champion=True))) == failed


@pytest.mark.parametrize(
    ("name", "difference", "half_width", "fails"),
    [
        ("tail products", -0.02, 0.01, True),
        ("tail products", -0.02, 0.03, False),  # it isn't shown
        ("tail products", -0.009, 0.001, False),  # shown, and within the margin
        ("segment: young families", -0.02, 0.01, True),
        ("heavy customers", -0.02, 0.01, False),  # not guarded
    ],
)
def test_a_guarded_group_must_not_lose(name: str, difference: float, half_width: float, fails: bool) -> None:
    figures = compared()
    group = {
        **figures["slices"]["tail products"],
        "comparisons": [comparison("ranker", "champion", difference, half_width)],
    }
    found = verdict({**figures, "slices": {name: group}}, has_champion=True)
    assert failures(found) == ([f"not below the champion for {name}"] if fails else [])


def test_a_group_that_is_too_small_is_told_and_judges_nothing() -> None:
    rules = verdict(compared(), has_champion=True)["rules"]
    [one] = [rule for rule in rules if rule["rule"] == "not below the champion for new customers"]
    assert (one["passed"], one["value"]) == (True, "too few customers to be judged (7)")


@pytest.mark.parametrize(
    ("ranker", "champion", "fails"), [(0.31, 0.4, False), (0.29, 0.4, True), (None, 0.4, True), (0.1, 0.0, False)]
)
def test_the_range_must_be_kept(ranker: float | None, champion: float, fails: bool) -> None:
    figures = compared()
    figures["models"]["ranker"]["coverage"], figures["models"]["champion"]["coverage"] = ranker, champion
    assert failures(verdict(figures, has_champion=True)) == (["keeps the coverage of the range"] if fails else [])


def test_the_variety_must_be_kept_where_there_are_categories() -> None:
    figures = compared()
    figures["models"]["ranker"]["diversity_category"], figures["models"]["champion"]["diversity_category"] = 0.5, 0.7
    assert failures(verdict(figures, has_champion=True)) == ["keeps the variety of a list (categories)"]


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"changes": {"new_products": 7.5}}, "customers recognise their lists"),
        ({"changes": {}}, "customers recognise their lists"),
        ({"seconds": {"ranker": 0.21, "champion": 0.1}}, "scores 1,000 customers about as fast"),
        ({"seconds": {}}, "scores 1,000 customers about as fast"),
    ],
)
def test_lists_that_nobody_would_recognise_and_a_slow_model_fail(changed: dict[str, Any], rule: str) -> None:
    figures = compared()
    [failed] = failures(verdict({**figures, "champion": figures["champion"] | changed}, has_champion=True))
    assert failed.startswith(rule)


@pytest.mark.parametrize(
    ("release", "count"),
    [({"overlap": 0.34, "score_distance": 0.1}, 1), ({"overlap": 0.9, "score_distance": 0.26}, 1), ({}, 2)],
)
def test_a_release_that_ranks_unlike_its_twin_fails(release: dict[str, float], count: int) -> None:
    found = verdict({**placement(), "release": release})
    assert len(failures(found)) == count
    assert all("its twin's" in rule for rule in failures(found))
