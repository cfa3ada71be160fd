"""Airflow reads its settings at import: a home of its own, so that nothing lands in the user's."""

from typing import Any

import pytest

import tests.support.airflow_home  # noqa: F401


@pytest.fixture(autouse=True)
def runs_without_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``dag.test`` end runs of DAGs with a deadline: it looks for the deadline's row by what is no id of it."""
    from airflow.sdk import DAG

    run = DAG.test

    def test(dag: Any, **given: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(dag, "deadline", [])
            return run(dag, **given)

    monkeypatch.setattr(DAG, "test", test)
