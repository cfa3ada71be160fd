"""A publisher that is killed at any step: readers see the old set, and the next attempt finishes the work."""

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recsys.publication import list_publications, live_files, parts, publish, publishing, staging
from recsys.settings import Settings
from recsys.warehouse import Warehouse, open_warehouse
from tests.publication.test_live_files import read_files
from tests.support import children
from tests.support.publications import ITEMS, NOW, approve, live_rows, made_lists, write_publication
from tests.support.warehouse import make_settings, write_small_shop

BEFORE = (
    "staging:remove_lists",
    "staging:add_publication",
    "publishing:move_pointer",
    "publishing:raise_publication",
    "publishing:record_move",
)
AFTER = ("parts:remove_orphans", "live:live_recommendations.sql", "live:manifest.json")


def prepare(tmp_path: Path, earlier: int) -> Settings:
    """Make a shop on which so many publications went live, the last of them called ``old``."""
    settings = make_settings(tmp_path)
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=60, items=ITEMS, days=60)
        approve(warehouse, "1")
        for day in range(earlier):
            name = "old" if day == earlier - 1 else f"older-{day}"
            lists = write_publication(tmp_path / "files", name, made_lists(shift=day + 5, label=name))
            publish(warehouse, settings, lists, now=NOW + timedelta(days=day))
    return settings


def publish_until(folder: Path, step: str) -> None:
    """In a child: publish, and end like a killed one when it comes to the step."""
    place, _, fatal = step.partition(":")

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(where: Any, name: Any, *args: Any, **kwargs: Any) -> Any:
            if getattr(name, "name", name) == fatal or str(where).endswith(fatal):
                os.kill(os.getpid(), signal.SIGKILL)
            return real(where, name, *args, **kwargs)

        return call

    modules: dict[str, Any] = {"staging": staging, "publishing": publishing, "parts": parts, "live": live_files}
    function = "_replace" if place == "live" else "run"
    setattr(modules[place], function, dying(getattr(modules[place], function)))
    settings = make_settings(folder)
    publication = write_publication(folder / "files", "new", made_lists(shift=1, label="new"))
    with open_warehouse(settings, purpose="the killed publisher") as warehouse:
        publish(warehouse, settings, publication, now=NOW + timedelta(days=9))


def run_killed(tmp_path: Path, step: str) -> None:
    ended = children.run(tmp_path, publish_until, tmp_path, step)
    assert ended.code == -signal.SIGKILL, ended.printed


def seen(warehouse: Warehouse) -> set[tuple[str, str]]:
    rows = live_rows(warehouse)
    assert len(rows) == 320
    return {(row["publication_id"], row["reason"]) for row in rows}


def finish(tmp_path: Path, settings: Settings, warehouse: Warehouse) -> None:
    """The next attempt of the same publication."""
    lists = write_publication(tmp_path / "files", "new", made_lists(shift=1, label="new"))
    record = publish(warehouse, settings, lists, now=NOW + timedelta(days=10))
    assert record.status == "live"
    assert seen(warehouse) == {("new", "Because new says so.")}
    assert [r["publication_id"] for r in read_files(settings.resolved_home / "live")] == ["new"] * 320
    live = [entry.publication_id for entry in list_publications(warehouse) if entry.status == "live"]
    assert live == ["new"]
    [stored] = warehouse.query(
        "select count(*) as n from (select distinct publication_id, subject_id from recsys.publication_lists "
        "where publication_id = 'new') as lists"
    )
    assert stored["n"] == 32


@pytest.mark.parametrize("step", BEFORE)
def test_killed_before_going_live(tmp_path: Path, step: str) -> None:
    settings = prepare(tmp_path, 1)
    run_killed(tmp_path, step)
    with open_warehouse(settings, purpose="test") as warehouse:
        assert seen(warehouse) == {("old", "Because old says so.")}
        assert {r["publication_id"] for r in read_files(settings.resolved_home / "live")} == {"old"}
        finish(tmp_path, settings, warehouse)


@pytest.mark.parametrize("step", AFTER)
def test_killed_after_going_live(tmp_path: Path, step: str) -> None:
    # With four there is one to prune.
    settings = prepare(tmp_path, 4)
    run_killed(tmp_path, step)
    with open_warehouse(settings, purpose="test") as warehouse:
        assert seen(warehouse) == {("new", "Because new says so.")}
        outside = read_files(settings.resolved_home / "live")
        assert {r["publication_id"] for r in outside} in ({"old"}, {"new"})
        assert len(outside) == 320
        finish(tmp_path, settings, warehouse)
