"""What an interaction file is read as: by hand, and what is said of files that can't be used."""

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.errors import SourceError
from recsys.leave_one_out.interactions import Interactions, read_interactions
from recsys.settings import CandidateSettings
from tests.support.sequences import write_csv
from tests.support.warehouse import make_settings

NAMES = ("user_id", "item_id", "timestamp")
DAY = 86_400


def read(tmp_path: Path, file: Path, **arguments: Any) -> Interactions:
    folder = tmp_path / "folder"
    folder.mkdir()
    return read_interactions(make_settings(tmp_path), file, folder, **arguments)


def csv_file(tmp_path: Path, *rows: tuple[Any, ...], header: tuple[str, ...] = NAMES) -> Path:
    return write_csv(tmp_path / "events.csv", rows, header)


def events(found: Interactions) -> list[tuple[Any, ...]]:
    """Return (customer, item, when), by customer and time."""
    snapshot = found.snapshot
    with duckdb.connect() as connection:
        snapshot.attach(connection)
        return connection.execute(
            "select user_id, item_id, occurred_at from events join users using (user_idx) join items using (item_idx) "
            "order by user_id, occurred_at"
        ).fetchall()


def test_an_order_is_a_position_in_days(tmp_path: Path) -> None:
    file = csv_file(tmp_path, ("a", "x", 10), ("a", "y", 500), ("b", "x", 0), header=("user_id", "item_id", "order"))
    found = read(tmp_path, file)
    assert events(found) == [
        ("a", "x", datetime(2000, 1, 1)),
        ("a", "y", datetime(2000, 1, 2)),
        ("b", "x", datetime(2000, 1, 1)),
    ]
    assert not found.is_timed
    assert (found.counts["customers"], found.counts["items"], found.counts["events"]) == (2, 2, 3)


@pytest.mark.parametrize(
    "written",
    ["1577923200", "1577923200.0", "1577923200000", "1577923200000000", "2020-01-02", "2020-01-02T01:00:00+01:00"],
)
def test_times_are_read_as_people_write_them(tmp_path: Path, written: str) -> None:
    found = read(tmp_path, csv_file(tmp_path, ("a", "x", written)))
    assert events(found) == [("a", "x", datetime(2020, 1, 2))]


def test_what_happened_at_one_time_keeps_the_order_of_the_file(tmp_path: Path) -> None:
    file = csv_file(tmp_path, *(("a", item, 0) for item in "zyx"), ("a", "w", DAY), ("b", "x", 0))
    found = read(tmp_path, file)
    own = [(item, at) for user, item, at in events(found) if user == "a"]
    assert [item for item, _ in own] == list("zyxw")
    assert [at.microsecond for _, at in own] == [0, 1, 2, 0]
    assert found.counts["rows_at_one_time"] == 2


def test_times_grow_even_where_the_next_time_is_a_microsecond_away(tmp_path: Path) -> None:
    first, second = "2020-01-01 00:00:00", "2020-01-01 00:00:00.000001"
    file = csv_file(tmp_path, ("a", "x", first), ("a", "y", first), ("a", "z", first), ("a", "w", second))
    own = events(read(tmp_path, file))
    assert [item for _, item, _ in own] == list("xyzw")
    assert [at.microsecond for *_, at in own] == [0, 1, 2, 3]


def test_time_that_goes_back_in_the_file_is_sorted_and_counted(tmp_path: Path) -> None:
    file = csv_file(tmp_path, ("a", "x", 3 * DAY), ("b", "x", 5 * DAY), ("a", "y", DAY), ("b", "y", 6 * DAY))
    found = read(tmp_path, file)
    assert [(user, item) for user, item, _ in events(found)] == [("a", "y"), ("a", "x"), ("b", "x"), ("b", "y")]
    assert (found.counts["rows_back_in_time"], found.counts["customers_back_in_time"]) == (1, 1)


def test_rows_that_say_the_same_count_once(tmp_path: Path) -> None:
    file = csv_file(tmp_path, ("a", "x", 0), ("a", "x", 0), ("a", "x", DAY), ("b", "x", 0))
    found = read(tmp_path, file)
    assert [(user, item) for user, item, _ in events(found)] == [("a", "x"), ("a", "x"), ("b", "x")]
    assert found.counts["duplicate_rows"] == 1


def test_an_order_may_break_ties_of_the_timestamp(tmp_path: Path) -> None:
    file = csv_file(tmp_path, ("a", "x", 0, 2), ("a", "y", 0, 1), ("a", "z", DAY, 3), header=(*NAMES, "order"))
    assert [item for _, item, _ in events(read(tmp_path, file))] == list("yxz")


def test_an_order_that_contradicts_the_timestamp_names_the_customer(tmp_path: Path) -> None:
    file = csv_file(tmp_path, ("b", "x", 0, 1), ("a", "x", DAY, 1), ("a", "y", 0, 2), header=(*NAMES, "order"))
    with pytest.raises(SourceError, match=r"customer 'a' contradicts.*row 2 \(line 3\) has order 1 .*row 3.*order 2"):
        read(tmp_path, file)


def test_types_of_events_that_say_nothing_are_left_out(tmp_path: Path) -> None:
    rows = [("a", "x", 0, "view"), ("a", "y", 1, "Impression"), ("a", "z", 2, "purchase")]
    found = read(tmp_path, csv_file(tmp_path, *rows, header=(*NAMES, "event_type")))
    assert [item for _, item, _ in events(found)] == ["x", "z"]
    assert found.counts["rows_of_uncounted_types"] == 1
    assert found.counted_as_purchase is None


def test_without_a_purchase_the_strongest_type_stands_for_it(tmp_path: Path) -> None:
    rows = [("a", "x", 0, "view"), ("a", "y", 1, "rating")]
    found = read(tmp_path, csv_file(tmp_path, *rows, header=(*NAMES, "event_type")))
    assert found.counted_as_purchase == "rating"
    with duckdb.connect() as connection:
        found.snapshot.attach(connection)
        kinds = connection.execute("select event_type from events order by occurred_at").fetchall()
    assert kinds == [("view",), ("purchase",)]


def test_parquet_and_csv_are_read_alike(tmp_path: Path) -> None:
    rows = [("a", "x", 0), ("b", "y", DAY), ("a", "z", DAY)]
    table = pa.table(
        {
            "user_id": [row[0] for row in rows],
            "item_id": [row[1] for row in rows],
            "timestamp": pa.array([row[2] * 1_000_000 for row in rows], pa.timestamp("us")),
            "noise": [1, 2, 3],
        }
    )
    pq.write_table(table, tmp_path / "events.parquet")
    one = read(tmp_path, tmp_path / "events.parquet")
    (tmp_path / "folder").rename(tmp_path / "other")
    two = read(tmp_path, csv_file(tmp_path, *rows))
    one = Interactions(**{**one.__dict__, "snapshot": type(one.snapshot)(tmp_path / "other")})
    assert events(one) == events(two)


def test_other_delimiters_are_those_of_the_header(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user_id;item_id;order\na;x,1;0\n", encoding="utf-8")
    assert events(read(tmp_path, tmp_path / "events.csv")) == [("a", "x,1", datetime(2000, 1, 1))]


@pytest.mark.parametrize(
    ("header", "rows", "says"),
    [
        (("user_id", "order"), [("a", 1)], r"no column 'item_id'.*It has: user_id, order"),
        (("user_id", "item_id"), [("a", "x")], r"neither a column 'timestamp' nor 'order'"),
        (NAMES, [], r"holds no event"),
        (NAMES, [("a", "x", 0), ("", "x", 1), (" ", "x", 1)], r"row 2 \(line 3\): user_id is empty\. 1 more cells"),
        (NAMES, [("a", "", 0)], r"row 1 \(line 2\): item_id is empty"),
        (NAMES, [("a", "x", 0), ("a", "x", "soon")], r"row 2 \(line 3\): timestamp 'soon' is not a time"),
        (NAMES, [("a", "x", "")], r"timestamp is empty"),
        (("user_id", "item_id", "order"), [("a", "x", "first")], r"order 'first' is not a number"),
        ((*NAMES, "value"), [("a", "x", 0, "inf")], r"value 'inf' is not a finite number"),
        ((*NAMES, "value"), [("a", "x", 0, "good")], r"value 'good' is not a finite number"),
        ((*NAMES, "value"), [("a", "x", 0, "1e30")], r"value '1e30' lies outside"),
        ((*NAMES, "event_type"), [("a", "x", 0, "bought")], r"event_type 'bought' is none.*Known are view, cart"),
        ((*NAMES, "event_type"), [("a", "x", 0, "impression")], r"only events of the types impression"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(
    tmp_path: Path, header: tuple[str, ...], rows: list[tuple[Any, ...]], says: str
) -> None:
    with pytest.raises(SourceError, match=says):
        read(tmp_path, csv_file(tmp_path, *rows, header=header))


def test_files_that_are_no_tables_say_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no file"):
        read_interactions(make_settings(tmp_path), tmp_path / "none.csv", tmp_path)
    for name, content, says in (
        ("events.json", b"[]", "neither CSV nor Parquet"),
        ("events.csv", b"", "no column 'user_id', 'item_id'"),
        ("events.parquet", b"no parquet", "can't be read as Parquet"),
        ("events.tsv", b"user_id\titem_id\torder\na\tx\n", "can't be read"),
        ("latin.csv", "user_id,item_id,order\nä,x,1\n".encode("latin-1"), "can't be read"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match=says):
            read_interactions(make_settings(tmp_path), tmp_path / name, tmp_path)


def test_null_ids_of_a_parquet_file_are_named(tmp_path: Path) -> None:
    table = pa.table({"user_id": ["a", None], "item_id": ["x", "y"], "order": [1, 2]})
    pq.write_table(table, tmp_path / "events.parquet")
    with pytest.raises(SourceError, match=r"events.parquet, row 2: user_id is empty"):
        read(tmp_path, tmp_path / "events.parquet")


def test_the_item_file_may_lack_items_and_name_others(tmp_path: Path) -> None:
    file = csv_file(tmp_path, ("a", "x", 0), ("a", "y", 1), ("b", "z", 0), header=("user_id", "item_id", "order"))
    items = write_csv(
        tmp_path / "items.csv",
        [
            ("x", "Tea", "Drinks > Hot", "Leaf", "green", "0.5"),
            ("y", "", "", "", "", ""),
            ("q", "Unknown", "", "", "", ""),
            ("x", "Second", "", "", "", ""),
            ("", "Nobody", "", "", "", ""),
        ],
        ("item_id", "title", "category", "brand", "colour", "weight"),
    )
    found = read(tmp_path, file, items=items)
    with duckdb.connect() as connection:
        found.snapshot.attach(connection)
        rows = connection.execute("select item_id, title, category, brand from items order by item_idx").fetchall()
    assert rows == [("x", "Tea green 0.5", "Drinks > Hot", "Leaf"), ("y", "", "", ""), ("z", "", "", "")]
    assert found.has_attributes
    assert {name: found.counts[name] for name in found.counts if "item" in name and name != "items"} == {
        "item_rows": 5,
        "item_rows_without_id": 1,
        "duplicate_item_rows": 1,
        "unknown_items": 1,
        "items_not_in_file": 1,
        "items_without_attributes": 1,
    }


def test_an_item_file_without_item_id_is_named(tmp_path: Path) -> None:
    items = write_csv(tmp_path / "items.csv", [("x", "Tea")], ("id", "title"))
    with pytest.raises(SourceError, match=r"items.csv has no column 'item_id'.*It has: id, title"):
        read(tmp_path, csv_file(tmp_path, ("a", "x", 0)), items=items)


def test_which_types_count_is_a_setting(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, candidates=CandidateSettings(event_weights={"purchase": 1.0, "view": 0.0}))
    file = csv_file(tmp_path, ("a", "x", 0, "view"), ("a", "y", 0, "purchase"), header=(*NAMES, "event_type"))
    (tmp_path / "folder").mkdir()
    assert read_interactions(settings, file, tmp_path / "folder").counts["rows_of_uncounted_types"] == 1
