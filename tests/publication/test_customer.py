"""What one customer sees, and why."""

import pytest
from sqlalchemy import text

from recsys.errors import NotFoundError
from recsys.publication import customer_list, publish
from recsys.settings import Settings
from recsys.warehouse import Warehouse
from tests.support.publications import NOW, PLACEMENT, made_lists, write_publication
from tests.support.warehouse import item_id, user_id


@pytest.fixture
def published(warehouse: Warehouse, settings: Settings) -> Warehouse:
    publish(
        warehouse,
        settings,
        write_publication(settings.resolved_home / "files", "p1", made_lists(), version="1"),
        now=NOW,
    )
    return warehouse


def test_a_customer_sees_their_own_list_with_titles(published: Warehouse, settings: Settings) -> None:
    found = customer_list(published, settings, user_id(0), PLACEMENT)
    assert (found.is_default, found.why, found.subject_id) == (False, "", user_id(0))
    assert (found.publication_id, found.model_version) == ("p1", "1")
    assert [row.rank for row in found.rows] == list(range(1, 11))
    first = found.rows[0]
    assert (first.item_id, first.title) == (item_id(2), "Product 3 of group 1")
    assert (first.category, first.reason) == ("Department 1 > Group 1", "Because made says so.")


@pytest.mark.parametrize(
    ("user", "subject", "why"),
    [
        # Customers 0, 3, 6 and so on are families; only the first 30 have lists, only families a segment's.
        (
            user_id(33),
            "segment:families",
            "has no list for customer 'u0034', so this is the list of the segment 'families'",
        ),
        (user_id(34), "*", "so this is the list for everybody"),
        ("nobody", "*", "There is no customer 'nobody' in the shop's tables"),
        ("*", "*", "which visitors see"),
    ],
)
def test_others_see_a_default_list_and_why(
    published: Warehouse, settings: Settings, user: str, subject: str, why: str
) -> None:
    found = customer_list(published, settings, user, PLACEMENT)
    assert (found.is_default, found.subject_id, len(found.rows)) == (True, subject, 10)
    assert why in found.why


def test_withdrawn_consent_leads_to_the_list_for_everybody_not_to_the_segment(
    published: Warehouse, settings: Settings
) -> None:
    with published.transaction() as connection:
        connection.execute(text("update shop.users set is_personalised = false where user_id = :u"), {"u": user_id(0)})
    found = customer_list(published, settings, user_id(0), PLACEMENT)
    assert (found.is_default, found.subject_id) == (True, "*")
    assert "does not want personal recommendations" in found.why


def test_a_list_of_which_everything_is_suppressed_falls_back(published: Warehouse, settings: Settings) -> None:
    with published.transaction() as connection:
        for number in range(2, 22):
            connection.execute(
                text(
                    "insert into shop.suppressions values ('s', :item, null, null, null, timestamp '2000-01-01', "
                    "null, 'ada', 'recalled')"
                ),
                {"item": item_id(number)},
            )
    # The default list begins two items earlier, so two of its twenty are left.
    found = customer_list(published, settings, user_id(0), PLACEMENT)
    assert found.is_default
    assert found.subject_id in ("*", "segment:families")
    assert found.rows


def test_an_item_that_left_the_shop_is_shown_without_a_title(published: Warehouse, settings: Settings) -> None:
    with published.transaction() as connection:
        connection.execute(text("delete from shop.items where item_id = :i"), {"i": item_id(2)})
    first = customer_list(published, settings, user_id(0), PLACEMENT).rows[0]
    assert (first.item_id, first.title, first.category) == (item_id(2), None, None)


def test_an_unknown_placement(published: Warehouse, settings: Settings) -> None:
    with pytest.raises(NotFoundError, match="There is no placement 'nope'; the settings have: discover, for_you"):
        customer_list(published, settings, user_id(0), "nope")


def test_nothing_is_published_yet(published: Warehouse, settings: Settings) -> None:
    with pytest.raises(NotFoundError, match="recsys run --placement discover"):
        customer_list(published, settings, user_id(0), "discover")
