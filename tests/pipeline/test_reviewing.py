"""Airflow asks, somebody answers or nobody does: what of it gets into the ledger."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys import pipeline, registry
from recsys.errors import RefusedError, RegistryError
from recsys.settings import Settings
from tests.support.planted import NOW
from tests.support.reviews import PLACEMENT, Peek, make_versions


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One SQLite MLflow for all tests of this file: to make one takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


@pytest.fixture
def settings(store: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Three versions of which the gate passed the first two; nothing is decided."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return make_versions(tmp_path, store, request.node.name)


@pytest.fixture
def warehouse(settings: Settings) -> Peek:
    return Peek(settings)


def ask(settings: Settings, version: str) -> dict[str, Any]:
    return pipeline.request_review(settings, model=settings.model_name(PLACEMENT), version=version)


def answer(settings: Settings, version: str, *, yes: bool = True, by: str | None = "olga", **changes: Any) -> Any:
    told: dict[str, Any] = {"reason": "", "now": NOW + timedelta(days=3), "placement": PLACEMENT, **changes}
    model = settings.model_name(PLACEMENT)
    return pipeline.answer_review(settings, model=model, version=version, is_approved=yes, answered_by=by, **told)


def alias(settings: Settings, name: str = "champion") -> str | None:
    return registry.get_alias(settings, settings.model_name(PLACEMENT), name)


def test_the_question_holds_the_evidence_and_what_silence_means(settings: Settings) -> None:
    asked = ask(settings, "2")
    assert (asked["placement"], asked["settled"]) == (PLACEMENT, "")
    assert asked["subject"] == f"Shall version 2 of {settings.model_name(PLACEMENT)} serve for_you?"
    assert "| model | NDCG |" in asked["body"]
    assert "within 72 hours it is rejected" in asked["body"]


def test_links_of_the_question_lead_to_the_server() -> None:
    from recsys.pipeline.reviewing import _absolute, _links

    served = make_served()
    page = _absolute(served, "[The whole report](#/experiments/1/runs/2/artifacts/report.html)")
    assert page == "[The whole report](http://mlflow:5000/#/experiments/1/runs/2/artifacts/report.html)"
    found = registry.ModelVersion(PLACEMENT, "recsys_for_you", "2", "run", "", {})
    assert "(http://mlflow:5000/#/models/recsys_for_you/versions/2)" in _links(served, found)[0]


def make_served() -> Settings:
    from recsys.settings import load_settings

    return load_settings(tracking_uri="http://user:secret@mlflow:5000/")


def test_what_the_gate_failed_is_not_offered(settings: Settings) -> None:
    assert "The gate did not pass version 3" in ask(settings, "3")["settled"]


@pytest.mark.parametrize("verdict", ["approved", "rejected"])
def test_what_somebody_decided_is_not_asked_again(settings: Settings, warehouse: Peek, verdict: str) -> None:
    warehouse.decide(verdict, "2", 0)
    assert f"was {verdict} by ada" in ask(settings, "2")["settled"]


def test_an_approval_bears_the_name_of_who_answered(settings: Settings, warehouse: Peek) -> None:
    done = answer(settings, "2", reason="the bakery looks right")
    assert (done["verdict"], done["serves"]) == ("approved", True)
    last = warehouse.decisions()[-1]
    assert (last.decided_by, last.channel, last.reason) == ("olga", "airflow", "the bakery looks right")
    assert warehouse.champion() == alias(settings) == "2"
    again = answer(settings, "2", reason="the bakery looks right")
    assert (again["decision_id"], again["serves"], len(warehouse.decisions())) == (None, True, 1)


def test_a_rejection_is_recorded_as_well(settings: Settings, warehouse: Peek) -> None:
    done = answer(settings, "2", yes=False)
    assert (done["verdict"], done["serves"]) == ("rejected", False)
    assert (warehouse.decisions()[-1].decided_by, warehouse.champion()) == ("olga", None)


def test_silence_is_a_rejection_by_nobody(settings: Settings, warehouse: Peek) -> None:
    # Whatever Airflow fills in for who did not answer: no name, no approval.
    for yes in (False, True):
        done = answer(settings, "2", yes=yes, by=None)
        assert done["serves"] is False
    [last] = warehouse.decisions()
    assert (last.verdict, last.decided_by, last.reason) == ("rejected", "nobody", "no answer by the deadline")
    assert warehouse.champion() is alias(settings) is None
    tags = registry.get_version(settings, settings.model_name(PLACEMENT), "2").tags
    assert (tags["review"], tags["reviewed_by"]) == ("rejected", "nobody")


@pytest.mark.parametrize("verdict", ["approved", "rejected", "rolled_back"])
def test_silence_overrules_nobody(settings: Settings, warehouse: Peek, verdict: str) -> None:
    warehouse.decide("approved", "2", 0)
    if verdict != "approved":
        warehouse.decide(verdict, "2", 1)
    before = warehouse.decisions()
    done = answer(settings, "2", yes=False, by=None)
    assert (done["verdict"], done["decision_id"]) == (None, None)
    assert "by ada on" in done["why"]
    assert warehouse.decisions() == before


def test_another_answer_than_was_decided_elsewhere_is_a_new_decision(settings: Settings, warehouse: Peek) -> None:
    warehouse.decide("rejected", "2", 0)
    assert answer(settings, "2")["serves"]
    assert [one.verdict for one in warehouse.decisions()] == ["rejected", "approved"]


def test_an_approval_that_was_overtaken_does_not_bring_a_version_back(settings: Settings, warehouse: Peek) -> None:
    warehouse.decide("approved", "2", 0)
    warehouse.decide("approved", "1", 1)
    done = answer(settings, "2")
    assert (done["decision_id"], done["serves"], warehouse.champion()) == (None, False, "1")
    assert "ada has approved version 2" in done["why"]


def test_what_serves_meanwhile_is_not_rejected(settings: Settings, warehouse: Peek) -> None:
    warehouse.decide("approved", "2", 0)
    with pytest.raises(RefusedError, match="is the champion"):
        answer(settings, "2", yes=False)
    assert warehouse.champion() == "2"


def test_silence_is_recorded_while_mlflow_is_away_and_an_approval_waits_for_it(
    settings: Settings, warehouse: Peek
) -> None:
    away = settings.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})
    with pytest.raises(RegistryError):
        answer(away, "1")
    assert warehouse.decisions() == []
    done = answer(away, "2", yes=False, by=None)
    assert "can't be" in done["mlflow_later"]
    assert [one.decided_by for one in warehouse.decisions()] == ["nobody"]
