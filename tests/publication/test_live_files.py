"""The live sets as files: the same rows as the view in the warehouse, for any DuckDB."""

import json
import threading
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import text

from recsys.privacy import Subject, remove_rows
from recsys.publication import export_live, publish, rollback
from recsys.settings import Settings
from recsys.warehouse import Warehouse
from tests.support.publications import NOW, PLACEMENT, approve, live_rows, made_lists, write_publication
from tests.support.warehouse import item_id, user_id


@pytest.fixture
def folder(settings: Settings) -> Path:
    return settings.resolved_home / "live"


def put_live(warehouse: Warehouse, settings: Settings, name: str, day: int = 0, placement: str = PLACEMENT) -> None:
    publication = write_publication(
        settings.resolved_home / "files", name, made_lists(shift=day, label=name), placement=placement
    )
    publish(warehouse, settings, publication, now=NOW + timedelta(days=day))


def read_files(folder: Path) -> list[dict[str, object]]:
    """Read as an outside program does."""
    with duckdb.connect() as connection:
        connection.execute((folder / "live_recommendations.sql").read_text())
        result = connection.execute("from recsys.live_recommendations order by placement, user_id, rank")
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def read_view(warehouse: Warehouse) -> list[dict[str, object]]:
    return warehouse.query("select * from recsys.live_recommendations order by placement, user_id, rank")


def test_the_files_agree_with_the_view(warehouse: Warehouse, settings: Settings, folder: Path) -> None:
    approve(warehouse, "1", placement="discover")
    put_live(warehouse, settings, "p1")
    put_live(warehouse, settings, "d1", 2, "discover")
    rows = read_files(folder)
    assert rows == read_view(warehouse)
    assert len(rows) == 640
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [(entry["placement"], entry["publication_id"]) for entry in manifest["live"]] == [
        ("discover", "d1"),
        (PLACEMENT, "p1"),
    ]


def test_they_follow_a_publication_and_a_rollback(warehouse: Warehouse, settings: Settings, folder: Path) -> None:
    put_live(warehouse, settings, "p1")
    put_live(warehouse, settings, "p2", 1)
    assert {row["publication_id"] for row in read_files(folder)} == {"p2"}
    rollback(
        warehouse,
        settings,
        PLACEMENT,
        decided_by="ada",
        channel="cli",
        reason="r",
        now=NOW + timedelta(days=2),
    )
    assert {row["publication_id"] for row in read_files(folder)} == {"p1"}
    assert read_files(folder) == read_view(warehouse)


def test_suppressions_and_consent_hold_after_an_export(warehouse: Warehouse, settings: Settings, folder: Path) -> None:
    put_live(warehouse, settings, "p1")
    insert = text(
        "insert into shop.suppressions values "
        "('s', :item, :brand, :category, :placement, :starts_at, :ends_at, 'ada', 'r')"
    )
    empty = dict.fromkeys(("item", "brand", "category", "placement", "ends_at"))
    rules = [
        {**empty, "brand": "Brand 3", "starts_at": "2000-01-01"},
        {**empty, "category": "Department 2", "placement": PLACEMENT, "starts_at": "2000-01-01"},
        {**empty, "item": item_id(4), "starts_at": "2900-01-01"},
        {**empty, "item": item_id(5), "starts_at": "2000-01-01", "ends_at": "2001-01-01"},
        {**empty, "item": "an item that the shop no longer has", "starts_at": "2000-01-01"},
        {**empty, "starts_at": "2000-01-01"},
    ]
    with warehouse.transaction() as connection:
        for rule in rules:
            connection.execute(insert, rule)
        connection.execute(text("update shop.users set is_personalised = false where user_id = :u"), {"u": user_id(0)})
    export_live(warehouse, settings)
    rows = read_files(folder)
    assert rows == read_view(warehouse)
    assert user_id(0) not in {row["user_id"] for row in rows}
    assert not {item_id(2), item_id(9), item_id(10)} & {row["item_id"] for row in rows}
    assert {item_id(4), item_id(5)} <= {row["item_id"] for row in rows}


def test_nothing_live_is_an_empty_view(warehouse: Warehouse, settings: Settings, folder: Path) -> None:
    export_live(warehouse, settings)
    assert read_files(folder) == []


def test_folders_go_when_neither_the_newest_manifest_nor_the_one_before_names_them(
    warehouse: Warehouse, settings: Settings, folder: Path
) -> None:
    for day in range(4):
        put_live(warehouse, settings, f"p{day}", day)
    named = {path.name for path in folder.iterdir() if path.is_dir() and path.name.startswith("p")}
    assert named == {"p2", "p3"}
    (folder / ".draft-of-a-killed-export").mkdir()
    export_live(warehouse, settings)
    export_live(warehouse, settings)
    # A repeated export changes nothing else, and does not forget the manifest before the last change.
    assert {path.name for path in folder.iterdir() if path.is_dir() and path.name.startswith("p")} == named
    assert not (folder / ".draft-of-a-killed-export").exists()
    assert len([path for path in folder.iterdir() if path.name.startswith("state-")]) == 2


def test_an_export_that_was_lost_is_made_up_by_publishing_again(
    warehouse: Warehouse, settings: Settings, folder: Path
) -> None:
    put_live(warehouse, settings, "p1")
    for path in folder.glob("*.*"):
        path.unlink()
    put_live(warehouse, settings, "p1")
    assert read_files(folder) == read_view(warehouse)


def test_an_outside_reader_sees_the_old_set_or_the_new_one(
    warehouse: Warehouse, settings: Settings, folder: Path
) -> None:
    put_live(warehouse, settings, "p0")
    seen: set[object] = set()
    faults: list[object] = []
    begun, stop = threading.Event(), threading.Event()

    def read() -> None:
        is_last = False
        while not is_last:
            is_last = stop.is_set()
            rows = read_files(folder)
            names = {row["publication_id"] for row in rows}
            if len(names) != 1 or len(rows) != 320:
                faults.append((len(rows), names))
            seen.update(names)
            begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    begun.wait(60)
    try:
        for day in range(1, 6):
            put_live(warehouse, settings, f"p{day}", day)
    finally:
        stop.set()
        reader.join()
    assert faults == []
    assert len(seen) > 1
    assert read_files(folder) == read_view(warehouse)


def test_what_an_audit_read_is_moved_to_its_place_unless_a_customer_was_erased_since(
    warehouse: Warehouse, settings: Settings, folder: Path, tmp_path: Path
) -> None:
    put_live(warehouse, settings, "p1")
    rows = [row for row in read_files(folder) if row["user_id"] != user_id(0)]
    for is_erased in (False, True):
        read = (folder / "p1" / "lists.parquet").rename(tmp_path / "read.parquet")
        if is_erased:
            remove_rows(warehouse, Subject.of(settings, user_id(0)))
        export_live(warehouse, settings, audited={"p1": read})
        assert read.exists() == is_erased
    assert read_files(folder) == rows == read_view(warehouse)


def test_a_quote_in_the_name_of_home(tmp_path: Path, warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, "p1")
    odd = settings.model_copy(update={"home": tmp_path / "it's here"})
    folder = export_live(warehouse, odd)
    assert read_files(folder) == live_rows(warehouse)


def test_a_folder_that_lost_its_lists_is_written_anew_before_a_rollback_shows_it(
    warehouse: Warehouse, settings: Settings, folder: Path
) -> None:
    """As a removal leaves it that was killed half-way."""
    for day in range(4):
        put_live(warehouse, settings, f"p{day}", day)
    assert not (folder / "p1").exists()
    (folder / "p1").mkdir()
    for _ in range(2):
        rollback(warehouse, settings, PLACEMENT, decided_by="ada", channel="cli", reason="worse", now=NOW)
    rows = read_files(folder)
    assert len(rows) == 320
    assert {row["publication_id"] for row in rows} == {"p1"}
