"""Runs of one action that break at their first write, their second, and so on, each followed by a rerun.

One process loads the libraries and uses none of them; for each run it puts a prepared home and warehouse in place and
forks twice: a child that breaks, and one that looks at what readers see, reruns the action and reports what is
stored. Run as a program it takes :class:`Plan`s as JSON.
"""

import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

from recsys import ledger, pipeline, registry
from recsys.artifacts import ArtifactStore
from recsys.errors import AuditError, RecsysError
from recsys.publication import NewPublication, export_live, publish, read_pointer, rollback
from recsys.settings import Settings
from recsys.snapshot import take_snapshot
from recsys.warehouse import Warehouse, migrate, open_warehouse
from tests.support.breaking import Breaker
from tests.support.postgres import make_database
from tests.support.publications import ITEMS, NOW, PLACEMENT, approve, made_lists, write_publication
from tests.support.reviews import register
from tests.support.searching import in_database, places
from tests.support.warehouse import make_settings, user_id, write_small_shop
from tests.support.wholeness import NEWER, OVER, debts, faults, stored

ROOT = Path(__file__).parents[2]
DATABASE: Final = "broken"
ERASED: Final = user_id(0)
EARLIER: Final = 4
"""Publications before: the next one removes what nobody returns to, the second one and its base, the first."""


@dataclass(frozen=True)
class Plan:
    """What to break.

    Attributes:
        folder: for homes, templates and reports; empty.
        server: of PostgreSQL, as :func:`tests.support.postgres.postgres_url` gives it; empty: DuckDB.
        action: publish, refresh (publish some lists over a base), refuse, rollback, extract, erase or project (a
            decision, and the aliases that follow it).
        how: in which ways each write breaks; with several they take turns, unless ``is_all``.
        is_all: each write breaks in each way.
        step: every how-manieth write is broken.
        is_files: files are among the writes.
        kills: instead of counted writes, so many moments at random within a run.
        seed: of those moments.
    """

    folder: str
    server: str = ""
    action: str = "publish"
    how: list[str] = field(default_factory=lambda: ["kill"])
    is_all: bool = False
    step: int = 1
    is_files: bool = True
    kills: int = 0
    seed: int = 0


Report = dict[str, Any]


def run_plans(*plans: Plan) -> list[list[Report]]:
    """Run plans that share folder and server in a process of their own.

    For each plan there is a report for each run, the first one that of the untouched run.

    A report has ``at``, ``how``, ``what`` (the write), ``ended`` (0, 1 for an error of the platform, or minus a
    signal), ``error`` (what a person was told), ``faults`` (for readers after the break), ``debts`` (after the rerun)
    and ``stored``.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "tests.support.broken_runs", json.dumps([asdict(plan) for plan in plans])],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    found: list[list[Report]] = json.loads(ended.stdout.splitlines()[-1])
    return found


def _settings(plan: Plan) -> Settings:
    url = plan.server.replace("/postgres?", f"/{DATABASE}?") if plan.server else None
    store = f"sqlite:///{plan.folder}/home/mlflow.db" if plan.action == "project" else None
    named = {"warehouse_url": url, "tracking_uri": store, "publication": {"keep": EARLIER - 2}}
    return make_settings(Path(plan.folder), threads=1, **named)


def _prepare(plan: Plan) -> Report:
    """Make the shop, and the publications before; return which modules that loaded."""
    loaded = set(sys.modules)
    settings = _settings(plan)
    if plan.action == "project":
        with open_warehouse(settings, purpose="prepare") as warehouse:
            migrate(warehouse)
        register(settings)
        _decide(settings, "1")
        return {"modules": sorted(set(sys.modules) - loaded)}
    with open_warehouse(settings, purpose="prepare") as warehouse:
        write_small_shop(warehouse, users=60, items=ITEMS, days=60)
        approve(warehouse, "1")
        for number in range(EARLIER):
            _publish(warehouse, settings, _lists(settings, number, "refresh" if number == 1 else "publish"), number)
    _act(plan, "extract", 0)
    if plan.action == "erase":
        _derive(settings)
    else:
        shutil.rmtree(settings.resolved_home / "snapshots")
    return {"modules": sorted(set(sys.modules) - loaded)}


def _decide(settings: Settings, version: str) -> None:
    """Approve a version if nobody has, and let the aliases follow."""
    about = {"model": settings.model_name(PLACEMENT), "version": version, "verdict": ledger.APPROVED}
    with open_warehouse(settings, purpose="look") as warehouse:
        champion = ledger.champion(warehouse, PLACEMENT)
    if champion is None or champion.model_version != version:
        pipeline.decide(settings, **about, decided_by="ada", reason="looks right", now=NOW)
    pipeline.reconcile(settings, now=NOW)


def _projected(plan: Plan, settings: Settings) -> Report:
    """In a child: decide again, and compare the ledger with the aliases and pages in MLflow."""
    _act(plan, "project", EARLIER)
    model = settings.model_name(PLACEMENT)
    with open_warehouse(settings, purpose="look") as warehouse:
        decisions = [(one.model_version, one.verdict) for one in ledger.list_decisions(warehouse, PLACEMENT)]
        aliases = [[one.alias, one.wanted_version, one.is_written] for one in ledger.list_aliases(warehouse, model)]
    found = {name: registry.get_alias(settings, model, name) for name in ("champion", "challenger", "previous")}
    tags = {version: registry.get_version(settings, model, version).tags.get("review") for version in "12"}
    again = pipeline.reconcile(settings, now=NOW)
    wrong = [] if decisions == [("1", ledger.APPROVED), ("2", ledger.APPROVED)] else [f"decided {decisions}"]
    wrong += [] if (found["champion"], found["previous"]) == ("2", "1") else [f"aliases {found}"]
    wrong += [] if not any(again.values()) else [f"left to do: {again}"]
    return {"faults": wrong, "debts": [], "stored": {"aliases": aliases, "found": found, "tags": tags}}


def _derive(settings: Settings) -> None:
    """Make something of the snapshot, a sample as monitoring keeps it, and the registry that an erasure asks."""
    home = settings.resolved_home
    [users] = home.glob("snapshots/*/users.parquet")

    def build(folder: Path) -> Report:
        shutil.copy2(users, folder)
        return {}

    ArtifactStore(home).make("features", "of-all", build)
    sample = home / "monitoring" / "lists" / "p0@4095.parquet"
    sample.parent.mkdir(parents=True)
    [lists] = home.glob(f"live/p{EARLIER - 1}/lists.parquet")
    shutil.copy2(lists, sample)
    registry.versions_of_snapshots(settings, ["none"])


def _lists(settings: Settings, number: int, action: str) -> NewPublication:
    base = f"p{number - 1}" if action == "refresh" else None
    name = f"p{number}{OVER}{base}" if base else f"p{number}"
    rows = made_lists(shift=number, label=name)
    if base:
        rows = [row for row in rows if row["subject_id"] in NEWER]
    if action == "refuse":
        rows = [{**row, "item_id": "unheard"} if row["rank"] == 3 else row for row in rows]
    return write_publication(settings.resolved_home.parent / "files", name, rows, base=base)


def _publish(warehouse: Warehouse, settings: Settings, lists: NewPublication, number: int) -> None:
    publish(warehouse, settings, lists, now=NOW + timedelta(hours=number))


def _refuse(warehouse: Warehouse, settings: Settings, lists: NewPublication, number: int) -> None:
    try:
        _publish(warehouse, settings, lists, number)
    except AuditError:
        return
    raise AssertionError("lists with an unknown item passed the audit")


def _rollback(warehouse: Warehouse, settings: Settings, _lists: NewPublication, number: int) -> None:
    withdraw = f"p{number - 1}"
    if read_pointer(warehouse, PLACEMENT).publication_id == withdraw:
        named = {"decided_by": "ada", "channel": "cli", "reason": "worse", "withdraw": withdraw}
        rollback(warehouse, settings, PLACEMENT, **named, now=NOW + timedelta(hours=number))
    else:
        # It was done before the end came, and no person withdraws twice.
        export_live(warehouse, settings)


ACTIONS: Final = {"publish": _publish, "refresh": _publish, "refuse": _refuse, "rollback": _rollback}


def _act(plan: Plan, action: str, number: int, before: Callable[[], None] = lambda: None) -> None:
    """Do an action; ``before`` is called when the lists of the publication are written, which is not its work."""
    settings = _settings(plan)
    if action == "project":
        before()
        _decide(settings, "2")
        return
    lists = _lists(settings, number, action)
    before()
    if action == "erase":
        pipeline.erase(settings, user=ERASED, by="ada", reason="request 4711", now=NOW)
        return
    if action == "extract":
        take_snapshot(settings, as_of="latest", now=NOW)
        return
    with open_warehouse(settings, purpose=action) as warehouse:
        ACTIONS[action](warehouse, settings, lists, number)


def _broken(plan: Plan, at: int, how: str) -> Report:
    """In a child: act until it breaks."""
    settings = _settings(plan)
    breaker = Breaker(
        settings.resolved_home, at, how, settings.database_url if plan.server else "", is_files=plan.is_files
    )
    told, kind = "", ""
    try:
        _act(plan, plan.action, EARLIER, breaker.watch)
    except RecsysError as error:
        told, kind = str(error), type(error).__name__
    except Exception as error:
        # Not for a person: the test says so.
        told, kind = traceback.format_exc(), type(error).__name__
    return {"count": breaker.count, "what": breaker.what, "error": told, "kind": kind}


def _looked(plan: Plan, action: str, number: int = EARLIER) -> Report:
    """In a child: what readers see; then the rerun, and what is stored."""
    settings = _settings(plan)
    if action == "project":
        return _projected(plan, settings)
    lists = _lists(settings, number, action)
    if action == "erase":
        return _erased(plan, settings)
    if action == "extract":
        _act(plan, action, number)
    with open_warehouse(settings, purpose="look") as warehouse:
        found = faults(warehouse, settings)
        if action != "extract":
            ACTIONS[action](warehouse, settings, lists, number)
            found += faults(warehouse, settings)
        return {
            "faults": found,
            "debts": debts(warehouse, settings),
            "stored": stored(warehouse, settings) if not plan.kills else {},
        }


def _erased(plan: Plan, settings: Settings) -> Report:
    """In a child: erase again, and look for the customer in all places."""
    _act(plan, "erase", EARLIER)
    found = [
        *(in_database(ERASED, settings.database_url) if plan.server else []),
        *places(ERASED, settings.resolved_home),
    ]
    proofs = len(list((settings.resolved_home / "erasures").glob("*.json")))
    with open_warehouse(settings, purpose="look") as warehouse:
        owed = [*debts(warehouse, settings), *([] if proofs == 1 else [f"{proofs} proofs"])]
        return {"faults": found, "debts": owed, "stored": stored(warehouse, settings)}


def _forked(plan: Plan, work: Callable[[], Report], *, kill_after: float | None = None) -> tuple[int, Report]:
    """Do work in a child; return how it ended, and its report (empty if it was killed)."""
    told = Path(plan.folder) / "report.json"
    told.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            told.write_text(json.dumps(work()), encoding="utf-8")
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code not in (0, -signal.SIGKILL):
        sys.exit(f"a child ended with {code}")
    return code, json.loads(told.read_text(encoding="utf-8")) if code == 0 else {}


class Stage:
    """The prepared home and warehouse, put in place before each run at the same path and under the same name."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._folder = Path(plan.folder)
        if plan.server:
            make_database(plan.server, DATABASE)
        _, made = _forked(plan, lambda: _prepare(plan))
        for name in made["modules"]:
            with suppress(ImportError):  # some are parts of others, and have no file
                importlib.import_module(name)  # once, not in every child
        shutil.copytree(self._folder / "home", self._folder / "template")
        if plan.server:
            make_database(plan.server, f"{DATABASE}_template", template=DATABASE)

    def set(self) -> None:
        """Put everything back to what was prepared."""
        shutil.rmtree(self._folder / "home")
        shutil.copytree(self._folder / "template", self._folder / "home")
        if self._plan.server:
            make_database(self._plan.server, DATABASE, template=f"{DATABASE}_template")


def _counted(plan: Plan, stage: Stage) -> list[Report]:
    """Break the first write, the second, and so on, until a run ends untouched."""
    stage.set()
    _, untouched = _forked(plan, lambda: _broken(plan, 0, plan.how[0]))
    _, whole = _forked(plan, lambda: _looked(plan, plan.action))
    reports = [{"at": 0, "how": "", "ended": 0, **untouched, **whole}]
    for at in count(1, plan.step):
        ways = plan.how if plan.is_all else [plan.how[len(reports) % len(plan.how)]]
        for how in ways:
            stage.set()
            ended, broken = _forked(plan, partial(_broken, plan, at, how))
            if ended == 0 and not broken["what"]:
                return reports
            _, found = _forked(plan, partial(_looked, plan, plan.action))
            reports.append(
                {"at": at, "how": how, "ended": ended, "what": "", "error": "", "kind": "", **broken, **found}
            )
    raise AssertionError


def _at_random(plan: Plan, stage: Stage) -> list[Report]:
    """Kill publications and rollbacks at random moments, one after the other on the same warehouse."""
    chance = random.Random(plan.seed)
    stage.set()
    begun = time.monotonic()
    _, found = _forked(plan, lambda: _looked(plan, "publish"))
    # About what a run takes: some moments come after its end, and kill nothing.
    longest = time.monotonic() - begun
    reports = [{"at": 0, "how": "", "ended": 0, **found}]
    number, is_published = EARLIER, True
    while sum(report["ended"] == -signal.SIGKILL for report in reports) < plan.kills:
        # Two rollbacks one after the other would need an approval of what they return to.
        action = "rollback" if is_published and chance.random() < 0.25 else "publish"
        number, is_published = number + 1, action == "publish"
        moment = chance.uniform(0, longest)
        ended, _ = _forked(plan, partial(_done, plan, action, number), kill_after=moment)
        _, found = _forked(plan, partial(_looked, plan, action, number))
        reports.append({"at": round(moment, 4), "how": action, "ended": ended, **found})
    return reports


def _done(plan: Plan, action: str, number: int) -> Report:
    _act(plan, action, number)
    return {}


def main() -> None:
    plans = [Plan(**each) for each in json.loads(sys.argv[1])]
    stage = Stage(plans[0])
    print(json.dumps([_at_random(plan, stage) if plan.kills else _counted(plan, stage) for plan in plans]))


if __name__ == "__main__":
    main()
