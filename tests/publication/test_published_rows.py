"""Every published row leads back to what it was made from, and to the decision that allowed it."""

import shutil
from datetime import timedelta
from pathlib import Path

from recsys.assets import sql_path
from recsys.publication import find_publication, publish, start_canary
from recsys.settings import Settings
from recsys.warehouse import Warehouse, migrate, open_warehouse
from tests.support.engines import Copies, untouched
from tests.support.publications import AS_OF, NOW, approve, made_lists, write_publication
from tests.support.warehouse import make_settings

BEFORE = ("0001_shop.sql", "0002_published.sql", "0003_propensity.sql")


def test_every_live_row_has_its_origin_and_its_decision(warehouse: Warehouse, settings: Settings) -> None:
    folder = settings.resolved_home / "files"
    publish(warehouse, settings, write_publication(folder, "p1", made_lists()), now=NOW)
    canary = write_publication(folder, "c1", made_lists(shift=4), version="2")
    later = NOW + timedelta(days=1)
    start_canary(warehouse, settings, canary, share=0.5, decided_by="bo", channel="airflow", reason="r", now=later)
    live = warehouse.query(
        "select live.publication_id, live.as_of as shown_as_of, rows.* from recsys.live_recommendations as live "
        "left join recsys.published_rows as rows on rows.publication_id = live.publication_id "
        "and rows.user_id = live.user_id and rows.item_id = live.item_id"
    )
    assert len(live) == 320
    decisions = {row["decision_id"]: row for row in warehouse.query("select * from recsys.decisions")}
    assert {row["publication_id"] for row in live} == {"p1", "c1"}
    for row in live:
        origin = (row["state_id"], row["run_id"], row["snapshot_id"], row["code_commit"], row["as_of"])
        assert origin == ("state-1", "run-1", "snapshot-1", "unknown", AS_OF)
        decision = decisions[row["decision_id"]]
        assert row["model_version"] == decision["model_version"] == {"p1": "1", "c1": "2"}[row["publication_id"]]
        assert (row["verdict"], row["decided_by"]) == {"p1": ("approved", "ada"), "c1": ("canary", "bo")}[
            row["publication_id"]
        ]


def test_a_newer_approval_of_the_same_version_is_the_decision_of_newer_lists(
    warehouse: Warehouse, settings: Settings
) -> None:
    folder = settings.resolved_home / "files"
    publish(warehouse, settings, write_publication(folder, "p1", made_lists()), now=NOW)
    approve(warehouse, "2", now=NOW)
    publish(warehouse, settings, write_publication(folder, "p2", made_lists(shift=1), version="2"), now=NOW)
    found = [find_publication(warehouse, name) for name in ("p1", "p2")]
    assert [one and one.decision_id for one in found] == ["for_you-000001", "for_you-000002"]


def test_publications_and_decisions_of_before_are_kept_and_joined(copies: Copies, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, warehouse_url=copies.make(tmp_path / "home", untouched))
    before = tmp_path / "before"
    before.mkdir()
    for name in BEFORE:
        shutil.copy2(sql_path("schema", name), before / name)
    with open_warehouse(settings, purpose="test") as warehouse:
        migrate(warehouse, folder=before)
        with warehouse.transaction() as connection:
            for statement in ROWS:
                connection.exec_driver_sql(statement)
        decided = warehouse.query("select * from recsys.decisions order by decision_number")
        migrate(warehouse)
        assert warehouse.query("select * from recsys.decisions order by decision_number") == decided
        rows = warehouse.query("select publication_id, kind, decision_id from recsys.publications order by 1")
        assert [tuple(row.values()) for row in rows] == [("p1", "main", "for_you-000002"), ("p2", "main", None)]
        # The ledger goes on where it was.
        assert approve(warehouse, "3") == "for_you-000004"


def _publication(name: str, live_at: str) -> str:
    return (
        f"insert into recsys.publications values ('{name}', 'for_you', '2024-01-01', 'm', '1', 's', 'r', 'x', 'c', "
        f"'superseded', 0, 1, '0', '2024-01-01', {live_at}, null, 10, 'a', null, null)"
    )


def _decision(number: int, verdict: str, day: int) -> str:
    return (
        f"insert into recsys.decisions values ({number}, 'for_you-00000{number}', 'for_you', 'm', '1', '{verdict}', "
        f"'ada', '2024-01-0{day}', 'cli', 'r', null, null)"
    )


ROWS = (
    _publication("p1", "'2024-01-03'"),
    _publication("p2", "null"),
    _decision(1, "approved", 1),
    _decision(2, "approved", 2),
    _decision(3, "approved", 4),
)
