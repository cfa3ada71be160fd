"""Deciding about versions: by the policy and by people, and what MLflow shows of it afterwards."""

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from recsys import pipeline, registry
from recsys.artifacts import local_path
from recsys.cli import app
from recsys.cli.chain import show_waiting
from recsys.errors import ConflictError, NotFoundError, RegistryError, SettingsError
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
    """A warehouse without decisions, and three versions in MLflow of which the gate passed the first two."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return make_versions(tmp_path, store, request.node.name)


@pytest.fixture
def warehouse(settings: Settings) -> Peek:
    return Peek(settings)


def judged(
    settings: Settings, version: str, gate: str = "passed", decision: str = "auto", against: list[str] | None = None
) -> dict[str, Any]:
    return {
        "placement": PLACEMENT,
        "model": settings.model_name(PLACEMENT),
        "version": version,
        "gate": gate,
        "decision": decision,
        "why": f"The gate {gate} it.",
        "serves": False,
        "against": against,
    }


def promote(settings: Settings, *verdicts: dict[str, Any], day: int = 0) -> dict[str, Any]:
    return pipeline.promote(settings, verdicts=list(verdicts), now=NOW + timedelta(days=day), channel="cli")


def review(settings: Settings, version: str) -> tuple[str, str]:
    tags = registry.get_version(settings, settings.model_name(PLACEMENT), version).tags
    return tags["review"], tags.get("reviewed_by", "")


def alias(settings: Settings, name: str) -> str | None:
    return registry.get_alias(settings, settings.model_name(PLACEMENT), name)


def decide(settings: Settings, version: str, verdict: Any = "approved", **changes: Any) -> dict[str, Any]:
    values = {"model": settings.model_name(PLACEMENT), "decided_by": "ada", "reason": "looks right", "now": NOW}
    return pipeline.decide(settings, **{**values, "version": version, "verdict": verdict, **changes})


def test_the_page_of_a_version_links_to_its_report(ran: Ran) -> None:
    for version in ran.stages["registration"]["versions"]:
        found = registry.get_version(ran.settings, version["model"], version["version"])
        with registry.connected(ran.settings) as client:
            experiment = client.get_run(version["run_id"]).info.experiment_id
            assert "report.html" in [one.path for one in client.list_artifacts(version["run_id"])]
        link = f"#/experiments/{experiment}/runs/{version['run_id']}/artifacts/report.html"
        assert f"({link})" in found.description
        assert "Gate: **passed**" in found.description, "the page that the gate wrote"
        assert "| rule of the gate | holds |" in found.description
        assert found.tags["gate_kind"] == "first"


def test_the_verdict_is_logged_rule_by_rule(ran: Ran) -> None:
    for version in ran.stages["registration"]["versions"]:
        name = f"gate/{version['placement']}-{version['version']}.json"
        with registry.connected(ran.settings) as client:
            text = Path(client.download_artifacts(version["run_id"], name)).read_text(encoding="utf-8")
        verdict = json.loads(text)
        assert (verdict["gate"], verdict["kind"]) == ("passed", "first")
        assert len(verdict["rules"]) >= 4
        assert all(rule["passed"] and rule["value"] is not None for rule in verdict["rules"])


def test_plots_are_logged_and_not_written_into_the_finished_evaluation(ran: Ran) -> None:
    folder = local_path(ran.stages["evaluation"]["evaluation"])
    assert not [path for path in folder.rglob("*.png")]
    with registry.connected(ran.settings) as client:
        plots = client.list_artifacts(ran.stages["registration"]["run_id"], "plots")
    assert plots
    assert all(one.path.endswith(".png") for one in plots)


def test_the_policy_promotes_and_says_so(settings: Settings, warehouse: Peek) -> None:
    result = promote(settings, judged(settings, "1"))
    assert ([one["version"] for one in result["promoted"]], result["waiting"]) == (["1"], [])
    assert result["moved_by_person"] == []
    assert warehouse.champion() == alias(settings, "champion") == "1"
    assert review(settings, "1") == ("approved", "policy (cli)")


def test_of_two_trainings_at_once_the_policy_promotes_one(settings: Settings, warehouse: Peek) -> None:
    promote(settings, judged(settings, "1"))
    [waiting] = promote(settings, judged(settings, "2"), day=1)["waiting"]
    assert "was not compared with it" in waiting["why"]
    assert warehouse.champion() == "1"
    against = [settings.model_name(PLACEMENT), "1"]
    assert promote(settings, judged(settings, "2", against=against), day=2)["promoted"]
    assert warehouse.champion() == "2"


def test_what_serves_already_keeps_who_approved_it(settings: Settings, warehouse: Peek) -> None:
    decide(settings, "1")
    result = promote(settings, {**judged(settings, "1"), "serves": True}, day=1)
    assert [one["version"] for one in result["promoted"]] == ["1"]
    assert review(settings, "1") == ("approved", "ada")
    assert len(warehouse.decisions()) == 1


@pytest.mark.parametrize("decision", ["auto", "ask"])
def test_a_rejected_version_stays_rejected(settings: Settings, warehouse: Peek, decision: str) -> None:
    decide(settings, "2", "rejected", reason="too many sweets")
    result = promote(settings, judged(settings, "2", decision=decision), day=1)
    assert result["promoted"] == []
    assert f"ada rejected it on {NOW:%Y-%m-%d} (too many sweets)" in result["waiting"][0]["why"]
    assert warehouse.champion() is None
    assert warehouse.wanted().get("challenger") is None
    assert alias(settings, "challenger") is None
    assert review(settings, "2") == ("rejected", "ada")


def test_the_policy_does_not_bring_back_what_a_person_rolled_back(settings: Settings, warehouse: Peek) -> None:
    for version in ("1", "2"):
        warehouse.decide("approved", version, 0)
    warehouse.decide("rolled_back", "2", 1)
    for serves in (False, True):
        result = promote(settings, {**judged(settings, "2"), "serves": serves}, day=2)
        assert "ada rolled it back" in result["waiting"][0]["why"]
        assert warehouse.champion() == "1"
    decide(settings, "2", now=NOW + timedelta(days=3))
    assert warehouse.champion() == "2"
    assert promote(settings, judged(settings, "2"), day=4)["waiting"] == []


def test_a_verdict_that_was_overtaken_changes_nothing(settings: Settings, warehouse: Peek) -> None:
    for version in ("1", "2"):
        warehouse.decide("approved", version, 0)
    result = promote(settings, {**judged(settings, "1"), "serves": True}, day=1)
    assert "somebody has decided otherwise since" in result["waiting"][0]["why"]
    assert warehouse.champion() == "2"


def test_what_waits_is_the_challenger(settings: Settings, warehouse: Peek) -> None:
    promote(settings, judged(settings, "2", decision="ask"))
    assert alias(settings, "challenger") == "2"
    assert review(settings, "2") == ("pending", "")


def test_what_was_approved_once_does_not_wait_again(settings: Settings, warehouse: Peek) -> None:
    decide(settings, "1")
    decide(settings, "2")
    promote(settings, judged(settings, "1", decision="ask"), day=1)
    assert review(settings, "1") == ("approved", "ada")
    assert alias(settings, "challenger") is None


def test_what_fails_the_gate_is_rejected_by_it_and_is_no_challenger(settings: Settings, warehouse: Peek) -> None:
    promote(settings, judged(settings, "3", decision="ask"))
    assert alias(settings, "challenger") == "3"
    promote(settings, judged(settings, "3", gate="failed", decision="ask"), day=1)
    assert alias(settings, "challenger") is None
    assert review(settings, "3") == ("rejected", "gate")
    assert warehouse.decisions() == []
    promote(settings, judged(settings, "3", decision="ask"), day=2)
    assert review(settings, "3") == ("pending", "")


def test_a_persons_word_on_the_page_outlasts_the_gate(settings: Settings) -> None:
    model = settings.model_name(PLACEMENT)
    registry.record_review(settings, model, "3", review="approved", reviewed_by="grace")
    promote(settings, judged(settings, "3", gate="failed", decision="ask"))
    assert review(settings, "3") == ("approved", "grace")


def test_an_alias_that_a_person_moved_is_told_and_left(settings: Settings, warehouse: Peek) -> None:
    promote(settings, judged(settings, "1"))
    registry.set_alias(settings, settings.model_name(PLACEMENT), "champion", "2")
    result = promote(settings, judged(settings, "2", decision="ask"), day=1)
    model = settings.model_name(PLACEMENT)
    assert result["moved_by_person"] == [{"model": model, "alias": "champion", "found": "2", "wanted": "1"}]
    assert alias(settings, "champion") == "2"
    assert warehouse.champion() == "1"


def test_an_alias_that_was_removed_is_restored(settings: Settings) -> None:
    promote(settings, judged(settings, "1"))
    with registry.connected(settings) as client:
        client.delete_registered_model_alias(settings.model_name(PLACEMENT), "champion")
    assert promote(settings, day=1)["moved_by_person"] == []
    assert alias(settings, "champion") == "1"


def test_a_promotion_while_mlflow_is_away_is_finished_by_the_next_attempt(settings: Settings, warehouse: Peek) -> None:
    away = settings.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})
    with pytest.raises(RegistryError):
        promote(away, judged(settings, "1"))
    assert (warehouse.champion(), alias(settings, "champion")) == ("1", None)
    again = promote(settings, judged(settings, "1"), day=1)
    assert [one["version"] for one in again["promoted"]] == ["1"]
    assert alias(settings, "champion") == "1"
    assert len(warehouse.decisions()) == 1


def test_a_decision_stands_while_mlflow_fails_after_it(
    settings: Settings, warehouse: Peek, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow goes away between the look at the version and the move of the alias."""

    def gone(*args: object, **told: object) -> None:
        raise RegistryError("MLflow can't be reached.")

    with monkeypatch.context() as patch:
        patch.setattr(registry, "project_aliases", gone)
        done = decide(settings, "2")
    assert done["mlflow_later"] == "MLflow can't be reached."
    assert (warehouse.champion(), alias(settings, "champion")) == ("2", None)
    assert decide(settings, "2")["decision_id"] == done["decision_id"]
    assert alias(settings, "champion") == "2"
    assert review(settings, "2") == ("approved", "ada")


def test_a_person_approves(settings: Settings, warehouse: Peek) -> None:
    promote(settings, judged(settings, "2", decision="ask"))
    done = decide(settings, "2")
    assert (done["placement"], done["version"], done["verdict"]) == (PLACEMENT, "2", "approved")
    [decision] = warehouse.decisions()
    assert (decision.decision_id, decision.decided_by, decision.channel) == (done["decision_id"], "ada", "cli")
    assert decision.reason == "looks right"
    assert (alias(settings, "champion"), alias(settings, "challenger")) == ("2", None)
    assert review(settings, "2") == ("approved", "ada")
    assert decide(settings, "2") == done
    assert len(warehouse.decisions()) == 1


def test_what_the_gate_did_not_pass_needs_an_override(settings: Settings, warehouse: Peek) -> None:
    with pytest.raises(ConflictError, match=r"Version 3 of .* did not pass the gate. It failed. .*--override"):
        decide(settings, "3")
    assert warehouse.decisions() == []
    decide(settings, "3", override=True)
    assert [one.reason for one in warehouse.decisions()] == ["override: looks right"]
    decide(settings, "2", override=True)
    assert warehouse.decisions()[-1].reason == "looks right"


def test_the_champion_is_not_rejected_but_rolled_back(settings: Settings, warehouse: Peek) -> None:
    decide(settings, "1")
    with pytest.raises(ConflictError, match="recsys rollback --placement for_you"):
        decide(settings, "1", "rejected")
    assert [one.verdict for one in warehouse.decisions()] == ["approved"]


def test_bad_decisions_are_told_and_leave_nothing(settings: Settings, warehouse: Peek) -> None:
    for error, version, changes in (
        (NotFoundError, "9", {}),
        (SettingsError, "1", {"reason": " "}),
        (SettingsError, "1", {"decided_by": " "}),
        (SettingsError, "1", {"verdict": "rolled_back"}),
        (NotFoundError, "1", {"model": "nope"}),
    ):
        with pytest.raises(error):
            decide(settings, version, **changes)
    with registry.connected(settings) as client:
        client.delete_model_version_tag(settings.model_name(PLACEMENT), "1", "placement")
    with pytest.raises(RegistryError, match="not registered by this platform"):
        decide(settings, "1")
    assert warehouse.decisions() == []


def test_the_commands_decide(settings: Settings, warehouse: Peek, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("home", "tracking_uri", "namespace"):
        monkeypatch.setenv(f"RECSYS_{name.upper()}", str(getattr(settings, name)))
    model = settings.model_name(PLACEMENT)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, list(arguments))

    approved = run("approve", model, "2", "--reason", "the bakery looks right", "--by", "grace")
    assert approved.exit_code == 0, approved.output
    assert f"for_you: version 2 of {model} is approved (for_you-000001)." in approved.output
    assert "recsys run, or the DAG recsys_publish" in approved.output
    refused = run("approve", model, "3", "--reason", "all the same")
    assert refused.exit_code == 1
    assert "--override" in refused.stderr
    assert run("approve", model, "3", "--reason", "all the same", "--override").exit_code == 0
    monkeypatch.setenv("LOGNAME", "hedy")
    registry.set_alias(settings, model, "champion", "1")
    rejected = run("reject", model, "1", "--reason", "too many sweets")
    assert rejected.exit_code == 0, rejected.output
    assert "What is live stays as it is" in rejected.output
    assert "alias champion" in rejected.output
    assert [(one.decided_by, one.verdict, one.reason) for one in warehouse.decisions()] == [
        ("grace", "approved", "the bakery looks right"),
        (warehouse.decisions()[1].decided_by, "approved", "override: all the same"),
        ("hedy", "rejected", "too many sweets"),
    ]


@pytest.mark.parametrize(("gate", "flag"), [("passed", ""), ("failed", "--override ")])
def test_who_may_not_go_live_is_told_with_the_command_that_lets_it(gate: str, flag: str) -> None:
    row = {"placement": "for_you", "model": "recsys_for_you", "version": "1", "gate": gate, "why": "The rule fails."}
    told = io.StringIO()
    show_waiting(Console(file=told, width=200), [row])
    assert f"recsys approve recsys_for_you 1 {flag}--reason WHY" in told.getvalue()
