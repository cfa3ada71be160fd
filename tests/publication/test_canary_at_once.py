"""Two people who decide about a canary at the same moment, on a real PostgreSQL: one decision counts."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import Connection, Engine, event

from recsys import ledger
from recsys.errors import RecsysError
from recsys.publication import (
    list_canaries,
    list_publications,
    promote_canary,
    rollback,
    running_canary,
    start_canary,
    widen_canary,
    withdraw_canary,
)
from recsys.settings import Settings
from recsys.warehouse import Warehouse, open_warehouse
from tests.publication.test_canary import WHO, at, lists_of, put_live, start
from tests.support.engines import POSTGRESQL
from tests.support.publications import PLACEMENT, live_rows

Move = Callable[[Warehouse, Settings], object]


@pytest.fixture
def warehouse_engine() -> str:
    """The embedded engine has one process at a time."""
    return POSTGRESQL


@pytest.fixture
def settings(settings: Settings) -> Iterator[Settings]:
    """Two publications went live on a database of its own."""
    with open_warehouse(settings, purpose="test") as warehouse:
        for day in range(2):
            put_live(warehouse, settings, f"p{day}", day)
    yield settings


def widen(warehouse: Warehouse, settings: Settings) -> None:
    widen_canary(warehouse, settings, PLACEMENT, share=0.9, **WHO, now=at(3))


def promote(warehouse: Warehouse, settings: Settings) -> None:
    promote_canary(warehouse, settings, PLACEMENT, **WHO, now=at(3))


def withdraw(warehouse: Warehouse, settings: Settings) -> None:
    withdraw_canary(warehouse, settings, PLACEMENT, **WHO, now=at(3))


def roll_back(warehouse: Warehouse, settings: Settings) -> None:
    rollback(warehouse, settings, PLACEMENT, **WHO, now=at(3))


def at_once(settings: Settings, *moves: Move) -> list[RecsysError | None]:
    """Run moves in threads that begin together, each with connections of its own; return what each met."""
    barrier = Barrier(len(moves))

    def run(move: Move) -> RecsysError | None:
        with open_warehouse(settings, purpose="test") as warehouse:
            barrier.wait()
            try:
                move(warehouse, settings)
            except RecsysError as error:
                return error
        return None

    with ThreadPoolExecutor(len(moves)) as pool:
        return list(pool.map(run, moves))


def check(warehouse: Warehouse) -> None:
    """What holds whoever was first: every shown publication is live, and its version allowed by the ledger."""
    shown = {row["publication_id"] for row in live_rows(warehouse)}
    records = {record.publication_id: record for record in list_publications(warehouse, PLACEMENT)}
    champion, canary = ledger.champion(warehouse, PLACEMENT), running_canary(warehouse, PLACEMENT)
    assert champion is not None
    allowed = {champion.model_version, *([canary.model_version] if canary else [])}
    assert {records[name].status for name in shown} == {"live"}
    assert {records[name].model_version for name in shown} <= allowed
    assert {name for name, record in records.items() if record.status == "live"} == shown
    moves = warehouse.query("select canary_id, fence from recsys.canary_moves order by canary_id, fence")
    for one in list_canaries(warehouse):
        fences = [move["fence"] for move in moves if move["canary_id"] == one.canary_id]
        assert fences == list(range(1, one.fence + 1))


@pytest.mark.parametrize("second", [widen, withdraw, roll_back, promote])
def test_a_promotion_beside_another_move(settings: Settings, second: Move) -> None:
    with open_warehouse(settings, purpose="test") as warehouse:
        start(warehouse, settings, 0.5, day=2)
        met = at_once(settings, promote, second)
        assert None in met
        check(warehouse)


@pytest.mark.parametrize("first", [widen, withdraw])
def test_a_rollback_beside_a_move_leaves_no_canary(settings: Settings, first: Move) -> None:
    with open_warehouse(settings, purpose="test") as warehouse:
        start(warehouse, settings, 0.5, day=2)
        met = at_once(settings, first, roll_back)
        assert None in met
        check(warehouse)
        if met[1] is None:
            assert running_canary(warehouse, PLACEMENT) is None


def begin(settings: Settings, name: str, version: str) -> Move:
    files = lists_of(settings, name, version=version)
    return lambda warehouse, settings: start_canary(warehouse, settings, files, share=0.5, **WHO, now=at(2))


def require_one_start(settings: Settings) -> None:
    with open_warehouse(settings, purpose="test") as warehouse:
        assert len(list_canaries(warehouse)) == 1
        assert [entry.verdict for entry in ledger.list_decisions(warehouse)] == ["approved", "canary"]
        check(warehouse)


def test_only_one_of_two_starts_counts(settings: Settings) -> None:
    met = at_once(settings, begin(settings, "c1", "2"), begin(settings, "c2", "3"))
    assert sorted(error is None for error in met) == [False, True]
    require_one_start(settings)


# What a decision reads of the ledger, and what it writes there: with all that it read before, or all but that.
READS, WRITES = "max(decision_number)", "insert into recsys.decisions"


def between(settings: Settings, statement: str, move: Move, other: Move) -> RecsysError | None:
    """Run a move, and another one from its begin to its end just before a statement of the first; return its error."""
    others: list[Move] = [other]

    def interrupt(_connection: Connection, _cursor: object, sql: str, *_: object) -> None:
        if statement in sql and others:
            second = others.pop()
            with open_warehouse(settings, purpose="test") as warehouse:
                second(warehouse, settings)

    event.listen(Engine, "before_cursor_execute", interrupt)
    try:
        with open_warehouse(settings, purpose="test") as warehouse:
            move(warehouse, settings)
    except RecsysError as error:
        return error
    finally:
        event.remove(Engine, "before_cursor_execute", interrupt)
        assert not others
    return None


@pytest.mark.parametrize("statement", [READS, WRITES])
def test_a_start_in_the_middle_of_another_one(settings: Settings, statement: str) -> None:
    assert between(settings, statement, begin(settings, "c1", "2"), begin(settings, "c2", "3")) is not None
    require_one_start(settings)


@pytest.mark.parametrize("statement", [READS, WRITES])
@pytest.mark.parametrize(
    ("move", "other"), [(withdraw, promote), (promote, withdraw), (withdraw, roll_back), (widen, withdraw)]
)
def test_a_move_that_another_one_overtakes_is_refused(
    settings: Settings, move: Move, other: Move, statement: str
) -> None:
    with open_warehouse(settings, purpose="test") as warehouse:
        start(warehouse, settings, 0.5, day=2)
        assert between(settings, statement, move, other) is not None
        check(warehouse)
        assert running_canary(warehouse, PLACEMENT) is None
