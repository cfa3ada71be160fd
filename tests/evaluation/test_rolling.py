"""The mean of several cuts, worked by hand, and its flat records."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.evaluation.roles import role_of
from recsys.evaluation.rolling import MEAN, MeasuredCut, over_cuts, records
from recsys.evaluation.values import CustomerValues, summarise
from recsys.settings import GateSettings, Settings, load_settings

HEADLINE = "ndcg@10"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path, gate=GateSettings(bootstrap=500))


def cut(settings: Settings, name: str, customers: list[str], **models: list[float]) -> MeasuredCut:
    values = CustomerValues(np.array(customers), {m: {HEADLINE: np.array(own)} for m, own in models.items()})
    summary = summarise([values], "ranker", settings)
    figures = {
        "customers": len(customers),
        "ranker": "ranker",
        "roles": {model: role_of(model) for model in models},
        "models": {model: own | {"coverage": len(name) / 10} for model, own in summary.models.items()},
        "intervals": summary.intervals,
        "comparisons": summary.comparisons,
    }
    return MeasuredCut(name, figures, values)


@pytest.fixture
def cuts(settings: Settings) -> list[MeasuredCut]:
    return [
        cut(settings, "may", ["a", "b"], ranker=[0.4, 0.6], als=[0.2, 0.4], repurchase=[0.1, 0.1], item_cf=[1, 1]),
        cut(settings, "june", ["b", "c"], ranker=[0.9, 0.7], als=[0.4, 0.4], repurchase=[0.9, 0.9]),
    ]


def test_each_cut_counts_alike(settings: Settings, cuts: list[MeasuredCut]) -> None:
    found = over_cuts(cuts, settings)
    assert (found["cuts"], found["customers"]) == (["may", "june"], 3)
    # Means .5 and .8; .3 and .4; .1 and .9; coverage .3 and .4.
    assert {name: own[HEADLINE] for name, own in found["models"].items()} == pytest.approx(
        {"ranker": 0.65, "als": 0.35, "repurchase": 0.5}
    )
    assert found["models"]["als"]["coverage"] == pytest.approx(0.35)
    assert found["best_single"] == "repurchase"
    assert found["left_out"] == ["item_cf"]
    assert {one["b"]: one["difference"] for one in found["comparisons"]} == pytest.approx(
        {"als": 0.3, "repurchase": 0.15}
    )


def test_the_interval_of_a_difference_is_paired_within_customers(settings: Settings, cuts: list[MeasuredCut]) -> None:
    # Ranker minus als: .2 and .2 in May, .5 and .3 in June; draws without customer c, and without b, are the ends.
    [one] = [one for one in over_cuts(cuts, settings)["comparisons"] if one["b"] == "als"]
    assert (one["low"], one["high"]) == pytest.approx((0.25, 0.35))


def test_one_cut_is_its_own_mean(settings: Settings, cuts: list[MeasuredCut]) -> None:
    found = over_cuts(cuts[:1], settings)
    assert found["comparisons"] == cuts[0].figures["comparisons"]
    assert found["models"] == cuts[0].figures["models"]


def test_a_record_for_each_model_and_metric(settings: Settings, cuts: list[MeasuredCut]) -> None:
    found = records(over_cuts(cuts, settings), placement="for_you", cut=MEAN)
    assert [(one["model"], one["metric"]) for one in found] == [
        (model, metric) for model in ("ranker", "als", "repurchase") for metric in (HEADLINE, "coverage")
    ]
    by_name: dict[tuple[str, str], dict[str, Any]] = {(one["model"], one["metric"]): one for one in found}
    als = by_name["als", HEADLINE]
    assert (als["placement"], als["cut"], als["role"], als["customers"]) == ("for_you", "mean", "single generator", 3)
    assert (als["value"], als["difference"]) == pytest.approx((0.35, 0.3))
    assert als["low"] <= als["value"] <= als["high"]
    assert als["difference_low"] <= als["difference"] <= als["difference_high"]
    assert by_name["ranker", HEADLINE]["difference"] is None
    assert by_name["als", "coverage"]["low"] is None
    assert len({tuple(one) for one in found}) == 1, "every record has the same fields"
