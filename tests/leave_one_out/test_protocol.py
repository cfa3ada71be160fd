"""The whole protocol: it finds a planted rule, and nothing of the last item reaches what is measured by it."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.errors import ContractError
from recsys.evaluation.values import Summary
from recsys.leave_one_out import Outcome, protocol, records
from recsys.leave_one_out.choosing import LEARNERS
from recsys.lists import Lists
from recsys.settings import EvaluationSettings
from tests.leave_one_out.conftest import CUSTOMERS, GENERATORS, evaluate
from tests.support.sequences import walks, write_csv, write_sequences


def figure(outcome: Outcome, model: str = "system", metric: str = "ndcg@10") -> float:
    return outcome.summary.models[model][metric]


def test_the_system_finds_the_planted_rule(outcome: Outcome) -> None:
    # Eight of ten items are the one after the last: a system that knows the rule scores at least so many hits.
    assert figure(outcome, metric="hit_rate@5") > 0.7
    assert figure(outcome) > 0.65
    assert figure(outcome) > figure(outcome, "popularity") + 0.4
    assert outcome.system in {*LEARNERS, "fused", *GENERATORS}
    assert outcome.customers == CUSTOMERS


def test_what_the_system_is_was_best_on_the_validation_item(outcome: Outcome) -> None:
    assert outcome.validation[outcome.system] == max(outcome.validation.values())
    assert set(outcome.validation) == {*LEARNERS, "fused", *GENERATORS}
    best = {choice.generator: choice for choice in outcome.choices}
    assert set(best) == set(GENERATORS)
    assert best["item_cf"].trials > 1


def test_there_is_a_record_of_each_model_and_metric(outcome: Outcome) -> None:
    found = records(outcome.summary, outcome.customers, protocol="leave-one-out")
    keys = {(record["model"], record["metric"]) for record in found}
    metrics = {f"{name}@{k}" for name in ("ndcg", "recall", "hit_rate", "mrr") for k in (5, 10, 20)}
    assert keys == {(model, metric) for model in ("system", "fused", *GENERATORS) for metric in metrics}
    for record in found:
        assert record["low"] <= record["value"] <= record["high"]
        assert record["customers"] == CUSTOMERS
        if record["model"] != "system":
            assert record["difference"] == pytest.approx(figure(outcome, metric=record["metric"]) - record["value"])
            assert record["difference_low"] <= record["difference"] <= record["difference_high"]
    assert {record["role"] for record in found} == {"whole system", "fusion", "single generator"}


class Caught(Exception):
    """Carries what was about to be measured."""


def before_measuring(monkeypatch: pytest.MonkeyPatch, folder: Path, file: Path) -> dict[str, Any]:
    """Return the lists and all that was chosen, at the moment at which the last item is opened."""
    caught: dict[str, Any] = {}

    def stop(settings: object, source: object, models: Mapping[str, Lists]) -> tuple[int, Summary]:
        caught["lists"] = {name: [part.tolist() for part in dataclasses.astuple(one)] for name, one in models.items()}
        return 0, Summary({}, {}, [])

    monkeypatch.setattr(protocol, "measure", stop)
    found = evaluate(folder, file)
    return caught | {
        "validation": dict(found.validation),
        "choices": found.choices,
        "weights": found.placement.weights,
        "system": found.system,
        "share": found.repeat_share,
    }


def test_other_last_items_change_nothing_before_they_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sequences: Mapping[str, list[str]]
) -> None:
    """Every customer gets another's last item: all that is measured by it must be the same, to the last digit."""
    true = before_measuring(monkeypatch, tmp_path, write_sequences(tmp_path / "true.parquet", sequences))
    last = [own[-1] for own in sequences.values()]
    poisoned = {
        user: [*own[:-1], other] for (user, own), other in zip(sequences.items(), last[7:] + last[:7], strict=True)
    }
    assert sum(poisoned[user][-1] != sequences[user][-1] for user in sequences) > 0.9 * len(sequences)
    assert before_measuring(monkeypatch, tmp_path, write_sequences(tmp_path / "other.parquet", poisoned)) == true


def test_the_result_is_the_same_for_any_number_of_threads(
    tmp_path: Path, outcome: Outcome, sequences: Mapping[str, list[str]]
) -> None:
    again = evaluate(tmp_path, write_sequences(tmp_path / "walks.parquet", sequences), threads=2)
    assert again.summary == outcome.summary
    assert again.validation == outcome.validation
    assert again.choices == outcome.choices


def test_short_histories_train_but_are_not_measured(tmp_path: Path) -> None:
    short = {"one": ["i0000"], "two": ["i0001", "i0002"], "three": ["i0003", "i0004", "i0005"]}
    found = evaluate(tmp_path, write_sequences(tmp_path / "e.csv", walks(60, 20, follow=0.95) | short))
    assert found.customers == 61
    assert found.interactions.counts["customers"] == 63
    assert found.interactions.counts["customers_of_one_event"] == 1
    assert found.interactions.counts["customers_of_two_events"] == 1


def test_a_file_without_three_events_of_anybody_says_so(tmp_path: Path) -> None:
    file = write_sequences(tmp_path / "e.csv", {f"u{n}": [f"i{n}"] for n in range(30)})
    with pytest.raises(ContractError, match=r"No customer of .* has three events or more.*30 customers, 30 events"):
        evaluate(tmp_path, file)


def test_three_events_of_everybody_are_enough_for_generators_and_fusion(tmp_path: Path) -> None:
    file = write_sequences(tmp_path / "e.csv", walks(80, 12, shortest=3, longest=3))
    found = evaluate(tmp_path, file)
    assert found.system in {"fused", *GENERATORS}, "there is nothing that a ranker could learn from"
    assert not set(found.validation) & set(LEARNERS)
    assert 0 < figure(found) <= 1


def test_lists_longer_than_the_catalogue_are_no_problem(tmp_path: Path) -> None:
    file = write_sequences(tmp_path / "e.csv", walks(40, 7, shortest=4, longest=5))
    found = evaluate(tmp_path, file, evaluation=EvaluationSettings(ks=(10, 50)))
    assert figure(found, metric="hit_rate@50") > 0
    assert figure(found, metric="hit_rate@50") == figure(found, metric="hit_rate@10")


def test_a_generator_without_proposals_is_left_out(tmp_path: Path) -> None:
    file = write_sequences(tmp_path / "e.csv", walks(40, 12, shortest=4, longest=5))
    found = evaluate(tmp_path, file, repeats=False, generators=("item_cf", "repurchase", "popularity_trending"))
    assert found.left_out == {"repurchase": "there are no repeats", "popularity_trending": "it proposed nothing"}
    assert set(found.summary.models) == {"system", "fused", "item_cf"}


def repeated(customers: int) -> dict[str, list[str]]:
    """Return sequences in which customers alternate between two items of their own."""
    random = np.random.default_rng(2)
    pairs = [random.choice(20, 2, replace=False) for _ in range(customers)]
    return {f"u{n}": [f"i{pair[place % 2]}" for place in range(6)] for n, pair in enumerate(pairs)}


def test_items_that_come_back_are_proposed_again(tmp_path: Path) -> None:
    file = write_sequences(tmp_path / "e.csv", repeated(60))
    found = evaluate(tmp_path, file, generators=("item_cf", "repurchase"))
    assert found.repeats
    assert found.repeat_share == 1.0
    assert figure(found) > 0.5
    without = evaluate(tmp_path, file, generators=("item_cf",), repeats=False)
    assert not without.repeats
    assert figure(without) == 0.0


def test_times_types_and_attributes_are_used(tmp_path: Path) -> None:
    rows = [
        {"user_id": user, "item_id": item, "timestamp": 1_600_000_000 + 86_400 * 9 * place, "event_type": kind}
        for user, items in walks(60, 20).items()
        for place, item in enumerate(items)
        for kind in ("view", "purchase")
    ]
    file = write_csv(tmp_path / "e.csv", rows)
    items = write_csv(
        tmp_path / "items.csv",
        [(f"i{n:04d}", f"Group > {n % 4}", f"b{n}") for n in range(18)],
        ("item_id", "category", "brand"),
    )
    found = evaluate(tmp_path, file, items=items)
    assert found.interactions.is_timed
    assert found.interactions.counts["items_not_in_file"] == 2
    assert found.customers == 60
