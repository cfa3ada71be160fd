"""The board and the sheets follow what the stages do, so that pages show it without the warehouse."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys import ledger, pipeline, registry, review
from recsys.publication import read_board
from recsys.settings import Settings
from tests.support.chain import Ran
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


def board(settings: Settings) -> dict[str, Any]:
    return read_board(settings)[PLACEMENT]


def decide(settings: Settings, version: str, verdict: Any, day: int) -> None:
    told = {"decided_by": "olga", "reason": "seen in the shop", "now": NOW + timedelta(days=day)}
    pipeline.decide(settings, model=settings.model_name(PLACEMENT), version=version, verdict=verdict, **told)


def test_a_decision_is_on_the_board_at_once(settings: Settings) -> None:
    decide(settings, "1", "approved", 1)
    assert board(settings)["champion"]["model_version"] == "1"
    decide(settings, "2", "rejected", 2)
    shown = [(one["model_version"], one["verdict"], one["decided_by"]) for one in board(settings)["decisions"]]
    assert shown == [("2", "rejected", "olga"), ("1", "approved", "olga")]


def test_a_move_in_mlflow_is_on_the_board_when_it_was_noticed(settings: Settings) -> None:
    decide(settings, "1", "approved", 1)
    registry.set_alias(settings, settings.model_name(PLACEMENT), ledger.CHAMPION, "2")
    pipeline.reconcile(settings, now=NOW + timedelta(days=2))
    assert board(settings)["champion"]["model_version"] == "2"
    assert board(settings)["decisions"][0]["channel"] == "mlflow"


def test_what_a_killed_stage_left_out_follows_by_the_next_look(settings: Settings) -> None:
    decide(settings, "1", "approved", 1)
    # As a stage does that is killed after its transaction: the ledger knows it, and nothing else does.
    Peek(settings).decide("approved", "2", 2)
    assert board(settings)["champion"]["model_version"] == "1"
    pipeline.reconcile(settings, now=NOW + timedelta(days=3))
    assert board(settings)["champion"]["model_version"] == "2"


def test_what_waits_is_on_the_board(settings: Settings) -> None:
    model = settings.model_name(PLACEMENT)
    verdict = {
        "placement": PLACEMENT,
        "model": model,
        "version": "2",
        "gate": "passed",
        "decision": "ask",
        "why": "Ask.",
    }
    told = {**verdict, "serves": False, "against": None}
    pipeline.promote(settings, verdicts=[told], now=NOW, channel="airflow")
    assert board(settings)["challenger"] == "2"


def test_the_gate_leaves_a_sheet_with_the_evidence(ran: Ran) -> None:
    for verdict in ran.stages["gate"]["verdicts"]:
        shown = review.review(ran.settings, verdict["model"], verdict["version"])
        assert shown["status"] == "champion"
        assert shown["sheet"].evaluation == ran.stages["evaluation"]["evaluation"]
        assert shown["sheet"].run_id == verdict["run_id"]
        assert shown["missing"] == ""
        assert len(shown["evidence"]["examples"]) == 10
        assert shown["rules"] and all(rule["passed"] for rule in shown["rules"])
