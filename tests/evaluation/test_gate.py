"""The gate on evaluations whose figures are known."""

import json
from typing import Any

import pytest

from recsys.evaluation.gate import find_comparison, judge
from recsys.settings import GateSettings
from tests.support.evaluations import comparison, evaluation, placement

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
    ]
    assert json.loads(json.dumps(found)) == found


def test_a_later_champion_asks_a_person() -> None:
    found = verdict(placement(), has_champion=True)
    assert (found["gate"], found["decision"]) == ("passed", "ask")
    assert "person" in found["why"]


def compared() -> dict[str, Any]:
    figures = placement()
    return {**figures, "comparisons": [*figures["comparisons"], comparison("ranker", "champion", 0.01, 0.001)]}


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
