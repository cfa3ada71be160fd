"""A canary from the registry to the customers and back, by the commands a person types."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from recsys import ledger, pipeline, registry
from recsys.cli import app
from recsys.cli.canary import parse_share
from recsys.errors import NotFoundError, RefusedError, SettingsError
from recsys.publication import Canary, list_canaries, list_publications, live_list, running_canary
from recsys.settings import Settings
from recsys.warehouse import open_warehouse
from tests.support.chain import published, run, write_chain_shop
from tests.support.planted import NOW, quick_settings

PLACEMENT = "for_you"
MODEL = "recsys_for_you"
BEFORE = "2024-12-01"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Version 1 is live as of December; 2 is the same model again, and 3 as well, but the gate did not pass it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("RECSYS_", "MLFLOW_"))]:
            patch.delenv(name)
        folder = tmp_path_factory.mktemp("canary")
        settings = quick_settings(folder)
        patch.setenv("RECSYS_HOME", str(settings.home))
        patch.setenv("RECSYS_THREADS", "2")
        patch.setenv("RECSYS_PUBLICATION__MIN_ITEM_PURCHASES", "3")
        write_chain_shop(settings)
        run(settings, as_of=BEFORE, placements=[PLACEMENT])
        with registry.connected(settings) as client:
            first = client.get_model_version(MODEL, "1")
            for gate in ("passed", "failed"):
                tags = {**first.tags, "gate": gate, "gate_reason": f"It {gate}.", "review": "pending"}
                client.create_model_version(MODEL, source=first.source, run_id=first.run_id, tags=tags)
        yield settings


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["canary", *arguments])


def running(settings: Settings) -> Canary:
    with open_warehouse(settings, purpose="test") as warehouse:
        found = running_canary(warehouse, PLACEMENT)
    assert found is not None
    return found


def seen(settings: Settings) -> dict[str, str]:
    with open_warehouse(settings, purpose="test") as warehouse:
        return {row["user_id"]: row["publication_id"] for row in published(warehouse, PLACEMENT)}


def in_share(settings: Settings, canary: Canary) -> set[str]:
    customers = {user for user in seen(settings) if user != "*" and not user.startswith("segment:")}
    return {user for user in customers if canary.includes(user)}


def test_a_version_that_the_gate_did_not_pass_needs_an_override(settings: Settings) -> None:
    done = command("start", MODEL, "3", "--share", "10%", "--why", "x", "--as-of", BEFORE)
    assert done.exit_code == 1
    assert "Version 3 of recsys_for_you did not pass the gate. It failed." in done.stderr
    champion = command("start", MODEL, "1", "--share", "10%", "--why", "x", "--as-of", BEFORE)
    assert "Version 1 of recsys_for_you is the champion of for_you" in champion.stderr
    assert "scoring" not in champion.output
    assert "No canary ever ran." in command("status").output
    assert "No canary runs" in command("end", "--promote", "--why", "x").stderr
    assert "nothing to refresh" in command("refresh", "--as-of", BEFORE).output


def test_from_a_share_to_everybody(settings: Settings) -> None:
    main = set(seen(settings).values())
    started = command("start", MODEL, "2", "--share", "50%", "--why", "a try", "--by", "ada", "--as-of", BEFORE)
    assert started.exit_code == 0, started.output
    canary = running(settings)
    assert f"{canary.canary_id}: version 2 of recsys_for_you is shown to 50.00% of the customers" in started.output
    own = {user for user, publication in seen(settings).items() if publication == canary.publication_id}
    assert own == in_share(settings, canary)
    assert 0 < len(own) < len(seen(settings))
    assert set(seen(settings).values()) == {*main, canary.publication_id}
    assert live_list(settings, min(own), PLACEMENT).model_version == "2"

    # Version 2 is the same model, so its customers differ by chance alone.
    shown = command("status").output
    assert "bought from 2024-12-01T00:00:00 to 2024-12-31T" in shown
    assert "canary - main" in shown
    measured = pipeline.measure_canary(settings, canary_id=canary.canary_id, now=NOW)
    assert measured["low"] < 0 < measured["high"]

    # While it runs, a look at MLflow leaves its version waiting for a decision.
    assert pipeline.reconcile(settings, now=NOW)["approved"] == []
    assert registry.get_version(settings, MODEL, "2").tags["review"] == "pending"

    refreshed = command("refresh")
    assert refreshed.exit_code == 0, refreshed.output
    newer = running(settings)
    assert newer.publication_id != canary.publication_id
    assert {user for user, publication in seen(settings).items() if publication == newer.publication_id} >= own

    assert "is shown to 80.00% of the customers" in command("widen", "--share", "0.8", "--why", "fine").output
    ended = command("end", "--promote", "--why", "better", "--by", "ada")
    assert ended.exit_code == 0, ended.output
    assert "is promoted: version 2 of recsys_for_you is live for everybody." in ended.output
    assert set(seen(settings).values()) == {newer.publication_id}
    version = registry.get_version(settings, MODEL, "2")
    assert (version.tags["review"], version.tags["reviewed_by"]) == ("approved", "ada")
    with registry.connected(settings) as client:
        assert str(client.get_model_version_by_alias(MODEL, "champion").version) == "2"
    with open_warehouse(settings, purpose="test") as warehouse:
        decided = [(entry.verdict, entry.model_version) for entry in ledger.list_decisions(warehouse, PLACEMENT)]
        kinds = {record.publication_id: record.kind for record in list_publications(warehouse, PLACEMENT)}
    assert decided == [("approved", "1"), ("canary", "2"), ("canary", "2"), ("approved", "2")]
    assert kinds[newer.publication_id] == "main"


def test_a_retry_after_the_end_ends_nothing_anew_and_an_ended_one_is_measured(settings: Settings) -> None:
    with open_warehouse(settings, purpose="test") as warehouse:
        ended = list_canaries(warehouse, PLACEMENT)[0]
        decided = ledger.list_decisions(warehouse, PLACEMENT)
    assert ended.ended_at is not None
    who: Any = {"decided_by": "ada", "channel": "airflow", "reason": "again", "now": ended.ended_at}
    asked: Any = {"placement": PLACEMENT, "move": "promote", "canary_id": ended.canary_id, **who}
    again = pipeline.move_canary(settings, **asked, since=ended.ended_at - timedelta(minutes=1))
    assert (again["canary_id"], again["status"]) == (ended.canary_id, "promoted")
    with pytest.raises(NotFoundError, match="No canary runs on for_you"):
        pipeline.move_canary(settings, **asked, since=ended.ended_at)
    with pytest.raises(NotFoundError, match="No canary runs on for_you"):
        pipeline.move_canary(settings, **{**asked, "move": "withdraw"}, since=ended.started_at)
    with open_warehouse(settings, purpose="test") as warehouse:
        assert ledger.list_decisions(warehouse, PLACEMENT) == decided
    shown = command("status", ended.canary_id).output
    assert "bought from 2024-12-01T00:00:00" in shown and "canary - main" in shown
    assert "There is no canary 'x'" in command("status", "x").stderr


def test_a_shadow_that_is_rejected_is_gone_and_mlflow_being_away_is_no_failure(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = seen(settings)
    arguments = ("start", MODEL, "3", "--share", "0", "--why", "look", "--override", "--as-of", "latest")
    started = command(*arguments)
    assert started.exit_code == 0, started.output
    assert "is shown to nobody (shadow)" in started.output
    assert seen(settings) == before
    with open_warehouse(settings, purpose="test") as warehouse:
        assert "override: look" in ledger.list_decisions(warehouse, PLACEMENT)[-1].reason
    canary = running(settings)
    snapshot = pipeline.take_snapshot(settings, as_of="latest", now=NOW)["snapshot"]
    fitted = pipeline.fit_canaries(settings, snapshot=snapshot, placements=[PLACEMENT])
    assert fitted["canaries"] == {PLACEMENT: canary.canary_id}
    monkeypatch.setenv("RECSYS_TRACKING_URI", "http://127.0.0.1:9")
    ended = command("end", "--withdraw", "--why", "no better")
    assert ended.exit_code == 0, ended.output
    assert "is withdrawn: version 3 of recsys_for_you is shown to nobody any more." in ended.output
    assert "MLflow follows at the next run: MLflow at http://127.0.0.1:9" in ended.output
    assert seen(settings) == before
    # A publication that makes newer lists of it at this moment tells it and does not fail; a start does not undo it.
    made: Any = {"state": fitted["state"], "lists": [], "placement": PLACEMENT, "run_id": "test", "now": NOW}
    told = pipeline.refresh_canary(settings, **made, canary_id=canary.canary_id)
    assert (told["canary_id"], told["status"]) == (canary.canary_id, "withdrawn")
    with pytest.raises(RefusedError, match="is withdrawn since this began"):
        pipeline.start_canary(
            settings, **made, share=0.1, decided_by="ada", channel="airflow", reason="x", since=canary.started_at
        )


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), ("0.1", 0.1), ("0", 0.0), ("100%", 1.0), ("1", 1.0)])
def test_a_share_is_written_in_two_ways(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["ten", "101%", "1.5", "-1%", "nan", ""])
def test_what_is_no_share_is_told(text: str) -> None:
    with pytest.raises(SettingsError, match="--share"):
        parse_share(text)


def test_how_it_ends_has_to_be_said(settings: Settings) -> None:
    assert "either --promote or --withdraw" in command("end", "--why", "x").stderr
    assert command("end", "--promote", "--withdraw", "--why", "x").exit_code == 1


def test_nothing_is_made_where_there_is_no_warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    for arguments in (("status",), ("start", MODEL, "1", "--share", "1%", "--why", "x"), ("refresh",)):
        done = command(*arguments)
        assert "There is no warehouse at" in done.stderr
    assert not (tmp_path / "home").exists()
