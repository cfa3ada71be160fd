"""Models side by side on a made hold-out of which every figure can be worked out by hand."""

import json
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from recsys.errors import ContractError
from recsys.evaluation.ground import Ground, Products
from recsys.evaluation.metrics import Truth
from recsys.evaluation.models import compare_models
from recsys.evaluation.slices import Slice
from recsys.evaluation.values import CustomerValues, summarise
from recsys.lists import Lists
from recsys.settings import EvaluationSettings, GateSettings, Settings, load_settings

IDS = np.array([f"u{n}" for n in range(8)], dtype=object)
SECOND = 1 / log2(3)  # NDCG of a list whose only relevant product stands second


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(
        home=tmp_path,
        gate=GateSettings(bootstrap=400),
        evaluation=EvaluationSettings(ks=(1, 10), smallest_slice=3),
    )


def lists(**rows: list[int]) -> Lists:
    """Make lists from each customer's products, best first: ``u0=[3, 4]``."""
    parts = [(int(user[1:]), item, rank) for user, items in rows.items() for rank, item in enumerate(items, 1)]
    return Lists(*np.array(parts, np.int32).reshape(-1, 3).T)


def ground(pairs: list[tuple[int, int]], **products: Any) -> Ground:
    users, items = np.array(pairs, int).reshape(-1, 2).T
    known = Products(catalogue=np.arange(6), buyers=np.array([8, 4, 2, 1, 1, 0]), customers=8, **products)
    return Ground(Truth.of(users, items), known)


# Customers 0 to 4 come to want products 0 to 4.
WANTED = ground([(n, n) for n in range(5)])
RANKER = lists(u0=[0, 5], u1=[5, 1], u2=[2, 5], u3=[3, 5], u4=[5, 4], u7=[1])
POPULARITY = lists(**{f"u{n}": [0, 1] for n in range(5)})
SLICES = [
    Slice("light customers", "customers", np.array([0, 1, 2, 6])),
    Slice("heavy customers", "customers", np.array([3, 4])),
    Slice("head products", "products", np.array([1, 2, 3])),
    Slice("tail products", "products", np.array([4])),
    Slice("new products", "products", np.array([], int)),
]


def compare(settings: Settings, models: dict[str, Lists], on: Ground = WANTED) -> dict[str, Any]:
    figures = compare_models(models, on, SLICES, settings, customers=IDS).figures
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    return figures


def test_every_figure_by_hand(settings: Settings) -> None:
    found = compare(settings, {"ranker": RANKER, "popularity": POPULARITY})
    assert (found["customers"], found["ranker"], found["best_single"]) == (5, "ranker", "popularity")
    assert found["roles"] == {"ranker": "new model", "popularity": "single generator"}
    own, other = found["models"]["ranker"], found["models"]["popularity"]
    assert own["ndcg@10"] == pytest.approx((3 + 2 * SECOND) / 5)
    assert (own["hit_rate@1"], own["recall@10"], own["precision@10"]) == pytest.approx((3 / 5, 1, 1 / 10))
    assert other["ndcg@10"] == pytest.approx((1 + SECOND) / 5)
    # What popularity shows is expected: hits on products 2, 3 and 4 surprise, one of ten each.
    assert own["serendipity"] == pytest.approx(3 / 5 / 10)
    assert other["serendipity"] == 0
    # All lists count, also that of a customer who bought nothing: products 0 to 5, and 0 and 1 of six.
    assert (own["coverage"], other["coverage"]) == pytest.approx((1, 2 / 6))
    # Half of the customers bought product 1, all bought product 0: 0 and 1 bit.
    assert other["novelty"] == pytest.approx(0.5)
    assert not {"diversity_category", "diversity_brand", "calibration"} & set(own), "the shop knows no categories"


def test_every_difference_has_an_interval(settings: Settings) -> None:
    found = compare(settings, {"ranker": RANKER, "popularity": POPULARITY})
    by_customer = set(found["models"]["popularity"]) - {"coverage", "exposure_gini"}
    assert {one["metric"] for one in found["comparisons"]} == by_customer
    for one in found["comparisons"]:
        expected = found["models"]["ranker"][one["metric"]] - found["models"]["popularity"][one["metric"]]
        assert one["difference"] == pytest.approx(expected)
        assert one["low"] <= one["difference"] <= one["high"]
    for model, own in found["intervals"].items():
        assert set(own) == by_customer
        assert all(low <= found["models"][model][name] <= high for name, (low, high) in own.items())


def test_slices_by_hand(settings: Settings) -> None:
    found = compare(settings, {"ranker": RANKER, "popularity": POPULARITY})["slices"]
    light = found["light customers"]
    assert (light["customers"], light["is_small"]) == (3, False)
    assert light["models"] == pytest.approx({"ranker": (2 + SECOND) / 3, "popularity": (1 + SECOND) / 3})
    [one] = light["comparisons"]
    assert one["difference"] == pytest.approx(1 / 3)
    # Only customers who came to want one of the products: 1, 2 and 3.
    head = found["head products"]
    assert (head["kind"], head["customers"]) == ("products", 3)
    assert head["models"] == pytest.approx({"ranker": (2 + SECOND) / 3, "popularity": SECOND / 3})


@pytest.mark.parametrize(("name", "size"), [("heavy customers", 2), ("tail products", 1), ("new products", 0)])
def test_a_slice_that_is_too_small_says_so_and_nothing_else(settings: Settings, name: str, size: int) -> None:
    found = compare(settings, {"ranker": RANKER, "popularity": POPULARITY})["slices"][name]
    assert (found["customers"], found["is_small"]) == (size, True)
    assert (found["models"], found["comparisons"]) == ({}, [])


def test_a_placement_without_relevant_products_has_no_figures(settings: Settings) -> None:
    found = compare(settings, {"ranker": RANKER, "popularity": POPULARITY}, ground([]))
    assert (found["customers"], found["comparisons"], found["intervals"]) == (0, [], {})
    assert "ndcg@10" not in found["models"]["ranker"]
    assert found["models"]["ranker"]["coverage"] == 1


def test_one_customer_has_figures_and_no_interval(settings: Settings) -> None:
    found = compare(settings, {"ranker": RANKER, "popularity": POPULARITY}, ground([(2, 2)]))
    assert found["models"]["ranker"]["ndcg@10"] == 1
    assert found["intervals"] == {}
    assert {(one["low"], one["high"]) for one in found["comparisons"]} == {(None, None)}


def test_a_ranker_alone_is_measured(settings: Settings) -> None:
    found = compare(settings, {"ranker": RANKER})
    assert (found["best_single"], found["comparisons"]) == (None, [])


def test_categories_and_tastes_are_used_where_the_shop_has_them(settings: Settings) -> None:
    groups = np.array([0, 0, 1, 1, 1, -1])
    known = ground([(0, 0), (1, 1)], category=groups, brand=None, department=groups)
    tastes = sparse.csr_array(np.array([[1.0, 0.0], [0.0, 0.0]]))
    found = compare(settings, {"ranker": lists(u0=[0, 1], u1=[0, 2])}, Ground(known.truth, known.products, tastes))
    own = found["models"]["ranker"]
    assert own["diversity_category"] == pytest.approx(1 / 2)
    # Only the first customer has a history, and the list is just like it.
    assert own["calibration"] == pytest.approx(0)
    assert "diversity_brand" not in own


def test_scores_that_are_not_numbers_are_told() -> None:
    users, items = np.array([0, 0, 4]), np.array([1, 2, 3])
    with pytest.raises(ContractError, match="scores of 1 candidates are not numbers, first that of customer 4 and"):
        Lists.ranked(users, items, np.array([0.1, 0.2, np.nan]), 10)


def test_equal_scores_are_ranked_by_product_number() -> None:
    found = Lists.ranked(np.zeros(4, int), np.array([7, 3, 9, 1]), np.zeros(4), 3)
    assert found.item_idx.tolist() == [1, 3, 7]
    assert found.rank.tolist() == [1, 2, 3]


def test_values_are_kept_customer_by_customer(settings: Settings, tmp_path: Path) -> None:
    compared = compare_models({"ranker": RANKER, "popularity": POPULARITY}, WANTED, [], settings, customers=IDS)
    kept = CustomerValues.read(compared.values.write(tmp_path / "values.parquet"))
    assert kept.customers.tolist() == ["u0", "u1", "u2", "u3", "u4"]
    assert kept.models["ranker"]["ndcg@10"] == pytest.approx([1, SECOND, 1, 1, SECOND])
    # From the file come the very same intervals.
    assert summarise([kept], "ranker", settings) == summarise([compared.values], "ranker", settings)


def test_what_is_missing_at_a_cut_is_left_out_of_the_mean(settings: Settings) -> None:
    one = CustomerValues(np.array(["a", "b"]), {"ranker": {"x": np.array([1.0, 2.0])}, "als": {"x": np.zeros(2)}})
    two = CustomerValues(np.array(["a"]), {"ranker": {"x": np.array([5.0]), "y": np.array([1.0])}})
    found = summarise([one, two], "ranker", settings)
    assert found.models == {"ranker": {"x": pytest.approx((1.5 + 5) / 2)}}
    assert found.comparisons == []
