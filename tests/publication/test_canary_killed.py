"""Moves of a canary that are killed at any step: done or undone for readers, and the next attempt finishes them."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from recsys import ledger
from recsys.assets import read_sql
from recsys.publication import (
    find_publication,
    list_canaries,
    promote_canary,
    refresh_canary,
    rollback,
    running_canary,
    start_canary,
    widen_canary,
    withdraw_canary,
)
from recsys.settings import Settings
from recsys.warehouse import Warehouse, open_warehouse
from tests.publication.test_canary import WHO, at, expected, lists_of, put_live, served, start
from tests.support import children
from tests.support.publications import ITEMS, MODEL, PLACEMENT, approve, live_rows
from tests.support.warehouse import make_settings, write_small_shop

MOVES = {
    "start": lambda warehouse, settings: start_canary(
        warehouse, settings, lists_of(settings, "c1"), share=0.3, **WHO, now=at(2)
    ),
    "refresh": lambda warehouse, settings: refresh_canary(warehouse, settings, lists_of(settings, "c2", 9), now=at(3)),
    "widen": lambda warehouse, settings: widen_canary(warehouse, settings, PLACEMENT, share=0.8, **WHO, now=at(3)),
    "promote": lambda warehouse, settings: promote_canary(warehouse, settings, PLACEMENT, **WHO, now=at(3)),
    "withdraw": lambda warehouse, settings: withdraw_canary(warehouse, settings, PLACEMENT, **WHO, now=at(3)),
    "rollback": lambda warehouse, settings: rollback(warehouse, settings, PLACEMENT, **WHO, now=at(3)),
}
STEPS = [
    ("start", "add_publication"),
    ("start", "raise_canary"),
    ("start", "record_canary_move"),
    ("refresh", "move_canary"),
    ("refresh", "record_canary_move"),
    ("widen", "add_decision"),
    ("widen", "show_canary"),
    ("promote", "add_decision"),
    ("promote", "move_pointer"),
    ("promote", "end_canary"),
    ("withdraw", "end_canary"),
    ("rollback", "end_canary"),
]


def prepare(tmp_path: Path, move: str) -> Settings:
    """Two publications went live, and a canary runs unless it is to be started."""
    settings = make_settings(tmp_path)
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=60, items=ITEMS, days=60)
        approve(warehouse, "1")
        for day in range(2):
            put_live(warehouse, settings, f"p{day}", day)
        if move != "start":
            start(warehouse, settings, 0.3, day=2)
    return settings


def move_until(folder: Path, move: str, step: str) -> None:
    """In a child: move the canary, and end like a killed one after the statement."""
    fatal, real = read_sql("publication", f"{step}.sql"), Connection.execute

    def dying(self: Connection, statement: Any, *args: Any, **kwargs: Any) -> Any:
        result = real(self, statement, *args, **kwargs)
        if str(statement) == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    Connection.execute = dying  # type: ignore[method-assign]
    settings = make_settings(folder)
    with open_warehouse(settings, purpose="the killed one") as warehouse:
        MOVES[move](warehouse, settings)


def run_killed(tmp_path: Path, move: str, step: str) -> None:
    ended = children.run(tmp_path, move_until, tmp_path, move, step)
    assert ended.code == -signal.SIGKILL, ended.printed


def state(warehouse: Warehouse) -> dict[str, object]:
    """All that a half-done move would leave behind."""
    return {
        "decisions": ledger.list_decisions(warehouse),
        "canaries": list_canaries(warehouse),
        "moves": warehouse.query("select * from recsys.canary_moves order by canary_id, fence"),
        "pointers": warehouse.query("select * from recsys.pointers order by placement, bucket_from"),
        "aliases": ledger.list_aliases(warehouse),
        "rows": live_rows(warehouse),
    }


def finish(warehouse: Warehouse, settings: Settings, move: str) -> None:
    """The next attempt, and what it has to come to."""
    MOVES[move](warehouse, settings)
    seen = served(warehouse, settings)
    running = running_canary(warehouse, PLACEMENT)
    if move in ("start", "refresh", "widen"):
        assert running is not None
        assert (running.publication_id, running.share) == {
            "start": ("c1", 0.3),
            "refresh": ("c2", 0.3),
            "widen": ("c1", 0.8),
        }[move]
        assert seen == expected(running, "p1")
    else:
        assert running is None
        assert set(seen.values()) == {{"promote": "c1", "withdraw": "p1", "rollback": "p0"}[move]}
    for publication in set(seen.values()):
        found = find_publication(warehouse, publication)
        assert found is not None and found.status == "live"


@pytest.mark.parametrize(("move", "step"), STEPS)
def test_killed_in_the_transaction_it_is_undone_and_the_next_attempt_does_it(
    tmp_path: Path, move: str, step: str
) -> None:
    settings = prepare(tmp_path, move)
    with open_warehouse(settings, purpose="test") as warehouse:
        before = state(warehouse)
    run_killed(tmp_path, move, step)
    with open_warehouse(settings, purpose="test") as warehouse:
        assert state(warehouse) == before
        finish(warehouse, settings, move)


@pytest.mark.parametrize("move", ["start", "refresh", "widen"])
def test_killed_after_the_transaction_it_is_done_and_the_files_follow_at_the_next_attempt(
    tmp_path: Path, move: str
) -> None:
    settings = prepare(tmp_path, move)
    # The first statement of the export, after the commit.
    run_killed(tmp_path, move, "live_pointers")
    with open_warehouse(settings, purpose="test") as warehouse:
        after = state(warehouse)
        running = running_canary(warehouse, PLACEMENT)
        assert running is not None
        finish(warehouse, settings, move)
        assert state(warehouse) == after


def test_a_killed_promotion_is_done_once(tmp_path: Path) -> None:
    settings = prepare(tmp_path, "promote")
    run_killed(tmp_path, "promote", "live_pointers")
    with open_warehouse(settings, purpose="test") as warehouse:
        champion = ledger.champion(warehouse, PLACEMENT)
        assert champion is not None and (champion.model_name, champion.model_version) == (MODEL, "2")
        assert {row["publication_id"] for row in live_rows(warehouse)} == {"c1"}
        rollback(warehouse, settings, PLACEMENT, **WHO, now=at(4))
        assert set(served(warehouse, settings).values()) == {"p1"}
