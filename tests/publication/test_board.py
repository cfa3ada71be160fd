"""The board says what the warehouse says, for whoever must not open it."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest

from recsys import ledger
from recsys.publication import (
    Rule,
    publish,
    read_board,
    read_hidden,
    rollback,
    start_canary,
    suppress,
    unsuppress,
    write_board,
)
from recsys.publication.board import board_path
from recsys.settings import Settings
from recsys.warehouse import Warehouse
from tests.support.publications import MODEL, NOW, PLACEMENT, approve, made_lists, write_publication


def put_live(warehouse: Warehouse, settings: Settings, version: int) -> None:
    lists = made_lists(shift=version)
    made = write_publication(settings.resolved_home / "files", f"p{version}", lists, version=str(version))
    publish(warehouse, settings, made, now=NOW + timedelta(days=version))


def board(settings: Settings) -> dict[str, Any]:
    return read_board(settings)[PLACEMENT]


def states(settings: Settings) -> dict[str, str]:
    return {one["publication_id"]: one["status"] for one in board(settings)["publications"]}


def test_it_follows_publications_and_a_rollback(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, 1)
    assert (board(settings)["live"], board(settings)["returns_to"]) == ("p1", None)
    approve(warehouse, "2", now=NOW + timedelta(days=1))
    put_live(warehouse, settings, 2)
    shown = board(settings)
    assert (shown["live"], shown["returns_to"]) == ("p2", "p1")
    assert states(settings) == {"p2": "live", "p1": "superseded"}
    assert list(states(settings)) == ["p2", "p1"]  # the newest first
    assert shown["champion"]["model_version"] == "2"
    assert shown["standing"] == [[MODEL, "1"], [MODEL, "2"]]
    taken = {"decided_by": "ada", "channel": "airflow", "reason": "too sweet", "now": NOW + timedelta(days=3)}
    rollback(warehouse, settings, PLACEMENT, **taken)
    shown = board(settings)
    assert (shown["live"], shown["returns_to"]) == ("p1", None)
    assert states(settings) == {"p2": "withdrawn", "p1": "live"}
    assert shown["champion"]["model_version"] == "1"
    newest = shown["decisions"][0]
    assert (newest["verdict"], newest["decided_by"], newest["reason"]) == ("rolled_back", "ada", "too sweet")
    assert newest["decided_at"] == (NOW + timedelta(days=3)).isoformat()
    assert newest["restored_model_version"] == "1"


def test_what_a_rollback_is_about_is_on_it_however_old(
    warehouse: Warehouse, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys.publication.board.MOST_PUBLICATIONS", 1)
    for version in (1, 2, 3):
        approve(warehouse, str(version), now=NOW + timedelta(days=version))
        put_live(warehouse, settings, version)
    assert list(states(settings)) == ["p3", "p2"]


def test_it_says_which_version_waits(warehouse: Warehouse, settings: Settings) -> None:
    ledger.propose_challenger(warehouse, model_name=MODEL, model_version="2", now=NOW)
    write_board(warehouse, settings)
    assert board(settings)["challenger"] == "2"
    approve(warehouse, "2", now=NOW + timedelta(days=1))
    write_board(warehouse, settings)
    assert board(settings)["challenger"] is None


def test_it_says_what_is_hidden_and_by_whom(warehouse: Warehouse, settings: Settings) -> None:
    told = {"by": "ada", "reason": "recalled", "now": NOW}
    rule = suppress(warehouse, settings, Rule(starts_at=NOW, item_id="i003", placement=PLACEMENT), **told)
    [shown] = read_hidden(settings)
    named = ("item_id", "placement", "created_by", "ended_by")
    assert [shown[name] for name in named] == ["i003", PLACEMENT, "ada", None]
    assert shown["title"].startswith("Product")
    ending = {"by": "olga", "reason": "it is safe", "now": NOW + timedelta(days=1)}
    unsuppress(warehouse, settings, rule.suppression_id, **ending)
    [shown] = read_hidden(settings)
    assert (shown["ended_by"], shown["end_reason"]) == ("olga", "it is safe")


def test_it_says_what_is_on_trial(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, 1)
    made = write_publication(settings.resolved_home / "files", "c2", made_lists(shift=2), version="2")
    who = {"decided_by": "ada", "channel": "cli", "reason": "try it", "now": NOW + timedelta(days=2)}
    start_canary(warehouse, settings, made, share=0.25, **who)
    [trial] = board(settings)["canaries"]
    assert (trial["model_version"], trial["share"], trial["status"]) == ("2", 0.25, "running")
    kinds = {one["publication_id"]: one["kind"] for one in board(settings)["publications"]}
    assert kinds == {"p1": "main", "c2": "canary"}


def test_a_placement_without_anything_is_on_it(warehouse: Warehouse, settings: Settings) -> None:
    write_board(warehouse, settings)
    assert read_board(settings)["discover"] == {
        "champion": None,
        "standing": [],
        "challenger": None,
        "live": None,
        "returns_to": None,
        "publications": [],
        "decisions": [],
        "canaries": [],
    }


def test_without_a_file_or_with_another_versions_it_is_empty(warehouse: Warehouse, settings: Settings) -> None:
    assert read_board(settings) == {}
    path = write_board(warehouse, settings)
    path.write_text(json.dumps({"version": 0, "placements": {PLACEMENT: {}}}))
    assert read_board(settings) == {}


def test_a_reader_never_sees_half_of_it_and_debris_goes(warehouse: Warehouse, settings: Settings) -> None:
    path = write_board(warehouse, settings)
    (path.parent / f".{path.name}.killed").write_text("{")
    seen: list[int] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.append(len(board(settings)["decisions"]))

    reader = threading.Thread(target=read)
    reader.start()
    for version in range(2, 30):
        approve(warehouse, str(version), now=NOW + timedelta(days=version))
        write_board(warehouse, settings)
    stop.set()
    reader.join()
    assert seen == sorted(seen)
    assert len(board(settings)["decisions"]) == 29
    assert sorted(one.name for one in board_path(settings).parent.iterdir()) == [".lock", "placements.json"]
