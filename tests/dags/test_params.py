"""What a form takes: every parameter of every DAG is bounded; what can't be meant is refused before a run begins."""

from copy import deepcopy
from typing import Any

import pytest

from recsys.assets import assets_root

PATHS = ["../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "..", "a/../b"]
SQL = ["'; drop table shop.users; --", "1 or 1=1", "x' union select * from shop.users --"]
CONTROL = ["a\x00b", "a\x1b[31mb", "latest\n", "7\n", "recsys_for_you\n"]
TYPES: list[Any] = [None, 7, 1.5, True, ["latest"], {"a": "b"}]
# Ids of the shop's and words for people may look like anything; they are bound.
FREE = ["reason", "decided_by", "item", "brand", "category", "customer"]
GOOD: dict[str, dict[str, Any]] = {
    "recsys_approve": {"model": "recsys_for_you", "version": "3"},
    "recsys_decide": {"model": "recsys_for_you", "version": "3", "verdict": "approved", "reason": "it's better; so"},
    "recsys_rollback": {"placement": "for_you", "reason": "two\nlines", "publication": "for_you-20171205-ab.c_1"},
    "recsys_canary": {"action": "start", "placement": "for_you", "version": "3", "share": 5, "reason": "try it"},
    "recsys_erase": {"customer": "c-0123456789abcdef0123", "reason": "request 7"},
    "recsys_suppress": {"reason": "recalled", "item": 'O\'Hara "7"; äß', "until": "2017-12-05 06:00"},
    "recsys_train": {"as_of": "2017-12-05T06:00", "placements": ["discover"]},
    "recsys_publish": {"as_of": "latest", "whole": True},
    "recsys_backfill": {"placements": ["for_you"]},
}


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    from airflow.dag_processing.dagbag import BundleDagBag

    folder = assets_root() / "dags"
    bag = BundleDagBag(dag_folder=str(folder), bundle_path=folder, load_op_links=False)
    assert bag.import_errors == {}
    return dict(bag.dags)


def refusal(dag: Any, **given: Any) -> str:
    """Return why Airflow refuses a run with these parameters, as it does when one is triggered; empty if it doesn't."""
    from airflow.exceptions import ParamValidationError

    params = deepcopy(dag.params)
    try:
        params.update({**GOOD.get(dag.dag_id, {}), **given})
        params.validate()
    except (ParamValidationError, ValueError) as error:
        return str(error)
    return ""


def every_param(dags: dict[str, Any]) -> list[tuple[Any, str, dict[str, Any]]]:
    return [(dag, name, dag.params.get_param(name).schema) for dag in dags.values() for name in dag.params]


def test_every_parameter_says_what_it_takes_and_how_long(dags: dict[str, Any]) -> None:
    found = every_param(dags)
    assert len(found) > 20
    for dag, name, schema in found:
        where = f"{dag.dag_id}.{name}"
        assert schema["type"] in ("string", "boolean", "array", "integer", "number"), where
        if schema["type"] == "string" and "enum" not in schema:
            assert schema["maxLength"] <= 500, where
            assert schema["pattern"].startswith("^"), where
        if schema["type"] == "array":
            assert schema["maxItems"], where
            assert schema["items"]["enum"], where
        if schema["type"] in ("integer", "number"):
            assert {"minimum", "maximum"} <= set(schema), where


def test_what_people_enter_is_taken(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        assert refusal(dag) == "", dag.dag_id


@pytest.mark.parametrize("value", [*PATHS, *SQL, *CONTROL, "9" * 10_000, "x" * 1_000_000])
def test_what_no_name_looks_like_is_refused(dags: dict[str, Any], value: str) -> None:
    for dag, name, schema in every_param(dags):
        if name not in FREE and schema["type"] != "boolean":
            assert refusal(dag, **{name: value}), f"{dag.dag_id}.{name}"
            assert refusal(dag, **{name: [value]}), f"{dag.dag_id}.{name}"


@pytest.mark.parametrize("value", ["a\x00b", "a\x1b[31mb", "x" * 1_000_000])
def test_free_words_have_an_end_and_nothing_that_cannot_be_seen(dags: dict[str, Any], value: str) -> None:
    for dag, name, _ in every_param(dags):
        if name in FREE:
            assert refusal(dag, **{name: value}), f"{dag.dag_id}.{name}"


@pytest.mark.parametrize("value", TYPES)
def test_another_type_is_refused(dags: dict[str, Any], value: Any) -> None:
    for dag, name, schema in every_param(dags):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (schema["type"] == "boolean" and value is True) and not (schema["type"] == "number" and is_number):
            assert refusal(dag, **{name: value}), f"{dag.dag_id}.{name} took {value!r}"


@pytest.mark.parametrize("reason", ["", " ", "\n"])
def test_a_reason_is_some_words(dags: dict[str, Any], reason: str) -> None:
    for dag_id in ("recsys_canary", "recsys_decide", "recsys_rollback", "recsys_suppress"):
        assert refusal(dags[dag_id], reason=reason), dag_id


def test_the_question_to_a_reviewer_is_bounded_too(dags: dict[str, Any]) -> None:
    reason = dags["recsys_approve"].get_task("approval").params.get_param("reason").schema
    assert reason["maxLength"] == 500
    assert reason["pattern"].startswith("^")
