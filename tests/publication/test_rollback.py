"""The way back."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from recsys import ledger
from recsys.errors import AuditError, NotFoundError, SettingsError
from recsys.publication import (
    PublicationRecord,
    list_publications,
    live_publication,
    publish,
    rollback,
)
from recsys.publication.records import read_pointer
from recsys.settings import Settings
from recsys.warehouse import Warehouse
from tests.support.publications import (
    MODEL,
    NOW,
    PLACEMENT,
    approve,
    live_rows,
    made_lists,
    write_publication,
)
from tests.support.warehouse import item_id, user_id


def put_live(warehouse: Warehouse, settings: Settings, name: str, day: int, version: str) -> None:
    publication = write_publication(
        settings.resolved_home / "files", name, made_lists(shift=day, label=name), version=version
    )
    publish(warehouse, settings, publication, now=NOW + timedelta(days=day))


def roll_back(warehouse: Warehouse, settings: Settings, day: int) -> PublicationRecord:
    return rollback(
        warehouse,
        settings,
        PLACEMENT,
        decided_by="ada",
        channel="cli",
        reason="too many sweets",
        now=NOW + timedelta(days=day),
    )


def wanted(warehouse: Warehouse) -> dict[str, str | None]:
    return {alias.alias: alias.wanted_version for alias in ledger.list_aliases(warehouse, MODEL)}


def test_the_previous_publication_is_live_again(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, "p1", 0, "1")
    before = live_rows(warehouse)
    approve(warehouse, "2")
    put_live(warehouse, settings, "p2", 1, "2")
    assert wanted(warehouse) == {"champion": "2", "previous": "1"}

    record = roll_back(warehouse, settings, 2)

    assert (record.publication_id, record.status, record.ended_at) == ("p1", "live", None)
    assert record.live_at == NOW + timedelta(days=2)
    assert live_rows(warehouse) == before
    withdrawn = next(entry for entry in list_publications(warehouse) if entry.publication_id == "p2")
    assert (withdrawn.status, withdrawn.ended_at) == ("withdrawn", NOW + timedelta(days=2))
    decision = ledger.list_decisions(warehouse)[-1]
    assert (decision.verdict, decision.model_version, decision.decided_by) == ("rolled_back", "2", "ada")
    assert (decision.restored_model_version, decision.reason) == ("1", "too many sweets")
    champion = ledger.champion(warehouse, PLACEMENT)
    assert champion is not None and champion.model_version == "1"
    assert wanted(warehouse) == {"champion": "1", "previous": None}
    [move] = warehouse.query("select * from recsys.pointer_moves where fence = 3")
    assert (move["cause"], move["publication_id"], move["from_publication_id"]) == ("rolled_back", "p1", "p2")


def test_two_rollbacks_go_back_two_publications(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, "p1", 0, "1")
    for day, version in ((1, "2"), (2, "3")):
        approve(warehouse, version)
        put_live(warehouse, settings, f"p{version}", day, version)
    assert roll_back(warehouse, settings, 3).publication_id == "p2"
    assert wanted(warehouse) == {"champion": "2", "previous": "1"}
    assert roll_back(warehouse, settings, 4).publication_id == "p1"
    with pytest.raises(NotFoundError, match="There is nothing to return to on for_you: p1"):
        roll_back(warehouse, settings, 5)


def test_a_rollback_from_todays_lists_of_the_same_version_keeps_the_champion(
    warehouse: Warehouse, settings: Settings
) -> None:
    put_live(warehouse, settings, "monday", 0, "1")
    put_live(warehouse, settings, "tuesday", 1, "1")
    roll_back(warehouse, settings, 2)
    assert wanted(warehouse) == {"champion": "1", "previous": None}
    put_live(warehouse, settings, "wednesday", 3, "1")
    live = live_publication(warehouse, PLACEMENT)
    assert live is not None
    assert (live.publication_id, live.previous_publication_id) == ("wednesday", "monday")


def test_an_approved_version_that_was_not_published_yet_is_undone_as_well(
    warehouse: Warehouse, settings: Settings
) -> None:
    """Else the next scheduled publication would undo the rollback."""
    put_live(warehouse, settings, "p1", 0, "1")
    approve(warehouse, "2")
    put_live(warehouse, settings, "p2", 1, "2")
    approve(warehouse, "3")
    roll_back(warehouse, settings, 2)
    champion = ledger.champion(warehouse, PLACEMENT)
    assert champion is not None and champion.model_version == "1"


def test_publishing_what_was_withdrawn_needs_a_new_approval(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, "p1", 0, "1")
    approve(warehouse, "2")
    put_live(warehouse, settings, "p2", 1, "2")
    roll_back(warehouse, settings, 2)
    with pytest.raises(Exception, match="the approved one is version 1"):
        put_live(warehouse, settings, "p2", 1, "2")
    approve(warehouse, "2", now=NOW + timedelta(days=3))
    put_live(warehouse, settings, "p2", 1, "2")
    assert {row["publication_id"] for row in live_rows(warehouse)} == {"p2"}
    assert roll_back(warehouse, settings, 4).publication_id == "p1"


def test_lists_that_were_rolled_back_need_a_newer_approval_of_their_version(
    warehouse: Warehouse, settings: Settings
) -> None:
    """The version stays the champion, and the next run makes the same lists again."""
    put_live(warehouse, settings, "monday", 0, "1")
    put_live(warehouse, settings, "tuesday", 1, "1")
    roll_back(warehouse, settings, 2)
    before = live_rows(warehouse)
    for _ in range(2):
        with pytest.raises(AuditError, match=r"rolled back at 2025-01-04 06:00 UTC, and its version 1 .* not approved"):
            put_live(warehouse, settings, "tuesday", 1, "1")
    assert live_rows(warehouse) == before
    approve(warehouse, "1", now=NOW + timedelta(days=4))
    put_live(warehouse, settings, "tuesday", 1, "1")
    assert {row["publication_id"] for row in live_rows(warehouse)} == {"tuesday"}
    roll_back(warehouse, settings, 6)
    with pytest.raises(AuditError, match="rolled back at 2025-01-08"):
        put_live(warehouse, settings, "tuesday", 1, "1")


def test_a_newer_approval_counts_also_by_a_clock_that_is_behind(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, "monday", 0, "1")
    put_live(warehouse, settings, "tuesday", 1, "1")
    roll_back(warehouse, settings, 2)
    approve(warehouse, "1", now=NOW + timedelta(days=2) - timedelta(minutes=3))
    put_live(warehouse, settings, "tuesday", 1, "1")
    assert {row["publication_id"] for row in live_rows(warehouse)} == {"tuesday"}


def test_that_it_was_rolled_back_outlives_its_stored_lists(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, "monday", 0, "1")
    put_live(warehouse, settings, "tuesday", 1, "1")
    roll_back(warehouse, settings, 2)
    with warehouse.transaction() as connection:
        connection.execute(text("update recsys.publications set status = 'archived' where publication_id = 'tuesday'"))
    with pytest.raises(AuditError, match="not approved since"):
        put_live(warehouse, settings, "tuesday", 1, "1")


def test_what_was_withdrawn_is_never_returned_to(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, "p1", 0, "1")
    put_live(warehouse, settings, "p2", 1, "1")
    put_live(warehouse, settings, "p1", 0, "1")
    # p1 came after p2, which came after p1: there is no end to this unless it is looked for.
    assert roll_back(warehouse, settings, 3).publication_id == "p2"
    with pytest.raises(NotFoundError, match="nothing to return to"):
        roll_back(warehouse, settings, 4)


def test_suppressions_survive_a_rollback(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, "p1", 0, "1")
    put_live(warehouse, settings, "p2", 1, "1")
    with warehouse.transaction() as connection:
        connection.execute(
            text(
                "insert into shop.suppressions values ('s', :item, null, null, null, timestamp '2000-01-01', null, "
                "'ada', 'recalled')"
            ),
            {"item": item_id(2)},
        )
    roll_back(warehouse, settings, 2)
    rows = live_rows(warehouse, user=user_id(0))
    assert [row["item_id"] for row in rows] == [item_id(n) for n in range(3, 13)]
    assert [row["rank"] for row in rows] == list(range(1, 11))


def test_nothing_is_live(warehouse: Warehouse, settings: Settings) -> None:
    with pytest.raises(NotFoundError, match="Nothing is live on for_you"):
        roll_back(warehouse, settings, 1)


def test_bad_arguments_change_nothing(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, "p1", 0, "1")
    put_live(warehouse, settings, "p2", 1, "1")
    values = {"decided_by": "ada", "channel": "cli", "reason": "r", "now": NOW}
    with pytest.raises(SettingsError, match="There is no placement 'nope'"):
        rollback(warehouse, settings, "nope", **values)
    with pytest.raises(SettingsError, match="There is no channel 'telepathy'"):
        rollback(warehouse, settings, PLACEMENT, **{**values, "channel": "telepathy"})
    with pytest.raises(SettingsError, match="the name of who decided"):
        rollback(warehouse, settings, PLACEMENT, **{**values, "decided_by": " "})
    assert read_pointer(warehouse, PLACEMENT).publication_id == "p2"
    assert {row["publication_id"] for row in live_rows(warehouse)} == {"p2"}
