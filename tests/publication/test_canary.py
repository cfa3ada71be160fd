"""Canary and shadow: who sees what, what ends a trial, and what never goes live."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from recsys import ledger
from recsys.errors import AuditError, ConflictError, NotFoundError, RecsysError, SettingsError
from recsys.publication import (
    Canary,
    find_publication,
    list_canaries,
    list_publications,
    live_publication,
    live_publications,
    promote_canary,
    publish,
    refresh_canary,
    rollback,
    running_canary,
    start_canary,
    widen_canary,
    withdraw_canary,
)
from recsys.publication.canary_records import highest_hash
from recsys.publication.canary_steps import move_canary
from recsys.settings import Settings
from recsys.warehouse import Warehouse
from tests.publication.test_live_files import read_files
from tests.support.publications import (
    MODEL,
    NOW,
    PLACEMENT,
    USERS,
    approve,
    live_rows,
    made_lists,
    write_publication,
)
from tests.support.warehouse import user_id

WHO: dict[str, Any] = {"decided_by": "ada", "channel": "cli", "reason": "worth a try"}
CUSTOMERS = [user_id(n) for n in range(USERS)]


def at(day: int) -> Any:
    return NOW + timedelta(days=day)


def put_live(warehouse: Warehouse, settings: Settings, name: str, day: int, version: str = "1") -> None:
    lists = made_lists(shift=day, label=name)
    publish(
        warehouse,
        settings,
        write_publication(settings.resolved_home / "files", name, lists, version=version),
        now=at(day),
    )


def lists_of(settings: Settings, name: str, shift: int = 8, version: str = "2", **changes: Any) -> Any:
    rows = made_lists(shift=shift, label=name)
    return write_publication(settings.resolved_home / "files", name, rows, version=version, **changes)


def start(warehouse: Warehouse, settings: Settings, share: float, name: str = "c1", day: int = 1) -> Canary:
    return start_canary(warehouse, settings, lists_of(settings, name), share=share, **WHO, now=at(day))


@pytest.fixture
def live(warehouse: Warehouse, settings: Settings) -> Warehouse:
    """Version 1 is live with the publication p1."""
    put_live(warehouse, settings, "p1", 0)
    return warehouse


def served(warehouse: Warehouse, settings: Settings) -> dict[str, str]:
    """The publication that each subject sees, which is the same in the view and in the files; ten rows each."""
    rows = live_rows(warehouse)
    files = [row for row in read_files(settings.resolved_home / "live") if row["placement"] == PLACEMENT]
    key = ("user_id", "rank", "item_id", "publication_id", "model_version")
    assert sorted(tuple(row[name] for name in key) for row in rows) == sorted(
        tuple(row[name] for name in key) for row in files
    )
    assert len(rows) == 10 * (USERS + 2)
    seen = {row["user_id"]: row["publication_id"] for row in rows}
    assert all(row["reason"] == f"Because {row['publication_id']} says so." for row in rows)
    return seen


def expected(canary: Canary, main: str) -> dict[str, str]:
    own = {user: canary.publication_id if canary.includes(user) else main for user in CUSTOMERS}
    return {"*": main, "segment:families": main, **own}


def status_of(warehouse: Warehouse, name: str) -> str:
    found = find_publication(warehouse, name)
    assert found is not None
    return found.status


def test_a_share_of_the_customers_sees_it_and_default_lists_stay(live: Warehouse, settings: Settings) -> None:
    canary = start(live, settings, 0.3)
    seen = served(live, settings)
    assert seen == expected(canary, "p1")
    assert set(seen.values()) == {"p1", "c1"}
    assert (status_of(live, "p1"), status_of(live, "c1")) == ("live", "live")
    assert (canary.canary_id, canary.share, canary.is_shadow) == ("for_you-canary-0001", 0.3, False)
    pointed = live_publication(live, PLACEMENT)
    assert pointed is not None and pointed.publication_id == "p1"
    shares = {one.publication_id: one.share for one in live_publications(settings)}
    assert shares == pytest.approx({"p1": 0.7, "c1": 0.3})


def test_it_is_in_the_ledger_and_makes_no_champion(live: Warehouse, settings: Settings) -> None:
    ledger.propose_challenger(live, model_name=MODEL, model_version="2", now=NOW)
    before = ledger.list_aliases(live)
    start(live, settings, 0.1)
    decision = ledger.list_decisions(live)[-1]
    assert (decision.verdict, decision.model_version, decision.decided_by) == ("canary", "2", "ada")
    assert decision.reason == "for 10.00% of the customers: worth a try"
    champion = ledger.champion(live, PLACEMENT)
    assert champion is not None and champion.model_version == "1"
    assert ledger.list_aliases(live) == before
    found = find_publication(live, "c1")
    assert found is not None and (found.kind, found.decision_id) == ("canary", decision.decision_id)


def test_a_shadow_is_published_and_nobody_sees_it(live: Warehouse, settings: Settings) -> None:
    before = live_rows(live)
    canary = start(live, settings, 0.0)
    assert canary.is_shadow
    assert live_rows(live) == before
    assert set(served(live, settings).values()) == {"p1"}
    found = find_publication(live, "c1")
    assert found is not None and (found.status, found.live_at) == ("staged", None)
    assert found.audit["customers"] == USERS
    assert [one.publication_id for one in live_publications(settings)] == ["p1"]
    widened = widen_canary(live, settings, PLACEMENT, share=0.5, **WHO, now=at(2))
    assert served(live, settings) == expected(widened, "p1")
    found = find_publication(live, "c1")
    assert found is not None and (found.status, found.live_at) == ("live", at(2))


def test_widening_keeps_who_is_in(live: Warehouse, settings: Settings) -> None:
    start(live, settings, 0.05)
    inside: set[str] = set()
    for day, share in enumerate((0.05, 0.2, 0.21, 0.7, 1.0), start=2):
        canary = widen_canary(live, settings, PLACEMENT, share=share, **WHO, now=at(day))
        now_in = {user for user, publication in served(live, settings).items() if publication == "c1"}
        assert inside <= now_in
        assert now_in == {user for user in CUSTOMERS if canary.includes(user)}
        inside = now_in
    assert inside == set(CUSTOMERS)
    moves = live.query("select move, share from recsys.canary_moves order by fence")
    # The same share again is no move.
    assert [(move["move"], move["share"]) for move in moves] == [
        ("started", 0.05),
        ("widened", 0.2),
        ("widened", 0.21),
        ("widened", 0.7),
        ("widened", 1.0),
    ]
    with pytest.raises(SettingsError, match=r"has a share of 100.00%, and 50.00% is less"):
        widen_canary(live, settings, PLACEMENT, share=0.5, **WHO, now=at(9))


def test_promoting_shows_it_to_everybody_and_a_rollback_goes_back(live: Warehouse, settings: Settings) -> None:
    start(live, settings, 0.2)
    ended = promote_canary(live, settings, PLACEMENT, **WHO, now=at(2))
    assert (ended.status, ended.ended_at) == ("promoted", at(2))
    assert running_canary(live, PLACEMENT) is None
    assert set(served(live, settings).values()) == {"c1"}
    champion = ledger.champion(live, PLACEMENT)
    assert champion is not None and champion.model_version == "2"
    wanted = {alias.alias: alias.wanted_version for alias in ledger.list_aliases(live, MODEL)}
    assert wanted == {"champion": "2", "previous": "1"}
    found = find_publication(live, "c1")
    assert found is not None
    assert (found.kind, found.status, found.previous_publication_id) == ("main", "live", "p1")
    assert found.decision_id == champion.decision_id
    assert status_of(live, "p1") == "superseded"
    rollback(live, settings, PLACEMENT, **WHO, now=at(3))
    assert set(served(live, settings).values()) == {"p1"}


def test_a_shadow_can_be_promoted(live: Warehouse, settings: Settings) -> None:
    start(live, settings, 0.0)
    promote_canary(live, settings, PLACEMENT, **WHO, now=at(2))
    assert set(served(live, settings).values()) == {"c1"}
    assert status_of(live, "c1") == "live"


def test_withdrawing_rejects_the_version(live: Warehouse, settings: Settings) -> None:
    start(live, settings, 0.2)
    ended = withdraw_canary(live, settings, PLACEMENT, **WHO, now=at(2))
    assert ended.status == "withdrawn"
    assert set(served(live, settings).values()) == {"p1"}
    assert status_of(live, "c1") == "withdrawn"
    refused = ledger.refusal(ledger.list_decisions(live, PLACEMENT), (MODEL, "2"))
    assert refused is not None and refused.reason == "canary withdrawn: worth a try"
    with pytest.raises(NotFoundError, match="No canary runs on for_you"):
        withdraw_canary(live, settings, PLACEMENT, **WHO, now=at(3))


def test_a_rejection_by_any_way_ends_it(live: Warehouse, settings: Settings) -> None:
    start(live, settings, 0.2)
    approve(live, "3", verdict="rejected", now=at(2))
    assert running_canary(live, PLACEMENT) is not None
    approve(live, "2", verdict="rejected", now=at(2))
    assert running_canary(live, PLACEMENT) is None
    assert {row["publication_id"] for row in live_rows(live)} == {"p1"}
    assert list_canaries(live)[0].status == "withdrawn"


def test_a_canary_does_not_end_a_person_s_refusal(live: Warehouse, settings: Settings) -> None:
    approve(live, "2", verdict="rejected", now=NOW)
    start(live, settings, 0.2)
    assert ledger.refusal(ledger.list_decisions(live, PLACEMENT), (MODEL, "2")) is not None


def test_a_rollback_ends_it(live: Warehouse, settings: Settings) -> None:
    put_live(live, settings, "p2", 1)
    start(live, settings, 0.2, day=2)
    rollback(live, settings, PLACEMENT, **WHO, now=at(3))
    assert set(served(live, settings).values()) == {"p1"}
    assert list_canaries(live)[0].status == "rolled_back"
    [move] = live.query("select * from recsys.canary_moves where move = 'rolled_back'")
    assert (move["fence"], move["decision_id"]) == (2, ledger.list_decisions(live)[-1].decision_id)


def test_both_arms_get_newer_lists_and_everybody_stays_in_theirs(live: Warehouse, settings: Settings) -> None:
    first = start(live, settings, 0.3)
    put_live(live, settings, "p2", 2)
    assert served(live, settings) == expected(first, "p2")
    newer = refresh_canary(live, settings, lists_of(settings, "c2", 9), now=at(3))
    assert served(live, settings) == expected(replace(first, publication_id="c2"), "p2")
    assert status_of(live, "c1") == "superseded"
    assert (newer.publication_id, newer.salt, newer.highest_hash) == ("c2", first.salt, first.highest_hash)
    assert refresh_canary(live, settings, lists_of(settings, "c2", 9), now=at(4)) == newer
    found = find_publication(live, "c2")
    assert found is not None and found.decision_id == ledger.list_decisions(live)[-1].decision_id


def test_a_shadow_s_newer_lists_stay_out_of_sight(live: Warehouse, settings: Settings) -> None:
    start(live, settings, 0.0)
    refresh_canary(live, settings, lists_of(settings, "c2", 9), now=at(3))
    assert set(served(live, settings).values()) == {"p1"}
    assert (status_of(live, "c1"), status_of(live, "c2")) == ("superseded", "staged")


def test_publishing_its_version_for_everybody_ends_it(live: Warehouse, settings: Settings) -> None:
    start(live, settings, 0.3)
    approve(live, "2", now=at(2))
    assert running_canary(live, PLACEMENT) is not None
    put_live(live, settings, "p2", 3, version="2")
    assert list_canaries(live)[0].status == "promoted"
    assert set(served(live, settings).values()) == {"p2"}
    # Nobody returns to it, so it is kept only as long as its arms may be measured.
    assert status_of(live, "c1") == "superseded"
    put_live(live, settings, "p3", 32, version="2")
    assert status_of(live, "c1") == "archived"


def test_pruning_keeps_what_both_arms_were_shown_while_they_may_be_measured(
    live: Warehouse, settings: Settings
) -> None:
    start(live, settings, 0.0)
    for day in range(2, 8):
        put_live(live, settings, f"p{day}", day)
        refresh_canary(live, settings, lists_of(settings, f"c{day}", day + 1), now=at(day))
    kept = {entry.publication_id for entry in list_publications(live) if entry.status != "archived"}
    assert kept == {"p1", "c1", *(f"{arm}{day}" for arm in "pc" for day in range(2, 8))}
    withdraw_canary(live, settings, PLACEMENT, **WHO, now=at(8))
    put_live(live, settings, "p35", 35)
    later = {entry.publication_id for entry in list_publications(live) if entry.status != "archived"}
    assert later == {*kept, "p35"}
    put_live(live, settings, "p36", 36)
    kept = {entry.publication_id for entry in list_publications(live) if entry.status != "archived"}
    assert kept == {"p36", "p35", "p7", "p6"}
    stored = live.query("select distinct publication_id from recsys.publication_lists")
    assert {row["publication_id"] for row in stored} == kept


def test_another_canary_falls_to_other_customers(live: Warehouse, settings: Settings) -> None:
    first = start(live, settings, 0.3)
    withdraw_canary(live, settings, PLACEMENT, **WHO, now=at(2))
    second = start(live, settings, 0.3, name="c2", day=3)
    assert second.canary_id == "for_you-canary-0002"
    assert {user for user in CUSTOMERS if first.includes(user)} != {user for user in CUSTOMERS if second.includes(user)}
    assert served(live, settings) == expected(second, "p1")


def test_a_customer_without_a_list_in_their_arm_gets_a_default_list(live: Warehouse, settings: Settings) -> None:
    """The arm is decided by the hash alone: else the arms would hold customers of different kinds."""
    rows = [row for row in made_lists(shift=8, label="c1") if row["subject_id"] != user_id(0)]
    files = write_publication(settings.resolved_home / "files", "c1", rows, version="2")
    start_canary(live, settings, files, share=1.0, **WHO, now=at(1))
    assert live_rows(live, user=user_id(0)) == []


def test_the_same_start_again_is_not_a_second_one(live: Warehouse, settings: Settings) -> None:
    first = start(live, settings, 0.2)
    assert start(live, settings, 0.2) == first
    assert len(list_canaries(live)) == 1
    with pytest.raises(ConflictError, match=r"runs on for_you already, of version 2 of recsys_for_you for 20\.00%"):
        start(live, settings, 0.3)


@pytest.mark.parametrize(
    ("changes", "share", "reason", "kind", "message"),
    [
        ({"version": "1"}, 0.1, "why", AuditError, "Version 1 of recsys_for_you is the champion"),
        ({}, 1.1, "why", SettingsError, "0 (a shadow) to 1, not 1.1"),
        ({}, -0.1, "why", SettingsError, "not -0.1"),
        ({}, float("nan"), "why", SettingsError, "not nan"),
        ({}, 0.1, " ", SettingsError, "A decision needs a reason"),
        ({"expected": 100}, 0.1, "why", AuditError, "failed its audit"),
        ({"placement": "nope"}, 0.1, "why", SettingsError, "nope"),
        ({"placement": "discover"}, 0.1, "why", NotFoundError, "Nothing is live on discover"),
    ],
)
def test_what_is_refused_changes_nothing(
    live: Warehouse,
    settings: Settings,
    changes: dict[str, Any],
    share: float,
    reason: str,
    kind: type[RecsysError],
    message: str,
) -> None:
    decisions = ledger.list_decisions(live)
    lists = lists_of(settings, "c1", **changes)
    with pytest.raises(kind) as caught:
        start_canary(live, settings, lists, share=share, **{**WHO, "reason": reason}, now=at(1))
    assert message in str(caught.value)
    assert ledger.list_decisions(live) == decisions
    assert list_canaries(live) == []
    assert set(served(live, settings).values()) == {"p1"}


def test_lists_of_another_version_or_without_a_canary_are_refused(live: Warehouse, settings: Settings) -> None:
    with pytest.raises(NotFoundError, match="No canary runs on for_you"):
        refresh_canary(live, settings, lists_of(settings, "c2"), now=at(2))
    start(live, settings, 0.2)
    with pytest.raises(AuditError, match="Version 3 of recsys_for_you is not on trial on for_you"):
        refresh_canary(live, settings, lists_of(settings, "c2", version="3"), now=at(2))
    with pytest.raises(AuditError, match="can't go live on for_you: the approved one is version 1"):
        publish(live, settings, lists_of(settings, "p2"), now=at(2))


def test_an_id_is_of_one_kind(live: Warehouse, settings: Settings) -> None:
    with pytest.raises(ConflictError, match="is that of a publication of the kind 'main'"):
        start_canary(live, settings, lists_of(settings, "p1"), share=0.1, **WHO, now=at(1))
    start(live, settings, 0.1)
    approve(live, "2", now=at(2))
    with pytest.raises(ConflictError, match="is that of a publication of the kind 'canary'"):
        publish(live, settings, lists_of(settings, "c1"), now=at(2))
    assert status_of(live, "c1") == "live"


def test_a_decision_about_a_canary_that_ended_does_not_hit_the_next(live: Warehouse, settings: Settings) -> None:
    first = start(live, settings, 0.2)
    withdraw_canary(live, settings, PLACEMENT, **WHO, now=at(2))
    start(live, settings, 0.2, name="c2", day=3)
    meant = {**WHO, "canary_id": first.canary_id, "now": at(4)}
    for move in (promote_canary, withdraw_canary):
        with pytest.raises(NotFoundError, match="for_you-canary-0001 does not run on for_you any more"):
            move(live, settings, PLACEMENT, **meant)
    with pytest.raises(NotFoundError, match="does not run"):
        widen_canary(live, settings, PLACEMENT, share=0.9, **meant)


def test_a_move_from_an_old_fence_changes_nothing(live: Warehouse, settings: Settings) -> None:
    before = start(live, settings, 0.2)
    after = widen_canary(live, settings, PLACEMENT, share=0.4, **WHO, now=at(2))
    with pytest.raises(ConflictError, match="Something else was decided"), live.transaction() as connection:
        move_canary(connection, replace(before, share=0.9, highest_hash=highest_hash(0.9)))
    assert running_canary(live, PLACEMENT) == after


def test_suppressions_and_consent_hold_in_a_canary(live: Warehouse, settings: Settings) -> None:
    start(live, settings, 1.0)
    item = live_rows(live, user=user_id(0))[0]["item_id"]
    with live.transaction() as connection:
        connection.execute(
            text("insert into shop.suppressions values ('s', :i, null, null, null, '2000-01-01', null, 'a', 'r')"),
            {"i": item},
        )
        connection.execute(text("update shop.users set is_personalised = false where user_id = :u"), {"u": user_id(1)})
    assert item not in {row["item_id"] for row in live_rows(live)}
    assert len(live_rows(live, user=user_id(0))) == 10
    assert live_rows(live, user=user_id(1)) == []
