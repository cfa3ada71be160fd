"""Archived publications: kept to be read, never live; and which champion the ledger had when."""

from datetime import timedelta
from typing import Any

import pytest

from recsys import ledger
from recsys.errors import AuditError, ConflictError
from recsys.publication import archive, export_live, find_publication, publish, rollback
from recsys.publication.live_files import read_manifest
from recsys.settings import Settings
from recsys.warehouse import Warehouse
from tests.support.publications import MODEL, NOW, PLACEMENT, approve, live_rows, made_lists, write_publication


def at(day: int) -> Any:
    return NOW + timedelta(days=day)


def lists_of(settings: Settings, name: str, shift: int, **changes: Any) -> Any:
    rows = made_lists(shift=shift, label=name)
    return write_publication(settings.resolved_home / "files", name, rows, **changes)


def kept_rows(warehouse: Warehouse, name: str) -> list[dict[str, Any]]:
    return warehouse.query(
        "select user_id, rank, item_id from recsys.published_rows where publication_id = :name order by user_id, rank",
        {"name": name},
    )


def everything(warehouse: Warehouse) -> dict[str, Any]:
    tables = ("publications", "publication_lists", "list_rows", "pointers", "pointer_moves", "decisions")
    return {table: sorted(map(repr, warehouse.query(f"select * from recsys.{table}"))) for table in tables}


def test_it_is_kept_and_nothing_live_changes(warehouse: Warehouse, settings: Settings) -> None:
    publish(warehouse, settings, lists_of(settings, "p1", 0), now=at(0))
    before = (live_rows(warehouse), read_manifest(settings.resolved_home / "live"))
    record = archive(warehouse, settings, lists_of(settings, "a1", 3, version="7"), now=at(1), decision_id="d")
    assert (record.kind, record.status, record.live_at, record.is_skipped) == ("archive", "archived", None, False)
    assert (record.decision_id, record.audit["failures"]) == ("d", [])
    assert (live_rows(warehouse), read_manifest(settings.resolved_home / "live")) == before
    export_live(warehouse, settings)
    assert read_manifest(settings.resolved_home / "live")["live"] == before[1]["live"]
    assert len(kept_rows(warehouse, "a1")) == 20 * 32
    assert len(warehouse.query("select * from recsys.pointer_moves")) == 1


def test_running_it_again_changes_nothing(warehouse: Warehouse, settings: Settings) -> None:
    publish(warehouse, settings, lists_of(settings, "p1", 0), now=at(0))
    archive(warehouse, settings, lists_of(settings, "a1", 3), now=at(1))
    before = everything(warehouse)
    again = archive(warehouse, settings, lists_of(settings, "a1", 3), now=at(2))
    assert again.is_skipped
    assert everything(warehouse) == before


def test_pruning_and_rollback_leave_it(warehouse: Warehouse, settings: Settings) -> None:
    publish(warehouse, settings, lists_of(settings, "p0", 0), now=at(0))
    archive(warehouse, settings, lists_of(settings, "a1", 3), now=at(0))
    rows = kept_rows(warehouse, "a1")
    for day in range(1, 7):
        publish(warehouse, settings, lists_of(settings, f"p{day}", day), now=at(day))
    pruned = find_publication(warehouse, "p0")
    assert pruned is not None and (pruned.kind, pruned.status) == ("main", "archived")
    assert kept_rows(warehouse, "p0") == []
    record = rollback(warehouse, settings, PLACEMENT, decided_by="ada", channel="cli", reason="r", now=at(8))
    assert record.publication_id == "p5"
    assert kept_rows(warehouse, "a1") == rows


def test_it_can_t_be_published_and_what_is_published_can_t_be_archived(
    warehouse: Warehouse, settings: Settings
) -> None:
    archive(warehouse, settings, lists_of(settings, "a1", 3), now=at(0))
    with pytest.raises(ConflictError, match="of the kind 'archive', so it can't be one of the kind 'main'"):
        publish(warehouse, settings, lists_of(settings, "a1", 3), now=at(1))
    publish(warehouse, settings, lists_of(settings, "p1", 0), now=at(1))
    with pytest.raises(ConflictError, match="of the kind 'main', so it can't be one of the kind 'archive'"):
        archive(warehouse, settings, lists_of(settings, "p1", 0), now=at(2))
    assert {row["publication_id"] for row in live_rows(warehouse)} == {"p1"}


def test_one_that_fails_its_audit_is_not_kept_and_can_be_made_again(warehouse: Warehouse, settings: Settings) -> None:
    with pytest.raises(AuditError):
        archive(warehouse, settings, lists_of(settings, "a1", 3, expected=100), now=at(0))
    failed = find_publication(warehouse, "a1")
    assert failed is not None and failed.status == "failed"
    assert archive(warehouse, settings, lists_of(settings, "a1", 3), now=at(1)).status == "archived"


def test_the_champion_that_the_ledger_had_at_a_moment(warehouse: Warehouse, settings: Settings) -> None:
    """Version 1 from day 0, 2 from day 3, 1 again from day 5."""
    publish(warehouse, settings, lists_of(settings, "p1", 0), now=at(1))
    approve(warehouse, "2", now=at(3))
    publish(warehouse, settings, lists_of(settings, "p2", 1, version="2"), now=at(4))
    rollback(warehouse, settings, PLACEMENT, decided_by="ada", channel="cli", reason="r", now=at(5))
    found = [ledger.champion_at(warehouse, PLACEMENT, at(day)) for day in range(-1, 7)]
    versions = [champion and champion.model_version for champion in found]
    assert versions == [None, "1", "1", "1", "2", "2", "1", "1"]
    assert found[4] is not None and (found[4].model_name, found[4].decided_at) == (MODEL, at(3))
    assert ledger.champion_at(warehouse, "discover", at(6)) is None
