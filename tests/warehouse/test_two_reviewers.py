"""Two reviewers who decide at once, on both engines: every decision has its place, and no one's is lost unsaid."""

import os
import subprocess
import sys
import textwrap
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

from recsys import ledger
from recsys.errors import ConflictError
from recsys.settings import Settings
from recsys.warehouse import Warehouse, migrate, open_warehouse
from tests.support.publications import MODEL, NOW, PLACEMENT, approve

ROOT = Path(__file__).parents[2]
VERSIONS = 5
REVIEWER = textwrap.dedent(
    """
    import sys
    from recsys.errors import ConflictError
    from recsys.settings import load_settings
    from recsys.warehouse import open_warehouse
    from tests.support.publications import approve

    home, url, name, versions = sys.argv[1:]
    settings = load_settings(home=home, warehouse_url=url or None, threads=1)
    print("ready", flush=True)
    sys.stdin.readline()
    for version in versions.split(","):
        while True:
            try:
                with open_warehouse(settings, purpose=name) as warehouse:
                    approve(warehouse, version, decided_by=name)
                break
            except ConflictError:
                continue  # somebody decided at the same moment: look, and decide again
    """
)


def test_who_read_before_another_one_decided_is_told_and_changes_nothing(warehouse: Warehouse) -> None:
    migrate(warehouse)
    approve(warehouse, "1")
    at = NOW + timedelta(days=1)
    errors: list[BaseException] = []
    read, written = threading.Event(), threading.Event()

    def guard(history: list[ledger.Decision]) -> None:
        read.set()
        written.wait(timeout=60)

    def decide(**told: Any) -> None:
        try:
            approve(warehouse, now=at, **told)
        except ConflictError as error:
            errors.append(error)

    slow = threading.Thread(
        target=decide, kwargs={"version": "2", "verdict": "rejected", "decided_by": "nobody", "guard": guard}
    )
    slow.start()
    assert read.wait(timeout=60)
    decide(version="2", decided_by="grace")
    written.set()
    slow.join()
    assert [type(error) for error in errors] == [ConflictError]
    assert "Another decision was recorded" in str(errors[0])
    assert [(one.model_version, one.decided_by) for one in ledger.list_decisions(warehouse)][1:] == [("2", "grace")]
    wanted = {one.alias: one.wanted_version for one in ledger.list_aliases(warehouse, MODEL)}
    assert wanted == {"champion": "2", "previous": "1"}


def test_two_processes_decide_at_once_and_nothing_is_lost(settings: Settings) -> None:
    with open_warehouse(settings, purpose="test") as warehouse:
        migrate(warehouse)
    told = {"ada": range(1, 1 + VERSIONS), "grace": range(101, 101 + VERSIONS)}
    reviewers = [
        subprocess.Popen(
            [
                *(sys.executable, "-c", REVIEWER, str(settings.home), settings.warehouse_url or "", name),
                ",".join(map(str, versions)),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, versions in told.items()
    ]
    for one in reviewers:
        assert one.stdout is not None and one.stdout.readline() == "ready\n"
    for one in reviewers:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in reviewers:
        one.communicate(timeout=120)
        assert one.returncode == 0
    with open_warehouse(settings, purpose="test") as warehouse:
        history = ledger.list_decisions(warehouse)
        wanted = {one.alias: one.wanted_version for one in ledger.list_aliases(warehouse, MODEL)}
        champion = ledger.champion(warehouse, PLACEMENT)
    assert [one.decision_number for one in history] == list(range(1, 1 + 2 * VERSIONS))
    for name, versions in told.items():
        assert [one.model_version for one in history if one.decided_by == name] == [str(one) for one in versions]
    assert champion is not None and champion.model_version == history[-1].model_version
    assert wanted == {"champion": history[-1].model_version, "previous": history[-2].model_version}
