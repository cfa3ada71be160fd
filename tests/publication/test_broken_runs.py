"""Work that breaks at any of its writes, or is killed at any moment: nothing is lost, mixed, doubled or left over.

``make test`` breaks each write of a publication once (with a server: those to it, and every sixth file) and every
sixth write of other actions, by a kill or a full disk in turn, and kills ten times at random. ``make soak`` breaks
each write of each action in both ways, and kills 200 times.
"""

import os
import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.breaking import CUT, FULL, KILL
from tests.support.broken_runs import Plan, Report, run_plans
from tests.support.engines import POSTGRESQL

ACTIONS = ("publish", "refresh", "refuse", "rollback", "extract")
TOLD = ("DiskFullError", "WarehouseError")
SEED = 20_250_101


@pytest.fixture
def server(warehouse_engine: str, request: pytest.FixtureRequest) -> str:
    """The server's URL; empty for the embedded warehouse."""
    return str(request.getfixturevalue("postgres_url")) if warehouse_engine == POSTGRESQL else ""


def require_whole(reports: list[Report]) -> None:
    """Fail unless readers saw whole sets, nothing is left over, and all is as after the untouched run, the first."""
    wrong = []
    for report in reports:
        name = f"{report['how']} at {report['at']} ({report.get('what')})"
        wrong += [f"{name}: {fault}" for fault in (*report["faults"], *report["debts"])]
        kept = reports[0]["stored"]
        wrong += [f"{name}: {part} differs" for part in kept if report["stored"][part] != kept[part]]
    assert wrong == []


def require_told(reports: list[Report]) -> None:
    """Fail unless a person was told what to do wherever the run did not end by itself."""
    for report in reports:
        if report["error"]:
            assert report["kind"] in TOLD, report["error"]
            assert "ree some space" in report["error"]


def test_at_whatever_write_it_breaks_a_rerun_ends_as_if_nothing_was(tmp_path: Path, server: str) -> None:
    named: dict[str, Any] = {"folder": str(tmp_path), "server": server, "how": [KILL, FULL]}
    plans = [Plan(action="publish", is_files=not server, **named)]
    plans += [Plan(action=action, step=6, **named) for action in ACTIONS if server or action != "publish"]
    kills = Plan(str(tmp_path), server, kills=10, seed=SEED)
    *broken, killed = run_plans(*plans, kills)
    for plan, reports in zip(plans, broken, strict=True):
        assert len(reports) > (15 if plan.step == 1 else 2), plan.action
        require_whole(reports)
        require_told(reports)
        assert {report["ended"] for report in reports if report["how"] == KILL} == {-9}
    require_survived(killed, 10)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("action", ACTIONS)
def test_each_write_breaks_in_each_way(tmp_path: Path, server: str, action: str) -> None:
    [reports] = run_plans(Plan(str(tmp_path), server, action, how=[KILL, FULL], is_all=True))
    print(f"{action}: {len(reports) - 1} breaks at {reports[-1]['at']} writes")
    require_whole(reports)
    require_told(reports)


def require_erased(*plans: Plan) -> None:
    """Fail unless the customer is nowhere after the rerun, with one proof and nothing left over."""
    for reports in run_plans(*plans):
        print(f"erase: {len(reports) - 1} breaks at {reports[-1]['at']} writes")
        assert len(reports) > 2
        require_whole(reports)
        require_told(reports)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_each_write_of_an_erasure_breaks_in_each_way(tmp_path: Path, server: str) -> None:
    require_erased(Plan(str(tmp_path), server, "erase", how=[KILL, FULL], is_all=True))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_decision_that_is_killed_at_a_write_is_followed_by_the_aliases_when_it_is_run_again(
    tmp_path: Path, server: str
) -> None:
    """Writes to the ledger and to MLflow's database alike; MLflow's aliases and pages say in the end what it says."""
    [reports] = run_plans(Plan(str(tmp_path), server, "project", how=[KILL]))
    print(f"project: {len(reports) - 1} kills at {reports[-1]['at']} writes")
    assert len(reports) > 2
    require_whole(reports)


@pytest.mark.parametrize("step", [6, pytest.param(1, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
def test_a_connection_that_is_cut_at_a_write(tmp_path: Path, postgres_url: str, step: int) -> None:
    """What goes to the server is cut: a publication is done again by itself, anything else says what to do."""
    plans = [Plan(str(tmp_path), postgres_url, action, how=[CUT], step=step) for action in ("publish", "rollback")]
    for reports in run_plans(*plans):
        assert len(reports) > 2
        require_whole(reports)
        for report in reports:
            assert report["kind"] in ("", "TransientWarehouseError"), report["error"]
            assert not report["error"] or "Run it again" in report["error"]


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_killed_at_random_200_times(tmp_path: Path, server: str) -> None:
    """The seed is RECSYS_SOAK_SEED, or one drawn now; it is printed."""
    seed = int(os.environ.get("RECSYS_SOAK_SEED") or random.SystemRandom().randrange(2**31))
    print(f"RECSYS_SOAK_SEED={seed}")
    [reports] = run_plans(Plan(str(tmp_path), server, kills=200, seed=seed))
    require_survived(reports, 200)


def require_survived(reports: list[Report], kills: int) -> None:
    wrong = [(n, report["how"], report["at"], *report["faults"], *report["debts"]) for n, report in enumerate(reports)]
    assert [entry for entry in wrong if len(entry) > 3] == []
    ended = [report["ended"] for report in reports[1:]]
    print(f"{ended.count(-9)} killed, {ended.count(0)} had ended before")
    assert ended.count(-9) == kills
