"""What the report and the evidence say of shaping."""

from typing import Any

import pytest

from recsys.evaluation.evidence import evidence
from recsys.evaluation.report import render_report
from recsys.evaluation.shaping_report import shaping_cost, shaping_section
from tests.support.evaluations import comparison, evaluation, placement


def shaped(cost: float = 0.002, half_width: float = 0.001) -> dict[str, Any]:
    """Return a placement whose shaping costs so much of an NDCG of .4."""
    figures = placement(ranker=0.4)
    figures["models"]["shaped"] = {**figures["models"]["ranker"], "ndcg@10": 0.4 - cost, "diversity_category": 0.8}
    figures["models"]["ranker"]["diversity_category"] = 0.75
    figures["comparisons"].append(comparison("ranker", "shaped", cost, half_width))
    figures["shaping"] = {"sensitive_share": {"ranker": 0.025, "shaped": 0.01}}
    return figures


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (0.002, "Shaping costs 0.5 % of NDCG@10: \u22120.0020 (\u22120.0030 to \u22120.0010), worse."),
        (-0.004, "Shaping adds 1.0 % of NDCG@10: +0.0040 (+0.0030 to +0.0050), better."),
        (0.0005, "Shaping costs 0.1 % of NDCG@10: \u22120.0005 (\u22120.0015 to +0.0005), no clear difference."),
    ],
)
def test_the_cost_is_the_paired_difference(cost: float, said: str) -> None:
    assert shaping_cost(shaped(cost)) == f"Customers see shaped lists. {said}"


def test_ranked_and_shaped_stand_side_by_side() -> None:
    section = shaping_section(shaped())
    assert section is not None
    rows = {row["name"]: (row["ranked"], row["shaped"]) for row in section["rows"]}
    assert rows["NDCG@10"] == ("0.400", "0.398")
    assert rows["Diversity by category"] == ("0.750", "0.800")
    assert rows["Share of rows of sensitive categories"] == ("0.025", "0.010")
    assert rows["Hit rate@10"] == ("0.200", "0.200")


def test_the_report_and_the_evidence_tell_it() -> None:
    found = evaluation(for_you=shaped())
    page, text = render_report(found), evidence(found, "for_you")
    for part in ("Ranked and shaped", "Shaping costs 0.5 % of NDCG@10"):
        assert part in page
    assert "Shaping costs 0.5 % of NDCG@10" in text


def test_evaluations_without_shaping_say_nothing_of_it() -> None:
    found = evaluation(for_you=placement())
    assert shaping_section(found["placements"]["for_you"]) is None
    assert "Ranked and shaped" not in render_report(found)
    assert "haping" not in evidence(found, "for_you")


def test_a_ranking_of_no_value_has_no_share_to_lose() -> None:
    figures = shaped()
    figures["models"]["ranker"]["ndcg@10"] = 0.0
    assert shaping_cost(figures) == "What shaping costs was not measured."
