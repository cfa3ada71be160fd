"""Publications that carry the lists of some customers only, over a base: readers see what a whole one would show."""

from dataclasses import asdict
from datetime import timedelta
from itertools import count
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as tries
from hypothesis import strategies as st
from sqlalchemy import text

from recsys.assets import read_sql
from recsys.errors import AuditError, ConflictError, ContractError
from recsys.privacy.derived import rewrite_lists
from recsys.privacy.rows import count_rows, remove_rows
from recsys.privacy.subject import Subject
from recsys.publication import (
    archive,
    customer_list,
    export_live,
    find_publication,
    list_publications,
    publish,
    rollback,
    start_canary,
)
from recsys.settings import Settings
from recsys.warehouse import Warehouse
from tests.support.publications import NOW, PLACEMENT, Row, approve, list_of, live_rows, write_publication
from tests.support.warehouse import item_id, user_id
from tests.support.wholeness import debts

DAY = timedelta(days=1)
KNOWN, ALL = 10, 14
"""Customers of the base, and those of them and new ones."""
Lists = dict[str, int]
"""Where the list of a subject begins: two that begin alike are alike."""
ADA: dict[str, Any] = {"decided_by": "ada", "channel": "cli", "reason": "worse"}


def rows_of(lists: Lists) -> list[Row]:
    """Return the rows of lists of 13 items."""
    rows: list[Row] = []
    for subject, start in lists.items():
        rows += list_of(subject, [item_id((start + step) % 37) for step in range(13)])
    return rows


BASE: Lists = {"*": 0, "segment:families": 1, **{user_id(n): n for n in range(KNOWN)}}
NEWER: Lists = {user_id(1): 20, user_id(2): 2, user_id(11): 5}
"""Another list, the same list, the list of a new customer."""


class Days:
    """Publishes one thing after the other, a day apart."""

    def __init__(self, warehouse: Warehouse, settings: Settings) -> None:
        self.warehouse, self.settings = warehouse, settings
        self._days = count()

    def publish(self, name: str, lists: Lists, base: str | None = None, **changes: Any) -> None:
        """Bring lists live."""
        folder = self.settings.resolved_home / "files"
        about = {"expected": KNOWN, "files": 1, "base": base, **changes}
        new = write_publication(folder, name, rows_of(lists), **about)
        publish(self.warehouse, self.settings, new, now=NOW + next(self._days) * DAY)

    def rollback(self) -> None:
        """Return to what was live before."""
        rollback(self.warehouse, self.settings, PLACEMENT, **ADA, now=NOW + next(self._days) * DAY)


@pytest.fixture
def days(warehouse: Warehouse, settings: Settings) -> Days:
    return Days(warehouse, settings)


def seen(days: Days) -> dict[str, Any]:
    """Return what all readers see of what is live, but for the publication's id."""
    warehouse, settings = days.warehouse, days.settings
    [live] = {row["publication_id"] for row in live_rows(warehouse)}
    with duckdb.connect() as connection:
        folder = settings.resolved_home / "live"
        connection.execute((folder / "live_recommendations.sql").read_text(encoding="utf-8"))
        result = connection.execute("from recsys.live_recommendations order by user_id, rank")
        names = [column[0] for column in result.description]
        files = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    queries = {
        "shown": (read_sql("publication", "arm_lists.sql"), {"publication_id": live}),
        "sample": (read_sql("monitoring", "list_sample.sql"), {"publication_id": live, "last_bucket": 4095}),
        "scores": (read_sql("monitoring", "scores.sql"), {"publication_id": live, "last_bucket": 4095}),
        "measured": (read_sql("publication", "measured_lists.sql"), {"placement": PLACEMENT}),
        "hidden": (read_sql("publication", "hidden_users.sql"), {}),
        "rows": (
            "select * from recsys.published_rows where publication_id = :publication_id",
            {"publication_id": live},
        ),
        "totals": (
            "select user_count, row_count, checksum from recsys.publications where publication_id = :publication_id",
            {"publication_id": live},
        ),
    }
    found = {name: warehouse.query(query, named) for name, (query, named) in queries.items()}
    found |= {"view": live_rows(warehouse), "files": files}
    lists = [asdict(customer_list(warehouse, settings, user_id(n), PLACEMENT)) for n in (1, 3, 11, 12)]
    assert found["view"] == files
    return {
        **{name: sorted(str({**row, "publication_id": ""}) for row in rows) for name, rows in found.items()},
        "lists": [{**one, "publication_id": ""} for one in lists],
    }


def withhold(warehouse: Warehouse, users: set[int], items: set[int]) -> None:
    """Hide customers and items, and no others."""
    with warehouse.transaction() as connection:
        connection.execute(text("delete from shop.suppressions"))
        connection.execute(text("update shop.users set is_personalised = true"))
        for user in users:
            hide = "update shop.users set is_personalised = false where user_id = :user"
            connection.execute(text(hide), {"user": user_id(user)})
        for item in items:
            rule = "insert into shop.suppressions (suppression_id, item_id, starts_at, created_by, reason) values "
            named = {"id": f"s{item}", "item": item_id(item)}
            connection.execute(text(rule + "(:id, :item, timestamp '2000-01-01', 'ada', 'recalled')"), named)


CASES = {
    "newer": st.dictionaries(st.integers(0, ALL - 1), st.integers(0, 36), max_size=ALL),
    "hidden": st.sets(st.integers(0, ALL - 1), max_size=4),
    "withheld": st.sets(st.integers(0, 36), max_size=6),
}


@pytest.mark.parametrize("most", [2, pytest.param(100, marks=pytest.mark.soak)])
def test_readers_see_what_a_whole_publication_would_show(days: Days, most: int) -> None:
    names = count()

    @tries(max_examples=most, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(**CASES)
    @example(newer={1: 20, 2: 2, 11: 5}, hidden={1, 3, 11}, withheld={3, 21})
    def check(newer: dict[int, int], hidden: set[int], withheld: set[int]) -> None:
        number = next(names)
        withhold(days.warehouse, hidden, withheld)
        lists = {user_id(user): start for user, start in newer.items()}
        days.publish(f"base{number}", BASE)
        days.publish(f"newer{number}", lists, f"base{number}")
        over_base = seen(days)
        days.publish(f"whole{number}", {**BASE, **lists})
        assert over_base == seen(days)
        assert debts(days.warehouse, days.settings) == []

    check()


def test_the_way_back_to_the_base_and_forward_again(days: Days) -> None:
    days.publish("first", {**BASE, user_id(4): 30})
    days.publish("base", BASE)
    of_base = seen(days)
    days.publish("newer", NEWER, "base")
    of_newer = seen(days)
    days.rollback()
    assert seen(days) == of_base
    days.rollback()
    for name in ("newer", "newest"):
        with pytest.raises(AuditError, match="again: its base base was rolled back"):
            days.publish(name, NEWER, "base")
    approve(days.warehouse, "1", now=NOW + 20 * DAY)
    days.publish("newer", NEWER, "base")
    assert seen(days)["view"] == of_newer["view"]


def stored(days: Days) -> set[str]:
    rows = days.warehouse.query("select distinct publication_id from recsys.publication_lists")
    return {str(row["publication_id"]) for row in rows}


def test_a_base_is_kept_for_as_long_as_what_is_built_on_it(warehouse: Warehouse, settings: Settings) -> None:
    kept = settings.publication.model_copy(update={"keep": 1, "keep_days": 0})
    days = Days(warehouse, settings.model_copy(update={"publication": kept}))
    days.publish("old", BASE)
    days.publish("base", BASE)
    for number in range(3):
        days.publish(f"newer{number}", {**NEWER, user_id(3): number}, "base")
    assert debts(days.warehouse, days.settings) == []
    of_newer = seen(days)
    assert stored(days) == {"base", "newer1", "newer2"}
    days.publish("next", {**BASE, user_id(1): 7})
    assert stored(days) == {"base", "newer2", "next"}
    days.rollback()
    assert seen(days) == of_newer
    for number in range(3):
        days.publish(f"later{number}", BASE)
    assert stored(days) == {"later1", "later2"}
    assert debts(days.warehouse, days.settings) == []
    named = {path.name for path in (days.settings.resolved_home / "live").iterdir() if path.is_dir()}
    assert {name for name in named if not name.startswith("state-")} == {"later1", "later2"}


@pytest.mark.parametrize("user", [5, 1, 11], ids=["in the base alone", "in both", "newer than the base"])
def test_an_erasure_takes_a_customer_out_of_both(days: Days, user: int) -> None:
    days.publish("base", BASE)
    days.publish("newer", NEWER, "base")
    before = {row["user_id"]: row for row in live_rows(days.warehouse)}
    subject = Subject.of(days.settings, user_id(user))
    remove_rows(days.warehouse, subject)
    rewrite_lists(days.settings, subject)
    export_live(days.warehouse, days.settings)
    assert count_rows(days.warehouse, subject) == 0
    after = seen(days)
    assert {row["user_id"] for row in live_rows(days.warehouse)} == before.keys() - {user_id(user)}
    for name, own in (("base", BASE), ("newer", NEWER)):
        held = {subject for subject in own if subject != user_id(user)}
        whole = {subject for subject in {*BASE, *held} if subject != user_id(user)}
        record = find_publication(days.warehouse, name)
        assert record is not None
        counts = (record.own_row_count, record.row_count, record.user_count)
        assert counts == (13 * len(held), 13 * len(whole), len(whole) - 2)
    days.rollback()
    days.publish("again", {name: start for name, start in NEWER.items() if name != user_id(user)}, "base")
    assert seen(days)["view"] == after["view"]


def test_what_was_erased_since_an_audit_is_read_anew_of_a_publication_with_a_base(days: Days) -> None:
    days.publish("base", BASE)
    days.publish("newer", NEWER, "base")
    folder = days.settings.resolved_home / "live"
    for user in (5, 1):  # in the base alone: what was read of the newer lists is still right
        read = (folder / "newer" / "lists.parquet").rename(folder.parent / "read.parquet")
        remove_rows(days.warehouse, Subject.of(days.settings, user_id(user)))
        export_live(days.warehouse, days.settings, audited={"newer": read})
        assert read.exists() == (user == 1)


def test_lists_of_the_base_with_an_item_that_is_barred_by_now_are_refused(days: Days) -> None:
    days.publish("base", BASE)
    barred = {"barred": [item_id(13)]}
    # Lists that begin at 1 to 9 name it: those of the segment and of nine customers.
    with pytest.raises(AuditError, match=f"7 lists of the base base name items .* {item_id(13)}"):
        days.publish("newer", {user_id(1): 20, user_id(2): 20, user_id(3): 20}, "base", **barred)
    withhold(days.warehouse, {4, 5}, set())  # nobody sees theirs
    with pytest.raises(AuditError, match="5 lists of the base base name items"):
        days.publish("newer", {user_id(1): 20, user_id(2): 20, user_id(3): 20}, "base", **barred)
    assert {row["publication_id"] for row in live_rows(days.warehouse)} == {"base"}
    assert debts(days.warehouse, days.settings) == []
    without = {name: 20 for name, start in BASE.items() if start >= 1}
    days.publish("newer", without, "base", **barred)
    assert item_id(13) not in {row["item_id"] for row in live_rows(days.warehouse)}


def test_base_and_newer_lists_together_must_cover_the_customers(days: Days) -> None:
    days.publish("base", BASE)
    with pytest.raises(AuditError, match="11 of 14 expected customers have a list"):
        days.publish("newer", NEWER, "base", expected=ALL)
    days.publish("newer", {**NEWER, user_id(12): 3, user_id(13): 3}, "base", expected=ALL)
    record = find_publication(days.warehouse, "newer")
    assert record is not None
    assert (record.user_count, record.audit["customers"], record.audit["coverage"]) == (13, 13, 0.928571)


def test_lists_that_the_base_lost_are_found(days: Days) -> None:
    days.publish("base", BASE)
    with days.warehouse.transaction() as connection:
        lost = "delete from recsys.publication_lists where subject_id = :user"
        connection.execute(text(lost), {"user": user_id(4)})
    with pytest.raises(AuditError, match="10 customers have a list, of their own or of the base base, instead of 11"):
        days.publish("newer", NEWER, "base")


def test_what_can_be_no_base(days: Days) -> None:
    days.publish("base", BASE)
    days.publish("newer", NEWER, "base")
    with pytest.raises(ContractError, match="can't be built on newer: a base has the lists of all customers"):
        days.publish("newest", NEWER, "newer")
    with pytest.raises(ConflictError, match="is built on gone, which is not stored any more"):
        days.publish("newest", NEWER, "gone")
    folder = days.settings.resolved_home / "files"
    new = write_publication(folder, "other", rows_of(NEWER), base="base")
    with pytest.raises(ContractError, match="of the kind 'archive'"):
        archive(days.warehouse, days.settings, new, now=NOW)
    trial = write_publication(folder, "trial", rows_of(NEWER), version="2", base="base")
    with pytest.raises(ContractError, match="of the kind 'canary'"):
        start_canary(days.warehouse, days.settings, trial, share=0.5, **ADA, now=NOW)
    approve(days.warehouse, "2", now=NOW)
    with pytest.raises(ContractError, match="of the same version"):
        days.publish("newest", NEWER, "base", version="2")
    assert {row["publication_id"] for row in live_rows(days.warehouse)} == {"newer"}
    assert [one.publication_id for one in list_publications(days.warehouse)] == ["newer", "base"]
