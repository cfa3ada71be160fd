"""Erasure on both warehouses, taken up where it was ended; retention; and snapshots by pseudonyms."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq
import pytest

from recsys import pipeline, privacy
from recsys.errors import NotFoundError, SettingsError
from recsys.evaluation import published
from recsys.privacy import Subject
from recsys.pseudonyms import Pseudonyms
from recsys.publication import customer_list, publish
from recsys.settings import PrivacySettings, Settings, SnapshotSettings
from recsys.snapshot import Snapshot
from recsys.warehouse import open_warehouse
from tests.support.planted import run_sql
from tests.support.postgres import make_database
from tests.support.publications import ITEMS, NOW, PLACEMENT, approve, live_rows, made_lists, write_publication
from tests.support.searching import in_database, places
from tests.support.warehouse import make_settings, user_id, write_small_shop

WHO = {"by": "ada", "reason": "request 4711"}


def with_lists(settings: Settings) -> Settings:
    """Publish two sets of lists, one after the other, for customers of whom the first is planted."""
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=60, items=ITEMS, days=60)
        approve(warehouse, "1")
        for number in (1, 2):
            files = write_publication(settings.resolved_home.parent / "files", f"p{number}", made_lists(shift=number))
            publish(warehouse, settings, files, now=NOW + timedelta(hours=number))
    return settings


REJECTED = """
    insert into shop.quarantine
    values ('shop.events', '{{"event_id": "{event}", "user_id": "{user}"}}', 'r', 'run', timestamp '2024-12-01')
"""
REPAIRED = """
    insert into shop.quarantine_repairs
    values (
        md5('shop.events|r|' || '{{"event_id": "{event}", "user_id": "{user}"}}'),
        'repaired', '{row}', 'ada', timestamp '2024-12-01'
    )
"""
DROPPED = """
    insert into shop.quarantine_repairs
    values (
        md5('shop.events|r|' || '{{"event_id": "{event}", "user_id": "{user}"}}'),
        'dropped', null, 'ada', timestamp '2024-12-01'
    )
"""


@pytest.fixture(params=["duckdb", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    if request.param == "duckdb":
        yield with_lists(make_settings(tmp_path))
    else:
        server = request.getfixturevalue("postgres_url")
        yield with_lists(make_settings(tmp_path, warehouse_url=make_database(server, f"e{uuid4().hex[:8]}")))


@pytest.fixture
def embedded(tmp_path: Path) -> Settings:
    return with_lists(make_settings(tmp_path))


def found(settings: Settings) -> list[str]:
    inside = in_database(user_id(0), settings.warehouse_url) if settings.warehouse_url else []
    return [*inside, *places(user_id(0), settings.resolved_home)]


def test_a_customer_is_gone_and_the_others_lists_are_as_they_were(settings: Settings) -> None:
    assert len(found(settings)) >= 4
    with open_warehouse(settings, purpose="test") as warehouse:
        before = live_rows(warehouse)
    done = pipeline.erase(settings, user=user_id(0), **WHO, now=NOW)
    assert found(settings) == []
    assert done["proof"]["rows"]["recsys.publication_lists"] == 2
    assert (done["proof"]["remaining"], done["proof"]["models"]) == (0, [])
    with open_warehouse(settings, purpose="test") as warehouse:
        assert live_rows(warehouse) == [row for row in before if row["user_id"] != user_id(0)]
        assert customer_list(warehouse, settings, user_id(0), PLACEMENT).is_default
        [row] = warehouse.query("select user_id, status from recsys.erasures")
    assert row == {"user_id": None, "status": "done"}


def test_corrections_of_a_customer_s_rejected_rows_go_too(settings: Settings) -> None:
    """Of one that was corrected, one that was dropped as it was, and one whose rejected row a load has replaced."""
    name = user_id(0)
    with open_warehouse(settings, purpose="test") as warehouse, warehouse.transaction() as connection:
        for event in ("corrected", "dropped"):
            warehouse.run(connection, REJECTED.format(event=event, user=name))
        warehouse.run(connection, REPAIRED.format(event="corrected", user=name, row=f'{{"user_id": "{name}", "n": 2}}'))
        warehouse.run(connection, DROPPED.format(event="dropped", user=name))
        warehouse.run(connection, REPAIRED.format(event="gone", user=name, row=f'{{"user_id": "{name}", "n": 3}}'))
        warehouse.run(connection, REPAIRED.format(event="other", user="bo", row='{"user_id": "bo"}'))
    done = pipeline.erase(settings, user=name, **WHO, now=NOW)
    assert done["proof"]["rows"]["shop.quarantine"] == 5
    assert found(settings) == []
    with open_warehouse(settings, purpose="test") as warehouse:
        [left] = warehouse.query('select cast("row" as varchar) as kept from shop.quarantine_repairs')
    assert "bo" in left["kept"]


def test_who_is_erased_while_lists_are_made_is_not_published(settings: Settings) -> None:
    pipeline.erase(settings, user=user_id(0), **WHO, now=NOW)
    with open_warehouse(settings, purpose="test") as warehouse:
        files = write_publication(settings.resolved_home.parent / "files", "p3", made_lists(shift=3))
        record = publish(warehouse, settings, files, now=NOW + timedelta(hours=3))
        assert record.user_count == 29
    assert [place for place in found(settings) if not place.startswith("home/tmp")] == []


@pytest.mark.parametrize("reached", ["listed", "begun", "half", "removed"])
def test_an_erasure_that_was_ended_is_taken_up(embedded: Settings, reached: str) -> None:
    """What a kill leaves behind at each step, made by the steps themselves."""
    subject = Subject.of(embedded, user_id(0))
    with open_warehouse(embedded, purpose="test") as warehouse:
        if reached != "listed":
            begun = privacy.begin(warehouse, subject, **WHO, now=NOW)
        if reached in ("half", "removed"):
            privacy.remove_rows(warehouse, subject)
        if reached == "removed":
            privacy.rewrite_lists(embedded, subject)
            privacy.save(warehouse, begun, user_id=None, status="removed")
    if reached == "listed":
        pipeline.erase(embedded, user=subject.pseudonym, **WHO, now=NOW)
    elif reached == "begun":
        pipeline.erase(embedded, user=user_id(0), **WHO, now=NOW)
    elif reached == "half":
        # Nobody in the shop's tables has the pseudonym any more; the erasure that began knows whose it is.
        pipeline.erase(embedded, user=subject.pseudonym, **WHO, now=NOW)
    else:
        pipeline.retain(embedded, by="ada", now=NOW)
    left = [place for place in found(embedded) if reached != "removed" or "live/state" not in place]
    assert left == []
    assert len(list((embedded.resolved_home / "erasures").glob("*.json"))) == 1


def test_what_cannot_be_erased_is_told(embedded: Settings) -> None:
    with pytest.raises(NotFoundError, match="Nobody in the shop's tables has the pseudonym"):
        pipeline.erase(embedded, user="c-0123456789abcdef0123", **WHO, now=NOW)
    with pytest.raises(SettingsError, match="holds the customer's id"):
        pipeline.erase(embedded, user=user_id(0), by="ada", reason=f"{user_id(0)} asked", now=NOW)
    with pytest.raises(SettingsError, match="needs the name of who"):
        pipeline.erase(embedded, user=user_id(0), by="ada", reason=" ", now=NOW)
    assert len(found(embedded)) >= 4


def test_what_is_too_old_goes_and_the_newest_snapshot_stays(embedded: Settings) -> None:
    comparing = embedded.model_copy(update={"snapshot": SnapshotSettings(incremental=True)})
    for as_of in ("2024-12-20", "2024-12-28"):
        pipeline.take_snapshot(comparing, as_of=as_of, now=NOW)
    kept = embedded.model_copy(
        update={"privacy": PrivacySettings(event_days={"purchase": 30, "view": 1}, quarantine_days=1, snapshot_days=1)}
    )
    now = datetime(2100, 1, 1)
    run_sql(embedded, "insert into shop.quarantine values ('shop.events', '{}', 'r', 'x', timestamp '2024-12-01')")
    with open_warehouse(embedded, purpose="test") as warehouse:
        count = "select count(*) as found from shop.events where event_type = 'purchase'"
        before = warehouse.query(count)[0]["found"]
    assert pipeline.retain(embedded, by="ada", now=now) == {"rows": {}, "artifacts": {}, "erasures": []}
    assert pipeline.retain(kept, by="ada", now=now) == {
        "rows": {"events: purchase": before, "quarantine": 1},
        "artifacts": {"snapshots": 1, "extracts": 1},
        "erasures": [],
    }
    assert len(list((embedded.resolved_home / "snapshots").glob("2*"))) == 1


def test_snapshots_by_pseudonyms_measure_and_publish_the_same(embedded: Settings, tmp_path: Path) -> None:
    plain = Snapshot.open(pipeline.take_snapshot(embedded, as_of="latest", now=NOW)["snapshot"])
    settings = embedded.model_copy(update={"privacy": PrivacySettings(pseudonymise=True)})
    taken = Snapshot.open(pipeline.take_snapshot(settings, as_of="latest", now=NOW)["snapshot"])
    name = Pseudonyms.of(settings).name
    ids, names = (pq.read_table(one.users)["user_id"].to_pylist() for one in (plain, taken))
    assert sorted(names) == sorted(map(name, ids))
    assert places(user_id(0), taken.folder) == []
    assert taken.manifest["rows"] == plain.manifest["rows"]
    with open_warehouse(settings, purpose="test") as warehouse:
        rows = [{**row, "subject_id": name(row["subject_id"])} if row["bucket"] >= 0 else row for row in made_lists()]
        publish(warehouse, settings, write_publication(tmp_path / "files", "p4", rows), now=NOW + timedelta(hours=4))
        shown = {row["user_id"] for row in live_rows(warehouse) if row["user_id"].startswith("u")}
        assert shown == {user_id(number) for number in range(30)}
    early = {"as_of": datetime(2024, 12, 1), "canary": None}
    with open_warehouse(settings, purpose="test") as warehouse:
        lists = warehouse.read_arrow(
            "select user_id, item_id, rank from recsys.live_recommendations where user_id <> '*'"
        )
        with lists as reader:
            table = reader.read_all()
    one, other = (published.measure_lists(settings, later, PLACEMENT, table, **early) for later in (plain, taken))
    assert one == other
    assert one["customers"] > 10
