"""What one customer sees, read from the live files, is what the warehouse says."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import text

from recsys.errors import NotFoundError
from recsys.publication import (
    customer_list,
    export_live,
    live_list,
    live_publications,
    publish,
    rollback,
)
from recsys.settings import Settings
from recsys.warehouse import Warehouse
from tests.support.publications import AS_OF, NOW, PLACEMENT, approve, made_lists, write_publication
from tests.support.warehouse import item_id, user_id

# Somebody with a list, of a segment with one, of a segment without one, nobody, a visitor, and a hostile name.
ASKED = [user_id(0), user_id(33), user_id(34), "nobody", "*", "'; drop table x; --"]


def put_live(warehouse: Warehouse, settings: Settings, name: str, day: int = 0) -> None:
    publication = write_publication(settings.resolved_home / "files", name, made_lists(shift=day, label=name))
    publish(warehouse, settings, publication, now=NOW + timedelta(days=day))


def assert_equal_lists(warehouse: Warehouse, settings: Settings) -> None:
    for user in ASKED:
        assert live_list(settings, user, PLACEMENT) == customer_list(warehouse, settings, user, PLACEMENT)


def test_the_files_give_the_list_that_the_warehouse_gives(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, "p1")
    own, segment, everybody = (live_list(settings, user, PLACEMENT) for user in ASKED[:3])
    assert (own.subject_id, segment.subject_id, everybody.subject_id) == (user_id(0), "segment:families", "*")
    assert own.rows[0].title == "Product 3 of group 1"
    assert own.as_of == AS_OF
    assert_equal_lists(warehouse, settings)


def test_they_do_after_a_rollback_a_withdrawn_consent_and_a_changed_title(
    warehouse: Warehouse, settings: Settings
) -> None:
    put_live(warehouse, settings, "p1")
    put_live(warehouse, settings, "p2", 1)
    with warehouse.transaction() as connection:
        connection.execute(text("update shop.users set is_personalised = false where user_id = :u"), {"u": user_id(0)})
        connection.execute(text("update shop.items set title = 'New' where item_id = :i"), {"i": item_id(1)})
        connection.execute(text("delete from shop.items where item_id = :i"), {"i": item_id(2)})
    later = NOW + timedelta(days=2)
    rollback(warehouse, settings, PLACEMENT, decided_by="ada", channel="cli", reason="r", now=later)
    withdrawn = live_list(settings, user_id(0), PLACEMENT)
    assert (withdrawn.publication_id, withdrawn.subject_id) == ("p1", "*")
    assert "does not want personal recommendations" in withdrawn.why
    assert {row.item_id: row.title for row in withdrawn.rows}[item_id(1)] == "New"
    assert {row.item_id: row.title for row in withdrawn.rows}[item_id(2)] is None
    assert_equal_lists(warehouse, settings)


def test_the_warehouse_need_not_be_there(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, "p1")
    elsewhere = settings.model_copy(update={"warehouse_url": "duckdb:////nowhere/warehouse.duckdb"})
    assert len(live_list(elsewhere, user_id(0), PLACEMENT).rows) == 10


def test_what_is_live_by_placement(warehouse: Warehouse, settings: Settings) -> None:
    assert live_publications(settings) == []
    put_live(warehouse, settings, "p1")
    approve(warehouse, "2", placement="discover")
    other = write_publication(settings.resolved_home / "files", "d1", made_lists(), placement="discover", version="2")
    publish(warehouse, settings, other, now=NOW)
    discover, for_you = live_publications(settings)
    assert (discover.placement, discover.publication_id, discover.model_version) == ("discover", "d1", "2")
    assert (for_you.placement, for_you.model_name, for_you.model_version) == (PLACEMENT, "recsys_for_you", "1")
    # 30 customers, everybody and the families, with 20 rows each.
    assert (for_you.customer_count, for_you.row_count, for_you.share) == (30, 640, 1.0)
    assert (for_you.as_of, for_you.live_at) == (AS_OF, NOW)


def test_a_part_of_the_customers_is_told_as_a_share(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, "p1")
    with warehouse.transaction() as connection:
        connection.execute(text("update recsys.pointers set bucket_to = 1023"))
    export_live(warehouse, settings)
    [quarter] = live_publications(settings)
    assert quarter.share == 0.25


def test_nothing_is_live(settings: Settings) -> None:
    with pytest.raises(NotFoundError, match="recsys run --placement for_you"):
        live_list(settings, user_id(0), PLACEMENT)
    with pytest.raises(NotFoundError, match="There is no placement 'nope'; the settings have: discover, for_you"):
        live_list(settings, user_id(0), "nope")


def test_files_of_another_version_are_refused(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, "p1")
    path = settings.resolved_home / "live" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 1}))
    with pytest.raises(NotFoundError, match="are of version 1, and this program reads version 5"):
        live_publications(settings)
    export_live(warehouse, settings)
    assert_equal_lists(warehouse, settings)
