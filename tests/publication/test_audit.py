"""What an audit refuses: each failure is planted, and what was live stays live."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from recsys import ledger
from recsys.errors import AuditError, ContractError, SettingsError
from recsys.pseudonyms import Pseudonyms
from recsys.publication import find_publication, publish
from recsys.publication.audit import audit
from recsys.publication.parts import Stored
from recsys.publication.staging import hash_lists, open_lists, stage
from recsys.settings import Settings
from recsys.warehouse import Warehouse
from tests.support.publications import (
    AS_OF,
    NOW,
    Row,
    approve,
    list_of,
    live_rows,
    made_lists,
    write_publication,
)
from tests.support.warehouse import item_id, user_id

Damage = Callable[[list[Row]], list[Row]]


def row_of(rows: list[Row], user: str, rank: int) -> Row:
    return next(row for row in rows if row["subject_id"] == user and row["rank"] == rank)


def changed(user: str, place: int, **values: object) -> Damage:
    def damage(rows: list[Row]) -> list[Row]:
        row_of(rows, user, place).update(values)
        return rows

    return damage


def without(keep: Callable[[Row], bool]) -> Damage:
    return lambda rows: [row for row in rows if keep(row)]


FIRST = user_id(0)
PLANTED: dict[str, tuple[Damage, str]] = {
    "a rank twice": (changed(FIRST, 2, rank=1), "1 lists have ranks that are not 1, 2, 3"),
    "a rank left out": (
        without(lambda row: (row["subject_id"], row["rank"]) != (FIRST, 3)),
        "1 lists have ranks that are not 1, 2, 3",
    ),
    "ranks from 0": (changed(FIRST, 20, rank=0), "1 lists have ranks that are not 1, 2, 3"),
    "an item twice": (
        changed(FIRST, 2, item_id=item_id(3)),
        "1 lists name an item twice, for example c-",
    ),
    "an unknown item": (
        changed(FIRST, 2, item_id="nowhere"),
        "1 items are not known to the run, for example nowhere",
    ),
    "a barred item": (
        changed(FIRST, 2, item_id=item_id(39)),
        f"1 items may not be recommended, for example {item_id(39)}",
    ),
    "no item": (changed(FIRST, 2, item_id=None), "1 rows lack an item, a finite score"),
    "no score": (changed(FIRST, 2, score=None), "1 rows lack an item, a finite score"),
    "a score that is no number": (changed(FIRST, 2, score=math.nan), "1 rows lack an item, a finite score"),
    "an empty reason": (changed(FIRST, 2, reason=" "), "1 rows lack an item, a finite score"),
    "a customer among the defaults": (changed(FIRST, 2, bucket=-1), "1 subjects are in a wrong bucket"),
    "a bucket too high": (
        lambda rows: [{**row, "bucket": 4096} if row["subject_id"] == FIRST else row for row in rows],
        "1 subjects are in a wrong bucket",
    ),
    "a default list among the customers": (
        lambda rows: [{**row, "bucket": 5} if row["subject_id"] == "*" else row for row in rows],
        "there is no default list",
    ),
    "no default list": (
        without(lambda row: row["subject_id"] != "*"),
        "there is no default list (subject *)",
    ),
    "too few customers": (
        without(lambda row: row["bucket"] == -1 or row["subject_id"] > user_id(3)),
        "26 of 30 expected customers have a list, a share of 0.867; at least 0.900",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_and_the_old_set_stays(warehouse: Warehouse, settings: Settings, name: str) -> None:
    folder = settings.resolved_home / "files"
    publish(warehouse, settings, write_publication(folder, "good", made_lists()), now=NOW)
    before = live_rows(warehouse)
    damage, message = PLANTED[name]
    bad = write_publication(folder, "bad", damage(made_lists(shift=1)))
    with pytest.raises(AuditError) as caught:
        publish(warehouse, settings, bad, now=NOW)
    assert message in str(caught.value)
    assert live_rows(warehouse) == before
    record = find_publication(warehouse, "bad")
    assert record is not None
    assert (record.status, record.ended_at) == ("failed", NOW)
    assert any(message in failure for failure in record.audit["failures"])
    assert warehouse.query("select distinct publication_id from recsys.publication_lists") == [
        {"publication_id": "good"}
    ]
    # Nothing of the refused lists is left: the rows stored are those of the good ones.
    assert warehouse.query("select count(*) as rows from recsys.list_rows") == [{"rows": len(made_lists())}]


def test_all_failures_are_told_at_once(warehouse: Warehouse, settings: Settings) -> None:
    rows = [row for row in made_lists() if row["subject_id"] != "*"]
    row_of(rows, FIRST, 2)["item_id"] = "nowhere"
    row_of(rows, user_id(1), 5)["rank"] = 6
    bad = write_publication(settings.resolved_home / "files", "bad", rows, expected=100)
    with pytest.raises(AuditError) as caught:
        publish(warehouse, settings, bad, now=NOW)
    for message in ("ranks", "nowhere", "no default list", "30 of 100 expected customers"):
        assert message in str(caught.value)


def test_after_a_correction_the_same_publication_goes_live(warehouse: Warehouse, settings: Settings) -> None:
    folder = settings.resolved_home / "files"
    bad = write_publication(folder, "p1", changed(FIRST, 2, item_id="nowhere")(made_lists()))
    with pytest.raises(AuditError):
        publish(warehouse, settings, bad, now=NOW)
    assert live_rows(warehouse) == []
    record = publish(warehouse, settings, write_publication(folder, "p1", made_lists()), now=NOW)
    assert (record.status, record.audit["failures"], record.ended_at) == ("live", [], None)
    assert len(live_rows(warehouse)) == 320


def test_rows_that_were_changed_in_the_warehouse_are_found(
    warehouse: Warehouse, settings: Settings, tmp_path: Path
) -> None:
    """The audit reads back what is stored; it does not trust the files."""
    publication = write_publication(settings.resolved_home / "files", "p1", made_lists())
    with open_lists(settings, publication) as bench:
        counted = hash_lists(bench)
        stored = stage(warehouse, bench, publication, counted, attempt="a", items_shown=10, now=NOW)
        read = partial(audit, warehouse, settings, bench, publication, counted, path=tmp_path / "read.parquet")
        assert read(stored=stored).failures == []
        with warehouse.transaction() as connection:
            connection.execute(
                text("update recsys.list_rows set score = 9 where subject_id = :user and rank = 1"),
                {"user": FIRST},
            )
        for where in (stored, Stored()):
            assert read(stored=where).failures == [
                "the 640 stored rows are not those of the files: the checksums differ"
            ]
        with warehouse.transaction() as connection:
            connection.execute(
                text("delete from recsys.list_rows where subject_id = :user and rank = 20"), {"user": FIRST}
            )
        found = read(stored=stored)
        assert found.failures == ["639 rows are stored, but the files have 640"]


def test_short_lists_are_reported_but_go_live(warehouse: Warehouse, settings: Settings) -> None:
    rows = [row for row in made_lists() if row["subject_id"] != FIRST or row["rank"] <= 4]
    record = publish(warehouse, settings, write_publication(settings.resolved_home / "files", "p1", rows), now=NOW)
    assert (record.audit["short_lists"], record.audit["short_examples"]) == (1, Pseudonyms.of(settings).name(FIRST))
    assert record.audit["coverage"] == 1.0


def test_a_version_that_nobody_approved_stays_out(warehouse: Warehouse, settings: Settings) -> None:
    folder = settings.resolved_home / "files"
    lists = made_lists()
    with pytest.raises(AuditError, match="version 2 of recsys_for_you can't go live on for_you: the approved one"):
        publish(warehouse, settings, write_publication(folder, "p2", lists, version="2"), now=NOW)
    with pytest.raises(AuditError, match="no version has been approved there"):
        publish(warehouse, settings, write_publication(folder, "p3", lists, placement="discover"), now=NOW)
    assert warehouse.query("select * from recsys.publications") == []


def test_a_version_that_was_replaced_while_its_lists_were_made_stays_out(
    warehouse: Warehouse, settings: Settings
) -> None:
    from recsys.publication.publishing import go_live, prepare
    from recsys.publication.records import Pointer

    publication = write_publication(settings.resolved_home / "files", "p1", made_lists())
    attempt, found = prepare(warehouse, settings, publication, now=NOW)
    approve(warehouse, "2")
    with pytest.raises(AuditError, match="the approved one is version 2"):
        go_live(warehouse, publication, found, attempt=attempt, expected=Pointer("for_you", None, 0), now=NOW)
    assert live_rows(warehouse) == []


def test_a_rejected_challenger_does_not_touch_the_champion(warehouse: Warehouse, settings: Settings) -> None:
    approve(warehouse, "2", verdict=ledger.REJECTED)
    record = publish(
        warehouse, settings, write_publication(settings.resolved_home / "files", "p1", made_lists()), now=NOW
    )
    assert record.model_version == "1"


def test_a_placement_that_does_not_exist(warehouse: Warehouse, settings: Settings) -> None:
    bad = write_publication(settings.resolved_home / "files", "p1", made_lists(), placement="nope")
    with pytest.raises(SettingsError, match="There is no placement 'nope'"):
        publish(warehouse, settings, bad, now=NOW)


@pytest.mark.parametrize("publication_id", ["", "../up", "a/b", ".hidden"])
def test_an_id_that_is_no_folder_name(settings: Settings, publication_id: str) -> None:
    good = write_publication(settings.resolved_home / "files", "p1", made_lists())
    with pytest.raises(SettingsError, match="names a folder"):
        type(good)(**{**vars(good), "publication_id": publication_id})


def test_files_of_the_wrong_shape(warehouse: Warehouse, settings: Settings) -> None:
    good = write_publication(settings.resolved_home / "files", "p1", made_lists(), files=1)
    [path] = good.lists
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["reason"]), path)
    with pytest.raises(ContractError, match=r"p1-0.parquet lacks reason; it has subject_id, bucket"):
        publish(warehouse, settings, good, now=NOW)
    worded = table.set_column(table.schema.names.index("score"), "score", pa.array(["high"] * len(table)))
    pq.write_table(worded, path)
    with pytest.raises(ContractError, match="score is string instead of double"):
        publish(warehouse, settings, good, now=NOW)
    path.write_bytes(b"not parquet")
    with pytest.raises(ContractError, match="can't be read as Parquet"):
        publish(warehouse, settings, good, now=NOW)
    keyless = table.set_column(0, "subject_id", pa.nulls(len(table), pa.string()))
    pq.write_table(keyless, path)
    with pytest.raises(ContractError, match="640 of 640 rows of lists have no bucket, subject_id or rank"):
        publish(warehouse, settings, good, now=NOW)
    wide = table.set_column(2, "rank", pa.array([70_000] * len(table)))
    pq.write_table(wide, path)
    with pytest.raises(ContractError, match="out of range"):
        publish(warehouse, settings, good, now=NOW)
    assert warehouse.query("select * from recsys.publications") == []


def test_no_expected_customers_need_no_lists(warehouse: Warehouse, settings: Settings) -> None:
    rows = list_of("*", [item_id(n) for n in range(20)])
    record = publish(
        warehouse,
        settings,
        write_publication(settings.resolved_home / "files", "p1", rows, expected=0),
        now=NOW,
    )
    assert (record.user_count, record.row_count, record.as_of) == (0, 20, AS_OF)
