"""Going live: idempotence, compare-and-set, fencing, shared lists, pruning, readers."""

import threading
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recsys.errors import ConflictError
from recsys.publication import list_publications, publish
from recsys.publication.publishing import go_live, prepare
from recsys.publication.records import read_pointer
from recsys.publication.staging import hash_lists, open_lists
from recsys.settings import Settings
from recsys.warehouse import Warehouse
from tests.support.publications import NOW, PLACEMENT, approve, live_rows, made_lists, write_publication
from tests.support.warehouse import make_settings, user_id


def statuses(warehouse: Warehouse) -> dict[str, str]:
    return {record.publication_id: record.status for record in list_publications(warehouse)}


def put_live(
    warehouse: Warehouse, settings: Settings, name: str, *, shift: int = 0, day: int = 0, version: str = "1"
) -> None:
    publication = write_publication(
        settings.resolved_home / "files", name, made_lists(shift=shift, label=name), version=version
    )
    publish(warehouse, settings, publication, now=NOW + timedelta(days=day))


def test_what_goes_live_is_recorded(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, "p1")
    put_live(warehouse, settings, "p2", shift=1, day=1)
    newest, before = list_publications(warehouse)
    assert (newest.publication_id, newest.status, newest.previous_publication_id) == ("p2", "live", "p1")
    assert (newest.user_count, newest.row_count, newest.items_shown) == (30, 640, 10)
    assert (newest.live_at, newest.ended_at) == (NOW + timedelta(days=1), None)
    assert (before.status, before.live_at, before.ended_at) == ("superseded", NOW, NOW + timedelta(days=1))
    assert newest.checksum != before.checksum
    assert warehouse.query(
        "select fence, publication_id, from_publication_id, cause from recsys.pointer_moves order by fence"
    ) == [
        {"fence": 1, "publication_id": "p1", "from_publication_id": None, "cause": "published"},
        {"fence": 2, "publication_id": "p2", "from_publication_id": "p1", "cause": "published"},
    ]


def test_placements_do_not_touch_each_other(warehouse: Warehouse, settings: Settings) -> None:
    approve(warehouse, "7", placement="discover")
    put_live(warehouse, settings, "p1")
    other = write_publication(settings.resolved_home / "files", "d1", made_lists(), placement="discover", version="7")
    publish(warehouse, settings, other, now=NOW)
    assert statuses(warehouse) == {"p1": "live", "d1": "live"}
    assert {row["publication_id"] for row in live_rows(warehouse)} == {"p1"}
    assert {row["publication_id"] for row in live_rows(warehouse, "discover")} == {"d1"}


def test_publishing_again_is_a_skip(warehouse: Warehouse, settings: Settings) -> None:
    publication = write_publication(settings.resolved_home / "files", "p1", made_lists())
    first = publish(warehouse, settings, publication, now=NOW)
    again = publish(warehouse, settings, publication, now=NOW + timedelta(days=1))
    assert (first.is_skipped, again.is_skipped) == (False, True)
    assert (again.live_at, again.attempt) == (first.live_at, first.attempt)
    assert read_pointer(warehouse, PLACEMENT).fence == 1


def test_two_publishers_the_second_to_finish_is_refused(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, "p1")
    expected = read_pointer(warehouse, PLACEMENT)
    slow = write_publication(settings.resolved_home / "files", "slow", made_lists(shift=3))
    attempt, found = prepare(warehouse, settings, slow, now=NOW)
    put_live(warehouse, settings, "quick", shift=4, day=1)
    with pytest.raises(ConflictError, match="when it was prepared p1 was live on for_you"):
        go_live(warehouse, slow, found, attempt=attempt, expected=expected, now=NOW)
    assert {row["publication_id"] for row in live_rows(warehouse)} == {"quick"}
    # The quick one's tidying removed what the slow one had staged and could never bring live.
    assert statuses(warehouse) == {"quick": "live", "p1": "superseded", "slow": "failed"}
    assert warehouse.query("select * from recsys.publication_lists where publication_id = 'slow'") == []


def test_of_two_overlapping_attempts_of_one_publication_the_older_is_fenced_off(
    warehouse: Warehouse, settings: Settings
) -> None:
    expected = read_pointer(warehouse, PLACEMENT)
    publication = write_publication(settings.resolved_home / "files", "p1", made_lists())
    older, found = prepare(warehouse, settings, publication, now=NOW)
    newer, _ = prepare(warehouse, settings, publication, now=NOW)
    assert older != newer
    with pytest.raises(ConflictError, match="Another attempt took the publication p1 over"):
        go_live(warehouse, publication, found, attempt=older, expected=expected, now=NOW)
    assert live_rows(warehouse) == []
    assert read_pointer(warehouse, PLACEMENT).fence == 0
    go_live(warehouse, publication, found, attempt=newer, expected=expected, now=NOW)
    assert len(live_rows(warehouse)) == 320


def test_the_pointer_came_back_to_the_same_publication_and_still_counts_as_moved(
    warehouse: Warehouse, settings: Settings
) -> None:
    put_live(warehouse, settings, "p1")
    expected = read_pointer(warehouse, PLACEMENT)
    slow = write_publication(settings.resolved_home / "files", "slow", made_lists(shift=3))
    attempt, found = prepare(warehouse, settings, slow, now=NOW)
    put_live(warehouse, settings, "p2", shift=4, day=1)
    put_live(warehouse, settings, "p1", day=2)
    assert read_pointer(warehouse, PLACEMENT).publication_id == expected.publication_id
    with pytest.raises(ConflictError):
        go_live(warehouse, slow, found, attempt=attempt, expected=expected, now=NOW)


def test_a_superseded_publication_goes_live_again_without_being_copied(
    warehouse: Warehouse, settings: Settings
) -> None:
    put_live(warehouse, settings, "p1")
    before = live_rows(warehouse)
    put_live(warehouse, settings, "p2", shift=1, day=1)
    stored = warehouse.query("select count(*) as rows from recsys.list_rows")
    put_live(warehouse, settings, "p1", day=2)
    assert live_rows(warehouse) == before
    assert statuses(warehouse) == {"p1": "live", "p2": "superseded"}
    assert warehouse.query("select count(*) as rows from recsys.list_rows") == stored


def test_lists_that_did_not_change_are_stored_once(warehouse: Warehouse, settings: Settings) -> None:
    folder = settings.resolved_home / "files"
    rows = made_lists()
    publish(warehouse, settings, write_publication(folder, "p1", rows), now=NOW)
    changed = [{**row, "reason": "Because it is new."} if row["subject_id"] == user_id(0) else row for row in rows]
    publish(warehouse, settings, write_publication(folder, "p2", changed), now=NOW + timedelta(days=1))
    [stored] = warehouse.query("select count(*) as rows from recsys.list_rows")
    assert stored["rows"] == len(rows) + 20
    assert {row["reason"] for row in live_rows(warehouse, user=user_id(0))} == {"Because it is new."}
    assert {row["reason"] for row in live_rows(warehouse, user=user_id(1))} == {"Because made says so."}


def test_old_publications_are_archived_and_their_lists_removed(warehouse: Warehouse, settings: Settings) -> None:
    for day in range(6):
        put_live(warehouse, settings, f"p{day}", shift=day, day=day)
    assert settings.publication.keep == 3
    assert statuses(warehouse) == {
        "p0": "archived",
        "p1": "archived",
        "p2": "superseded",
        "p3": "superseded",
        "p4": "superseded",
        "p5": "live",
    }
    kept = warehouse.query("select distinct publication_id from recsys.publication_lists order by 1")
    assert [row["publication_id"] for row in kept] == ["p2", "p3", "p4", "p5"]
    orphans = warehouse.query(
        "select count(*) as n from recsys.list_rows as r where not exists (select 1 from recsys.publication_lists "
        "as l where l.subject_id = r.subject_id and l.list_hash = r.list_hash)"
    )
    assert orphans == [{"n": 0}]


def test_publications_are_kept_by_age_as_well_as_by_count(warehouse: Warehouse, settings: Settings) -> None:
    """Of seven, published a day apart: the three that ended last, and those that ended within four days."""
    aged = settings.model_copy(update={"publication": settings.publication.model_copy(update={"keep_days": 4})})
    for day in range(7):
        put_live(warehouse, aged, f"p{day}", shift=day, day=day)
    # p1 ended when p2 went live, four days before p6 did.
    assert {name for name, status in statuses(warehouse).items() if status == "archived"} == {"p0", "p1"}
    put_live(warehouse, aged, "p7", shift=7, day=60)
    kept = [name for name, status in statuses(warehouse).items() if status == "superseded"]
    assert sorted(kept) == ["p4", "p5", "p6"]


def test_a_publication_that_is_run_again_clears_up_but_leaves_what_another_staged(
    warehouse: Warehouse, settings: Settings
) -> None:
    generous = settings.model_copy(update={"publication": settings.publication.model_copy(update={"keep": 9})})
    for day in range(6):
        put_live(warehouse, generous, f"p{day}", shift=day, day=day)
    other = write_publication(settings.resolved_home / "files", "other", made_lists(shift=9))
    prepare(warehouse, settings, other, now=NOW + timedelta(days=6))
    put_live(warehouse, settings, "p5", shift=5, day=6)
    found = statuses(warehouse)
    assert (found["p0"], found["p1"], found["p2"], found["other"]) == ("archived", "archived", "superseded", "staged")


def test_the_last_publication_of_the_champion_before_is_kept(warehouse: Warehouse, settings: Settings) -> None:
    """Alias ``previous`` names version 1, so its lists outlive those that ended later."""
    put_live(warehouse, settings, "old")
    approve(warehouse, "2")
    for day in range(1, 7):
        put_live(warehouse, settings, f"p{day}", shift=day, day=day, version="2")
    found = statuses(warehouse)
    assert (found["old"], found["p1"], found["p2"]) == ("superseded", "archived", "archived")


def test_an_archived_publication_can_be_published_anew(warehouse: Warehouse, settings: Settings) -> None:
    for day in range(6):
        put_live(warehouse, settings, f"p{day}", shift=day, day=day)
    put_live(warehouse, settings, "p0", day=7)
    assert statuses(warehouse)["p0"] == "live"
    assert len(live_rows(warehouse)) == 320


def test_a_reader_sees_the_old_set_or_the_new_one(warehouse: Warehouse, settings: Settings) -> None:
    put_live(warehouse, settings, "p0")
    seen: set[str] = set()
    faults: list[object] = []
    begun, stop = threading.Event(), threading.Event()

    def read() -> None:
        is_last = False
        while not is_last:
            is_last = stop.is_set()
            rows = live_rows(warehouse)
            names = {row["publication_id"] for row in rows}
            reasons = {row["reason"] for row in rows}
            if len(names) != 1 or len(rows) != 320 or reasons != {f"Because {min(names)} says so."}:
                faults.append((len(rows), names, reasons))
            seen.update(names)
            begun.set()

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    begun.wait(60)
    try:
        for day in range(1, 7):
            put_live(warehouse, settings, f"p{day}", shift=day, day=day)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert faults == []
    assert len(seen) > 1


@hypothesis_settings(max_examples=6, deadline=None)
@given(order=st.permutations(range(12)), files=st.integers(1, 4), other=st.integers(0, 11))
def test_the_checksum_is_of_the_rows_not_of_their_files(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], files: int, other: int
) -> None:
    folder = tmp_path_factory.mktemp("lists")
    settings = make_settings(folder)
    rows = made_lists(users=1, length=4)

    def checksum(name: str, rows: list[dict[str, object]], files: int) -> str:
        publication = write_publication(folder, name, rows, files=files)
        with open_lists(settings, publication) as bench:
            return hash_lists(bench).checksum

    whole = checksum("whole", rows, 1)
    assert checksum("parts", [rows[n] for n in order], files) == whole
    changed = [{**row, "score": row["score"] + 1e-12} if n == other else row for n, row in enumerate(rows)]
    assert checksum("changed", changed, files) != whole
