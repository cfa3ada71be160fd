"""What pages show of versions, placements and runs, from made boards, sheets and evaluations."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys import review
from recsys.artifacts import replace_json
from recsys.errors import NotFoundError
from recsys.evaluation.gate import judge
from recsys.evaluation.sheets import Sheet, write_sheet
from recsys.monitoring.prometheus import HELP
from recsys.publication.board import VERSION, board_path
from recsys.review.health import GROUPS, lights
from recsys.review.overview import age
from recsys.review.rendering import ASSETS
from recsys.settings import Settings
from tests.support.evaluations import evaluation, placement, with_champion
from tests.support.warehouse import make_settings

MODEL = "recsys_for_you"
NOW = datetime(2025, 1, 4, 12)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path)


def put_sheet(settings: Settings, version: str = "5", *, gate: str = "passed", score: float = 0.41) -> Path:
    """Write the sheet and the evaluation of a version that was held against version 4."""
    found = evaluation(for_you=with_champion(placement(), score=score))
    folder = settings.resolved_home / "evaluations" / f"e{version}"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(found))
    (folder / "report.html").write_text("<p>The report</p>")
    row = {"title": "Bread", "is_bought": True, "other_rank": None}
    old = {"title": "Milk", "is_bought": False, "other_rank": None}
    example = {"user": "u1", "segment": "families", "history": ["Cheese"], "before": [old], "after": [row]}
    examples = [{"placement": name, **example} for name in ("for_you", "discover")]
    (folder / "examples.json").write_text(json.dumps(examples))
    verdict = {**judge(found, settings.gate, has_champion=True)["for_you"], "gate": gate}
    write_sheet(
        settings,
        Sheet(
            placement="for_you",
            model=MODEL,
            version=version,
            run_id="r1",
            report="#/experiments/1/runs/r1/artifacts/report.html",
            evaluation=folder.as_uri(),
            as_of="2025-01-01T00:00:00",
            verdict=verdict,
        ),
    )
    return folder


def decision(version: str, verdict: str, number: int = 1, channel: str = "airflow", **changes: Any) -> dict[str, Any]:
    return {
        "decision_id": f"for_you-{number:06d}",
        "placement": "for_you",
        "model_name": MODEL,
        "model_version": version,
        "verdict": verdict,
        "decided_by": "ada",
        "decided_at": "2025-01-02T06:00:00",
        "channel": channel,
        "reason": "Looks good.",
        "restored_model_name": None,
        "restored_model_version": None,
        **changes,
    }


def publication(name: str, version: str, status: str) -> dict[str, Any]:
    return {"publication_id": name, "model_name": MODEL, "model_version": version, "status": status}


def put_board(settings: Settings, *decisions: dict[str, Any], standing: tuple[str, ...] = (), **changes: Any) -> None:
    """Write a board of one placement; decisions the newest first."""
    champion = None
    if standing:
        champion = {"model_name": MODEL, "model_version": standing[-1], "decided_at": "2025-01-02T06:00:00"}
    shown = {
        "champion": champion,
        "standing": [[MODEL, version] for version in standing],
        "challenger": None,
        "live": None,
        "returns_to": None,
        "publications": [],
        "decisions": list(decisions),
        "canaries": [],
        **changes,
    }
    replace_json(board_path(settings), {"version": VERSION, "placements": {"for_you": shown}})


@pytest.mark.parametrize(
    ("gate", "decisions", "standing", "status"),
    [
        ("passed", [], (), "waits for a decision"),
        ("failed", [], (), "failed the gate"),
        ("passed", [decision("5", "approved")], ("5",), "champion"),
        ("passed", [decision("6", "approved", 2), decision("5", "approved")], ("5", "6"), "served before"),
        ("passed", [decision("5", "rejected")], (), "rejected"),
        ("passed", [decision("5", "rolled_back", 2), decision("5", "approved")], ("4",), "rolled back"),
        # That the gate took an alias back says nothing about what a person wants.
        ("passed", [decision("5", "rejected", channel="policy")], (), "waits for a decision"),
        ("failed", [decision("5", "rejected", channel="policy")], (), "failed the gate"),
        ("failed", [decision("5", "approved", reason="override: trust me")], ("5",), "champion"),
        ("passed", [decision("4", "rejected")], (), "waits for a decision"),
    ],
)
def test_where_a_version_stands(
    settings: Settings, gate: str, decisions: list[Any], standing: tuple[str, ...], status: str
) -> None:
    put_sheet(settings, gate=gate)
    put_board(settings, *decisions, standing=standing)
    shown = review.review(settings, MODEL, "5")
    assert shown["status"] == status
    assert shown["is_champion"] == (status == "champion")
    assert shown["is_passed"] == (gate == "passed")
    waiting = [one["sheet"].version for one in review.overview(settings, NOW)["placements"][0]["waiting"]]
    assert waiting == (["5"] if status == "waits for a decision" else [])


def test_a_version_beside_the_champion(settings: Settings) -> None:
    put_sheet(settings)
    shown = review.review(settings, MODEL, "5")
    # .42 against .41 with a half width of .004, as the made evaluation says.
    assert shown["evidence"]["cards"][0]["value"] == "+0.0100"
    assert shown["evidence"]["cards"][0]["note"] == "95 % interval +0.0060 to +0.0140"
    assert shown["evidence"]["outcome"] == "better"
    [example] = shown["evidence"]["examples"]
    assert (example["before"][0]["tag"], example["after"][0]["tag"]) == ("gone", "new")
    rules = {rule["rule"]: rule for rule in shown["rules"]}
    assert rules["not below the champion"]["found"] == "+0.0100 (+0.0060 to +0.0140)"
    assert rules["not below the champion"]["passed"]


def test_links_lead_to_where_people_open_mlflow(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, tracking_uri="http://user:secret@mlflow:5000")
    put_sheet(settings)
    assert [one["href"] for one in review.review(settings, MODEL, "5")["links"]] == [
        f"http://mlflow:5000/#/models/{MODEL}/versions/5",
        "http://mlflow:5000/#/experiments/1/runs/r1/artifacts/report.html",
    ]
    public = settings.model_copy(
        update={"review": settings.review.model_copy(update={"mlflow_pages": "https://mlflow.shop/"})}
    )
    links = review.review(public, MODEL, "5")["links"]
    assert links[0]["href"] == f"https://mlflow.shop/#/models/{MODEL}/versions/5"


def test_without_a_server_there_are_no_links(settings: Settings) -> None:
    put_sheet(settings)
    assert review.review(settings, MODEL, "5")["links"] == []


def test_an_evaluation_that_is_gone_is_told_and_the_verdict_stays(settings: Settings) -> None:
    folder = put_sheet(settings)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    shown = review.review(settings, MODEL, "5")
    assert shown["evidence"] is None
    assert "The files of the evaluation are gone" in shown["missing"]
    assert shown["rules"]
    assert review.overview(settings, NOW)["placements"][0]["waiting"][0]["headline"] is None


def test_what_a_rollback_would_do(settings: Settings) -> None:
    lists = [publication("p2", "5", "live"), publication("p1", "4", "superseded")]
    put_board(settings, live="p2", returns_to="p1", publications=lists)
    back = review.overview(settings, NOW)["placements"][0]["way_back"]
    assert (back["withdraws"]["publication_id"], back["restores"]["publication_id"]) == ("p2", "p1")
    shown = review.history(settings, NOW)["placements"][0]["publications"]
    assert [(one["publication_id"], one["is_target"]) for one in shown] == [("p2", False), ("p1", True)]
    put_board(settings, live="p2", returns_to=None, publications=lists)
    assert review.overview(settings, NOW)["placements"][0]["way_back"] is None


def test_live_files_of_another_version_are_told_and_the_rest_is_shown(settings: Settings) -> None:
    put_sheet(settings)
    replace_json(settings.resolved_home / "live" / "manifest.json", {"version": 0, "live": []})
    shown = review.overview(settings, NOW)
    assert "are of version 0" in shown["problem"]
    assert [one["sheet"].version for one in shown["placements"][0]["waiting"]] == ["5"]


def test_what_a_run_has_changed(settings: Settings) -> None:
    put_sheet(settings)
    lists = [publication("p1", "4", "live")]
    decided = [decision("5", "approved", 2), decision("4", "approved")]
    put_board(settings, *decided, standing=("4", "5"), live="p1", publications=lists)
    now = review.outcome(settings, {"model": MODEL, "version": "5", "verdict": "approved"})
    assert (now["placement"], now["decision"]["decision_id"]) == ("for_you", "for_you-000002")
    assert (now["live"]["publication_id"], now["is_followed"]) == ("p1", False)
    put_board(settings, *decided, standing=("4",), live="p1", publications=lists)
    now = review.outcome(settings, {"placement": "for_you", "publication": "p2"})
    assert (now["decision"]["decision_id"], now["is_followed"]) == ("for_you-000002", True)
    unknown = review.outcome(settings, {"item": "i1", "placement": ""})
    assert (unknown["placement"], unknown["decision"], unknown["live"]) == ("", None, None)
    refused = review.outcome(settings, {"model": MODEL, "version": "9"})
    assert (refused["placement"], refused["decision"]) == ("for_you", None)


def test_lights_show_the_worst_of_a_group_and_say_why() -> None:
    def measured(name: str, status: str, placement: str | None = None) -> dict[str, Any]:
        return {"name": name, "status": status, "placement": placement, "message": f"{name} is {status}."}

    found = [
        measured("data_age_hours", "ok"),
        measured("data_delay_hours", "warn"),
        measured("feature_drift", "warn", "for_you"),
        measured("score_drift", "breach", "for_you"),
        measured("coverage_share", "breach", "discover"),
    ]
    shown = {one["name"]: one for one in lights(found, "for_you")}
    assert {name: one["word"] for name, one in shown.items()} == {
        "Freshness": "look at it",
        "Data": "not measured",
        "Drift": "breach",
        "Reach": "not measured",
        "Quality": "not measured",
    }
    assert shown["Freshness"]["messages"] == ["data_delay_hours is warn."]
    assert shown["Drift"]["messages"] == ["feature_drift is warn.", "score_drift is breach."]
    assert lights(found[:1], "for_you")[0]["messages"] == ["data_age_hours is ok."]


def test_every_figure_of_monitoring_has_a_light() -> None:
    assert sorted(name for group in GROUPS.values() for name in group) == sorted(HELP)


def test_rules_that_hide_products_are_told_with_whether_they_hold(settings: Settings) -> None:
    def rule(ends_at: str | None, **changes: Any) -> dict[str, Any]:
        named = {"item_id": None, "brand": None, "category": None, "title": None, "starts_at": "2025-01-01T00:00:00"}
        return {**named, "ends_at": ends_at, **changes}

    hidden = [
        rule(None, item_id="i1", title="Bread"),
        rule("2025-01-04T12:00:00", brand="Acme", category="Food"),
        rule(None, item_id="i2", starts_at="2025-02-01T00:00:00"),
    ]
    replace_json(board_path(settings), {"version": VERSION, "placements": {}, "hidden": hidden})
    shown = [(one["what"], one["holds"]) for one in review.history(settings, NOW)["hidden"]]
    assert shown == [("Bread", True), ("brand Acme, category Food", False), ("i2", False)]
    rules = review.outcome(settings, {"item": "i1", "placement": ""})["rules"]
    assert [one["title"] for one in rules] == ["Bread"]


def test_a_report_is_found_by_its_folder_and_nothing_else_is(settings: Settings) -> None:
    put_sheet(settings)
    assert review.report_file(settings, "e5").read_text() == "<p>The report</p>"
    (settings.resolved_home / "report.html").write_text("secret")
    (settings.resolved_home / "evaluations" / "out").symlink_to(settings.resolved_home)
    for name in ("", ".", "..", "e5/../e5", "e6", "../evaluations/e5", "/etc", "out"):
        with pytest.raises(NotFoundError, match="There is no evaluation"):
            review.report_file(settings, name)


def test_only_the_two_assets_are_given_out() -> None:
    assert {name: review.asset(name)[1].split(";")[0] for name in ASSETS} == {
        "review.css": "text/css",
        "review.js": "text/javascript",
    }
    for name in ("rendering.py", "../rendering.py", "overview.html"):
        with pytest.raises(NotFoundError):
            review.asset(name)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(seconds=-5), "0 minutes"),
        (timedelta(seconds=90), "a minute"),
        (timedelta(minutes=119), "119 minutes"),
        (timedelta(minutes=120), "2 hours"),
        (timedelta(hours=47), "47 hours"),
        (timedelta(days=2, hours=5), "2 days"),
    ],
)
def test_an_age_is_said_as_a_person_says_it(span: timedelta, words: str) -> None:
    assert age(span) == words
