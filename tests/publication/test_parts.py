"""The parts that lists are stored in on PostgreSQL."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from recsys.publication import publish
from recsys.settings import Settings
from recsys.warehouse import Warehouse, open_warehouse
from tests.support.engines import POSTGRESQL
from tests.support.publications import NOW, live_rows, made_lists, write_publication

PARTS = """
    select cast(inhrelid as regclass)::text as part from pg_inherits
    where inhparent = cast('recsys.list_rows' as regclass) order by inhrelid
"""


@pytest.fixture
def warehouse_engine() -> str:
    """The engine that has parts."""
    return POSTGRESQL


def publish_days(warehouse: Warehouse, settings: Settings, days: range) -> None:
    for day in days:
        lists = write_publication(
            settings.resolved_home / "files", f"p{day}", made_lists(shift=day, label=f"day {day}")
        )
        publish(warehouse, settings, lists, now=NOW + timedelta(days=day))


def parts(warehouse: Warehouse) -> list[str]:
    with warehouse.transaction() as connection:
        return [str(row[0]) for row in connection.exec_driver_sql(PARTS)]


def test_a_part_goes_with_the_last_publication_that_names_a_list_in_it(
    warehouse: Warehouse, settings: Settings
) -> None:
    kept = settings.publication.keep + 1
    publish_days(warehouse, settings, range(kept + 2))
    assert parts(warehouse) == ["recsys.list_rows_0", *(f"recsys.list_rows_{n}" for n in range(3, kept + 3))]


def test_while_a_reader_holds_the_table_publishing_goes_on_and_the_part_goes_the_next_time(
    warehouse: Warehouse, settings: Settings
) -> None:
    kept = settings.publication.keep + 1
    publish_days(warehouse, settings, range(kept))
    with open_warehouse(settings, purpose="a long read") as other, other.transaction() as reading:
        [before] = reading.execute(text("select count(*) from recsys.live_recommendations")).one()
        publish_days(warehouse, settings, range(kept, kept + 1))
        assert {row["publication_id"] for row in live_rows(warehouse)} == {f"p{kept}"}
        assert "recsys.list_rows_1" in parts(warehouse)
        assert reading.execute(text("select count(*) from recsys.live_recommendations")).one() == (before,)
    publish_days(warehouse, settings, range(kept + 1, kept + 2))
    assert not {"recsys.list_rows_1", "recsys.list_rows_2"} & set(parts(warehouse))


COUNTED = """
    select count(*) as known from pg_stats
    where tablename = 'publication_lists' and attname = 'publication_id'
        and 'whole' = any(cast(cast(most_common_vals as text) as text[]))
"""


def test_the_lists_of_a_base_are_counted_before_a_publication_is_built_on_it(
    warehouse: Warehouse, settings: Settings
) -> None:
    folder = settings.resolved_home / "files"
    publish(warehouse, settings, write_publication(folder, "whole", made_lists()), now=NOW)
    assert warehouse.query(COUNTED) == [{"known": 0}]
    few = [row for row in made_lists(users=2, shift=1) if row["bucket"] >= 0]
    publish(warehouse, settings, write_publication(folder, "few", few, base="whole"), now=NOW + timedelta(days=1))
    assert warehouse.query(COUNTED) == [{"known": 1}]
