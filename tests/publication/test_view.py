"""What readers see: suppressions, consent, spare rows, default lists, shares of customers."""

from datetime import datetime

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text

from recsys.publication import publish
from recsys.settings import Settings
from recsys.warehouse import Warehouse
from tests.support.publications import ITEMS, NOW, Row, live_rows, made_lists, write_publication
from tests.support.warehouse import item_id, user_id

PAST, LONG_AGO, FAR = datetime(2000, 1, 1), datetime(2001, 1, 1), datetime(2900, 1, 1)
COLUMNS = [
    "placement",
    "user_id",
    "rank",
    "item_id",
    "score",
    "source",
    "reason",
    "publication_id",
    "model_version",
    "as_of",
    "propensity",
]


@pytest.fixture
def published(warehouse: Warehouse, settings: Settings) -> Warehouse:
    folder = settings.resolved_home / "files"
    publish(warehouse, settings, write_publication(folder, "p1", made_lists()), now=NOW)
    return warehouse


def suppress(warehouse: Warehouse, **rule: object) -> None:
    row = {
        "item_id": None,
        "brand": None,
        "category": None,
        "placement": None,
        "starts_at": PAST,
        "ends_at": None,
    }
    with warehouse.transaction() as connection:
        connection.execute(
            text(
                "insert into shop.suppressions values ('s', :item_id, :brand, :category, :placement, :starts_at, "
                ":ends_at, 'ada', 'recalled')"
            ),
            {**row, **rule},
        )


def withdraw_consent(warehouse: Warehouse, *users: str) -> None:
    with warehouse.transaction() as connection:
        for user in users:
            connection.execute(
                text("update shop.users set is_personalised = false where user_id = :user"), {"user": user}
            )


def shown(warehouse: Warehouse, user: str) -> list[tuple[int, str]]:
    return [(row["rank"], row["item_id"]) for row in live_rows(warehouse, user=user)]


def test_columns_are_the_contract(published: Warehouse) -> None:
    assert list(live_rows(published)[0]) == COLUMNS


def test_ten_of_twenty_stored_rows_are_shown_in_order(published: Warehouse) -> None:
    # The first customer's list begins at the third item: two default lists come before.
    assert shown(published, user_id(0)) == [(n, item_id(n + 1)) for n in range(1, 11)]


def test_default_lists_are_in_the_view(published: Warehouse) -> None:
    assert shown(published, "*") == [(n, item_id(n - 1)) for n in range(1, 11)]
    assert len(shown(published, "segment:families")) == 10


def test_suppressed_items_are_filled_from_the_spare_rows_and_renumbered(published: Warehouse) -> None:
    for item in (item_id(2), item_id(5)):
        suppress(published, item_id=item)
    expected = [n for n in range(2, 22) if n not in (2, 5)][:10]
    assert shown(published, user_id(0)) == [(rank, item_id(n)) for rank, n in enumerate(expected, start=1)]


def test_a_list_is_short_when_more_is_suppressed_than_is_spare(published: Warehouse) -> None:
    for number in range(2, 17):
        suppress(published, item_id=item_id(number))
    assert shown(published, user_id(0)) == [(rank, item_id(n)) for rank, n in enumerate(range(17, 22), start=1)]


def test_a_suppressed_category_takes_what_is_below_it_but_not_what_only_begins_alike(
    published: Warehouse,
) -> None:
    with published.transaction() as connection:
        connection.execute(
            text("update shop.items set category = 'Department 10 > X' where item_id = :i"), {"i": item_id(3)}
        )
    suppress(published, category="Department 1")
    # Group 1 (items 0 to 9) and group 5 (40 and above) are in Department 1; item 3 is now in Department 10.
    assert [item for _, item in shown(published, user_id(0))] == [item_id(3), *map(item_id, range(10, 19))]


def test_a_rule_with_brand_and_category_takes_only_what_matches_both(published: Warehouse) -> None:
    suppress(published, brand="Brand 3", category="Department 1 > Group 1")
    # Brand 3 has the items 2, 9, 16; the first two are in group 1.
    assert [item for _, item in shown(published, user_id(0))] == [
        item_id(n) for n in (3, 4, 5, 6, 7, 8, 10, 11, 12, 13)
    ]


@pytest.mark.parametrize(
    "rule",
    [
        {"starts_at": FAR},
        {"ends_at": LONG_AGO},
        {"placement": "discover"},
    ],
)
def test_rules_of_another_time_or_placement_do_not_count(published: Warehouse, rule: dict[str, object]) -> None:
    before = shown(published, user_id(0))
    suppress(published, item_id=item_id(2), **rule)
    assert shown(published, user_id(0)) == before


def test_a_rule_that_names_nothing_suppresses_nothing(published: Warehouse) -> None:
    suppress(published)
    assert len(live_rows(published)) == 320


def test_withdrawn_consent_hides_the_list_at_once(published: Warehouse) -> None:
    withdraw_consent(published, user_id(0))
    assert shown(published, user_id(0)) == []
    assert len(shown(published, user_id(1))) == 10


def test_a_customer_who_is_no_longer_in_the_shop_has_no_list(published: Warehouse) -> None:
    with published.transaction() as connection:
        connection.execute(text("delete from shop.users where user_id = :user"), {"user": user_id(0)})
    assert shown(published, user_id(0)) == []


def test_a_range_of_buckets_can_be_served_from_another_publication(published: Warehouse, settings: Settings) -> None:
    """The pointer is by range: here the upper half stays with the first publication."""
    folder = settings.resolved_home / "files"
    publish(published, settings, write_publication(folder, "p2", made_lists(shift=5)), now=NOW)
    with published.transaction() as connection:
        connection.execute(text("update recsys.pointers set bucket_to = 2047 where placement = 'for_you'"))
        connection.execute(text("insert into recsys.pointers values ('for_you', 2048, 4095, 'p1', 1, null)"))
    buckets = {row["user_id"]: row["bucket"] for row in published.query("select user_id, bucket from shop.users")}
    rows = live_rows(published)
    served = {row["user_id"]: row["publication_id"] for row in rows}
    assert len(rows) == 320
    assert served == {user: "p1" if buckets.get(user, -1) > 2047 else "p2" for user in served}
    assert set(served.values()) == {"p1", "p2"}


RULE = st.fixed_dictionaries(
    {
        "item_id": st.none() | st.integers(0, ITEMS - 1).map(item_id),
        "brand": st.none() | st.integers(1, 7).map("Brand {}".format),
        "category": st.none()
        | st.sampled_from(["Department 1", "Department 1 > Group 1", "Department 2 > Group 2", "Fuel"]),
        "placement": st.sampled_from([None, "for_you", "discover"]),
        "starts_at": st.sampled_from([PAST, FAR]),
        "ends_at": st.sampled_from([None, LONG_AGO, FAR]),
    }
)


def matches(rule: dict[str, object], item: Row) -> bool:
    if all(rule[name] is None for name in ("item_id", "brand", "category")):
        return False
    if rule["placement"] == "discover" or rule["starts_at"] == FAR or rule["ends_at"] == LONG_AGO:
        return False
    path = item["category"].split(" > ")
    above = [" > ".join(path[: n + 1]) for n in range(len(path))]
    return (
        rule["item_id"] in (None, item["item_id"])
        and rule["brand"] in (None, item["brand"])
        and (rule["category"] is None or rule["category"] in above)
    )


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules=st.lists(RULE, max_size=5), silent=st.sets(st.integers(0, 29), max_size=5))
def test_the_view_agrees_with_the_rules_written_in_python(
    published: Warehouse, rules: list[dict[str, object]], silent: set[int]
) -> None:
    with published.transaction() as connection:
        connection.execute(text("delete from shop.suppressions"))
        connection.execute(text("update shop.users set is_personalised = true"))
    for rule in rules:
        suppress(published, **rule)
    withdraw_consent(published, *map(user_id, silent))
    items = {row["item_id"]: row for row in published.query("select item_id, brand, category from shop.items")}
    expected: dict[str, list[str]] = {}
    for row in made_lists():
        kept = expected.setdefault(row["subject_id"], [])
        hidden = row["subject_id"] in map(user_id, silent)
        if not hidden and len(kept) < 10 and not any(matches(rule, items[row["item_id"]]) for rule in rules):
            kept.append(row["item_id"])
    found: dict[str, list[str]] = {}
    for row in live_rows(published):
        found.setdefault(row["user_id"], []).append(row["item_id"])
        assert row["rank"] == len(found[row["user_id"]])
    assert found == {subject: kept for subject, kept in expected.items() if kept}
