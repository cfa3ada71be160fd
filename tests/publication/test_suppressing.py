"""Suppression rules and consent: who said what, and that all live lists follow at once."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from recsys.errors import ConflictError, NotFoundError, SettingsError
from recsys.publication import (
    Rule,
    list_consent_changes,
    list_suppressions,
    live_list,
    publish,
    rollback,
    set_consent,
    suppress,
    unsuppress,
)
from recsys.settings import Settings
from recsys.warehouse import Warehouse
from tests.publication.test_live_files import read_files
from tests.support.publications import NOW, PLACEMENT, live_rows, made_lists, write_publication
from tests.support.warehouse import item_id, user_id

WHO = {"by": "ada", "reason": "recalled"}
LATER = NOW + timedelta(days=1)


@pytest.fixture
def published(warehouse: Warehouse, settings: Settings) -> Warehouse:
    """Two publications, the second live."""
    for day, name in enumerate(("p1", "p2")):
        lists = write_publication(settings.resolved_home / "files", name, made_lists(shift=day, label=name))
        publish(warehouse, settings, lists, now=NOW + timedelta(days=day))
    return warehouse


def shown(warehouse: Warehouse, settings: Settings, user: str) -> list[str]:
    """What the view shows, which is also what the files show."""
    rows = [row["item_id"] for row in live_rows(warehouse, user=user)]
    files = read_files(settings.resolved_home / "live")
    assert [row["item_id"] for row in files if row["user_id"] == user and row["placement"] == PLACEMENT] == rows
    return rows


def test_ten_rows_remain_in_every_list_at_once(published: Warehouse, settings: Settings) -> None:
    for number in range(3, 8):
        suppress(published, settings, Rule(NOW, item_id=item_id(number)), **WHO, now=NOW)
    hidden = {item_id(number) for number in range(3, 8)}
    rows = live_rows(published)
    assert len(rows) == 320
    assert not hidden & {row["item_id"] for row in rows}
    # The first customer's list of twenty begins at the fourth item: four of the five hidden ones move out.
    assert shown(published, settings, user_id(0)) == [item_id(n) for n in range(8, 18)]


def test_a_rule_survives_a_rollback_and_a_publication(published: Warehouse, settings: Settings) -> None:
    suppress(published, settings, Rule(NOW, brand="Brand 3"), **WHO, now=NOW)
    rollback(published, settings, PLACEMENT, decided_by="bo", channel="cli", reason="r", now=LATER)
    items = {row["item_id"]: row["brand"] for row in published.query("select item_id, brand from shop.items")}
    assert {row["publication_id"] for row in live_rows(published)} == {"p1"}
    assert "Brand 3" not in {items[row["item_id"]] for row in live_rows(published)}
    lists = write_publication(settings.resolved_home / "files", "p3", made_lists(shift=4))
    publish(published, settings, lists, now=NOW + timedelta(days=2))
    assert "Brand 3" not in {items[row["item_id"]] for row in live_rows(published)}
    assert len(shown(published, settings, user_id(0))) == 10


def test_an_ended_rule_shows_again_and_keeps_its_record(published: Warehouse, settings: Settings) -> None:
    before = shown(published, settings, user_id(0))
    made = suppress(published, settings, Rule(NOW, category="Department 1"), **WHO, now=NOW)
    assert made.item_count == 10
    assert shown(published, settings, user_id(0)) != before
    ended = unsuppress(published, settings, made.suppression_id, by="bo", reason="all is well", now=LATER)
    assert shown(published, settings, user_id(0)) == before
    [kept] = list_suppressions(published)
    assert kept == ended
    assert (kept.created_by, kept.reason, kept.ended_by, kept.end_reason) == ("ada", "recalled", "bo", "all is well")
    assert (kept.starts_at, kept.ends_at) == (NOW, LATER)
    assert (kept.holds(NOW), kept.holds(LATER)) == (True, False)
    # The same words again are a repetition; others come too late.
    assert unsuppress(published, settings, made.suppression_id, by="bo", reason="all is well", now=LATER) == ended
    with pytest.raises(
        ConflictError, match=r"category Department 1\) has ended already, at 2025-01-03 06:00 UTC, by bo"
    ):
        unsuppress(published, settings, made.suppression_id, by="cy", reason="mine", now=LATER)


def test_the_same_rule_again_is_not_added_twice(published: Warehouse, settings: Settings) -> None:
    first = suppress(published, settings, Rule(NOW, item_id=item_id(3)), **WHO, now=NOW)
    assert suppress(published, settings, Rule(NOW, item_id=item_id(3)), **WHO, now=LATER) == first
    other = suppress(published, settings, Rule(NOW, item_id=item_id(3)), by="bo", reason="recalled", now=NOW)
    assert {rule.suppression_id for rule in list_suppressions(published)} == {
        first.suppression_id,
        other.suppression_id,
    }


def test_a_rule_of_one_placement_leaves_the_others(published: Warehouse, settings: Settings) -> None:
    before = shown(published, settings, user_id(0))
    suppress(published, settings, Rule(NOW, item_id=item_id(4), placement="discover"), **WHO, now=NOW)
    assert shown(published, settings, user_id(0)) == before


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Rule(NOW), "A rule needs an item, a brand or a category"),
        (Rule(NOW, item_id="i01"), "The shop has no item 'i01'. Did you mean 'i0"),
        (Rule(NOW, brand="brand3"), "The shop has no brand 'brand3'. Did you mean 'Brand 3'"),
        (Rule(NOW, category="Department 1 > Grop 1"), "'Department 1 > Grop 1'. Did you mean 'Department 1 > Group 1'"),
        (Rule(NOW, category="Depart"), "The shop has no category 'Depart'"),
        (Rule(NOW, category="departmnt 2"), "Did you mean 'Department 2'"),
        (Rule(NOW, brand="Brand 1", category="Fuel"), "No product of the shop has brand 'Brand 1' and category 'Fuel'"),
        (Rule(NOW, item_id="i001", ends_at=NOW), "which is not after its start and after now"),
        (Rule(datetime(2024, 1, 1), item_id="i001", ends_at=datetime(2024, 1, 2)), "not after its start and after now"),
        (Rule(NOW, item_id="i001", placement="nope"), "'nope'"),
    ],
)
def test_a_rule_that_would_hide_nothing_is_refused(
    published: Warehouse, settings: Settings, rule: Rule, message: str
) -> None:
    with pytest.raises((SettingsError, NotFoundError)) as caught:
        suppress(published, settings, rule, **WHO, now=NOW)
    assert message in str(caught.value)
    assert list_suppressions(published) == []


@pytest.mark.parametrize(("by", "reason", "missing"), [(" ", "why", "name"), ("ada", " ", "reason")])
def test_nobody_and_no_reason_are_refused(
    published: Warehouse, settings: Settings, by: str, reason: str, missing: str
) -> None:
    with pytest.raises(SettingsError, match=missing):
        suppress(published, settings, Rule(NOW, item_id=item_id(1)), by=by, reason=reason, now=NOW)
    with pytest.raises(SettingsError, match=missing):
        unsuppress(published, settings, "s1", by=by, reason=reason, now=NOW)
    with pytest.raises(SettingsError, match=missing):
        set_consent(published, settings, user_id(0), is_granted=False, by=by, reason=reason, now=NOW)


def test_an_unknown_rule_or_customer_is_told(published: Warehouse, settings: Settings) -> None:
    with pytest.raises(NotFoundError, match="no rule 's1'; recsys suppressions lists them"):
        unsuppress(published, settings, "s1", **WHO, now=NOW)
    with pytest.raises(NotFoundError, match="no customer 'nobody'"):
        set_consent(published, settings, "nobody", is_granted=False, **WHO, now=NOW)


def test_withdrawn_consent_hides_a_customer_s_own_list_until_it_is_granted(
    published: Warehouse, settings: Settings
) -> None:
    before = shown(published, settings, user_id(0))
    done = set_consent(published, settings, user_id(0), is_granted=False, by="ada", reason="mail", now=NOW)
    assert (done.is_granted, done.changed_by, done.reason, done.is_skipped) == (False, "ada", "mail", False)
    assert shown(published, settings, user_id(0)) == []
    assert len(shown(published, settings, user_id(1))) == 10
    assert live_list(settings, user_id(0), PLACEMENT).subject_id == "*"
    rollback(published, settings, PLACEMENT, decided_by="bo", channel="cli", reason="r", now=LATER)
    assert shown(published, settings, user_id(0)) == []
    again = set_consent(published, settings, user_id(0), is_granted=False, by="bo", reason="again", now=LATER)
    assert again == replace(done, is_skipped=True)
    set_consent(published, settings, user_id(0), is_granted=True, by="ada", reason="call", now=LATER)
    assert len(shown(published, settings, user_id(0))) == len(before)
    changes = list_consent_changes(published, user_id(0))
    assert [(change.is_granted, change.reason) for change in changes] == [(False, "mail"), (True, "call")]


def test_a_withdrawal_holds_even_where_the_shop_s_tables_are_filled_anew(
    published: Warehouse, settings: Settings
) -> None:
    """A shop that fills ``shop.users`` itself knows nothing of the withdrawal."""
    set_consent(published, settings, user_id(0), is_granted=False, **WHO, now=NOW)
    with published.transaction() as connection:
        connection.execute(text("update shop.users set is_personalised = true"))
    set_consent(published, settings, user_id(1), is_granted=False, **WHO, now=NOW)
    assert shown(published, settings, user_id(0)) == shown(published, settings, user_id(1)) == []
    found = live_list(settings, user_id(0), PLACEMENT)
    assert found.subject_id == "*"
    assert "does not want personal recommendations" in found.why
