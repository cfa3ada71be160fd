"""Drawn rows carry the probability of the draw to every reader; lists without one stay what they were."""

import shutil
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from recsys.assets import sql_path
from recsys.cli.tables import list_table
from recsys.errors import AuditError
from recsys.publication import customer_list, live_list, publish
from recsys.settings import Settings
from recsys.warehouse import Warehouse, migrate, open_warehouse
from tests.support.engines import Copies, untouched
from tests.support.publications import NOW, PLACEMENT, Row, live_rows, made_lists, write_publication
from tests.support.warehouse import make_settings, user_id

DRAWN = user_id(4)


def with_draw(propensity: float) -> list[Row]:
    return [
        row | {"propensity": propensity} if (row["subject_id"], row["rank"]) == (DRAWN, 10) else row
        for row in made_lists()
    ]


def put_live(warehouse: Warehouse, settings: Settings, rows: list[Row], name: str = "p1") -> None:
    publish(warehouse, settings, write_publication(settings.resolved_home / "files", name, rows), now=NOW)


def test_the_view_the_customer_s_list_and_the_live_files_have_it(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, with_draw(0.0125))
    found = {(row["user_id"], row["rank"]): row["propensity"] for row in live_rows(warehouse)}
    assert found.pop((DRAWN, 10)) == 0.0125
    assert set(found.values()) == {None}
    for shown in (customer_list(warehouse, settings, DRAWN, PLACEMENT), live_list(settings, DRAWN, PLACEMENT)):
        assert [row.propensity for row in shown.rows] == [*[None] * 9, 0.0125]


def test_the_table_of_a_list_names_draws_only_where_there_are_some(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, with_draw(0.0125))
    printed = {}
    for user in (DRAWN, user_id(5)):
        console = Console(file=StringIO(), width=200)
        console.print(list_table(customer_list(warehouse, settings, user, PLACEMENT)))
        printed[user] = console.file.getvalue()  # type: ignore[attr-defined]
    assert "drawn with" in printed[DRAWN]
    assert "0.0125" in printed[DRAWN]
    assert "drawn with" not in printed[user_id(5)]


@pytest.mark.parametrize("propensity", [0.0, -0.1, 1.5, float("nan")])
def test_what_is_no_probability_does_not_go_live(warehouse: Warehouse, settings: Settings, propensity: float) -> None:
    with pytest.raises(AuditError, match="1 rows have a propensity that is no probability above 0"):
        put_live(warehouse, settings, with_draw(propensity))


def test_a_drawn_row_makes_another_list(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, made_lists())
    before = hashes(warehouse, "p1")
    put_live(warehouse, settings, with_draw(0.5), "p2")
    after = hashes(warehouse, "p2")
    assert {subject for subject in before if before[subject] != after[subject]} == {DRAWN}


def test_a_warehouse_of_before_is_brought_up_to_date(copies: Copies, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, warehouse_url=copies.make(tmp_path / "home", untouched))
    before = tmp_path / "before"
    before.mkdir()
    for name in ("0001_shop.sql", "0002_published.sql"):
        shutil.copy2(sql_path("schema", name), before / name)
    with open_warehouse(settings, purpose="test") as warehouse:
        migrate(warehouse, folder=before)
        with warehouse.transaction() as connection:
            for statement in LIVE_BEFORE:
                connection.exec_driver_sql(statement)
        assert migrate(warehouse)[0] == "0003_propensity.sql"
        [row] = live_rows(warehouse)
        assert (row["user_id"], row["rank"], row["item_id"], row["propensity"]) == ("*", 1, "i1", None)


LIVE_BEFORE = (
    "insert into recsys.publications values ('p1', 'for_you', '2024-01-01', 'm', '1', 's', 'r', 'x', 'c', 'live', 0, "
    "1, '0', '2024-01-01', '2024-01-01', null, 10, 'a', null, null)",
    "insert into recsys.publication_lists values ('p1', -1, '*', 7)",
    "insert into recsys.list_rows values ('for_you', '*', 7, 1, 'i1', 0.5, 'popularity', 'Because.')",
    "insert into recsys.pointers values ('for_you', -1, 4095, 'p1', 1, '2024-01-01')",
)


def hashes(warehouse: Warehouse, publication_id: str) -> dict[str, int]:
    rows = warehouse.query(
        "select subject_id, list_hash from recsys.publication_lists where publication_id = :id", {"id": publication_id}
    )
    return {row["subject_id"]: row["list_hash"] for row in rows}
