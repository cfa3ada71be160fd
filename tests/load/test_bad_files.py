"""Raw files that can't be used as they are: what is said, what is put aside, and that nothing is half-written."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from recsys.errors import SourceError
from recsys.load import load_source
from recsys.settings import Settings
from tests.load.conftest import PLAY
from tests.support.shops import query

HEADER = "Id,Who,What,Many,Paid,Sold\n"
GOOD = "1,a,x,1,2.5,2020-01-01\n2,b,y,2,3,2020-01-02 10:00\n3,,x,1,1,2020-01-03\n"
LATIN = PLAY["source_toml"].replace('file = "*.csv"', 'file = "*.csv"\nencoding = "latin-1"')
BERLIN = 'time_zone = "Europe/Berlin"' + PLAY["source_toml"]

Make = Callable[..., Path]


def quarantined(settings: Settings) -> list[tuple[str, dict[str, object]]]:
    rows = query(settings, 'select rule, "row" from shop.quarantine order by rule, cast("row" as text)')
    return [(row["rule"], row["row"]) for row in rows]


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("4,a,x,some,2,2020-01-04", "many is not a whole number"),
        ("4,a,x,1.5,2,2020-01-04", "many is not a whole number"),
        ("4,a,x,99999999999,2,2020-01-04", "many is not a whole number"),
        ("4,a,x,1,two,2020-01-04", "paid is not a number"),
        ("4,a,x,1,nan,2020-01-04", "paid is not a number"),
        ("4,a,x,1,2,yesterday", "sold is not a time"),
        ("4,a,x,1,2,2020-02-30", "sold is not a time"),
        ("4,a,x,1,2,", "sold is empty"),
        ("4,a,,1,2,2020-01-04", "what is empty"),
        ("  ,a,x,1,2,2020-01-04", "id is empty"),
    ],
)
def test_a_row_that_cannot_be_read_is_put_aside_with_its_reason(
    line: str, rule: str, make_source: Make, settings: Settings
) -> None:
    report = load_source(settings, "play", data_dir=make_source(HEADER + GOOD + line + "\n"))
    [(found, row)] = quarantined(settings)
    assert found == rule
    assert (row["file"], row["row"]) == ("data.csv", 4)
    assert row["cells"]["who"] == "a"
    [counted] = report.cleaning
    assert (counted.rule, counted.reason, counted.row_count) == ("unreadable", f"sales: {rule}", 1)
    assert report.rows["events"] == 3


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("4,a,x,1,2,2020-01-04,more", "the line is not CSV: too many columns"),
        ("4,a", "the line is not CSV: missing columns"),
        ('4,"a"b,x,1,2,2020-01-04', "the line is not CSV: unquoted value"),
    ],
)
def test_a_line_that_is_no_csv_is_put_aside(line: str, rule: str, make_source: Make, settings: Settings) -> None:
    data = make_source(f"{HEADER}{line}\n{GOOD}")
    report = load_source(settings, "play", data_dir=data)
    [(found, row)] = quarantined(settings)
    assert found == rule
    assert (row["file"], row["line"], row["text"]) == ("data.csv", 2, line)
    assert report.rows["events"] == 3


def test_an_open_quote_stops_the_load_and_tells_the_line(make_source: Make, settings: Settings) -> None:
    data = make_source(HEADER + GOOD + '4,"a,x,1,2,2020-01-04\n' + GOOD.replace("\n", "\n") * 3)
    with pytest.raises(SourceError, match=r"data\.csv: the quote opened in line 5 is never closed"):
        load_source(settings, "play", data_dir=data)


def test_too_many_unreadable_rows_stop_the_load_and_are_summed_up(make_source: Make, settings: Settings) -> None:
    load_source(settings, "play", data_dir=make_source(HEADER + GOOD))
    bad = "".join(f"{n},a,x,many,1,2020-01-04\n" for n in range(4, 9))
    with pytest.raises(SourceError) as caught:
        load_source(settings, "play", data_dir=make_source(HEADER + GOOD + bad + "9,a,x,1,1,never\n"))
    message = str(caught.value)
    assert "66.7% of the rows of the raw table 'sales' can't be read, more than the 40%" in message
    assert "5 rows: many is not a whole number; for example" in message
    assert '"many":"many"' in message
    assert "1 rows: sold is not a time" in message
    assert query(settings, "select count(*) as n from shop.events") == [{"n": 3}]
    assert quarantined(settings) == []


@pytest.mark.parametrize(
    ("csv", "says"),
    [
        ("Id,Who,What,Many,Sold\n", r"data\.csv has no column 'Paid'.* It has: Id, Who, What, Many, Sold"),
        ("id;Who\n", "no column 'Id', 'Who', .*It has: id;Who"),
        ("", "It has: no line at all"),
        (HEADER, r"users\.sql gives no rows"),
        (b"\xff\xfe\x00bad", "can't be read as utf-8"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    csv: str | bytes, says: str, make_source: Make, settings: Settings
) -> None:
    with pytest.raises(SourceError, match=says):
        load_source(settings, "play", data_dir=make_source(csv))


@pytest.mark.parametrize(
    "csv",
    [
        "\ufeff" + HEADER + GOOD,
        (HEADER + GOOD).replace("\n", "\r\n"),
        (HEADER + GOOD).rstrip("\n"),
        (HEADER + GOOD)
        .replace("Many,", "Comment,Many,")
        .replace(",x,1", ',x,"a ""quoted"",\nword",1')
        .replace(",y,", ",y,,"),
        (HEADER + GOOD).replace("1,a,x,1,2.5", " 1 , a , x , 1 , 2.5 "),
    ],
    ids=["byte order mark", "Windows ends of lines", "no last end", "another column", "blanks"],
)
def test_harmless_differences_are_read(csv: str, make_source: Make, settings: Settings) -> None:
    load_source(settings, "play", data_dir=make_source(csv))
    rows = query(settings, "select id, who, what, many, paid, sold from raw_play.sales order by id")
    assert [tuple(row.values()) for row in rows] == [
        ("1", "a", "x", 1, 2.5, datetime(2020, 1, 1)),
        ("2", "b", "y", 2, 3.0, datetime(2020, 1, 2, 10)),
        ("3", None, "x", 1, 1.0, datetime(2020, 1, 3)),
    ]
    assert quarantined(settings) == []


def test_another_encoding_is_declared(make_source: Make, settings: Settings) -> None:
    data = make_source((HEADER + GOOD.replace(",x,", ",café,")).encode("latin-1"), source_toml=LATIN)
    load_source(settings, "play", data_dir=data)
    assert query(settings, "select count(*) as n from shop.items where title = 'café'") == [{"n": 1}]


def test_naive_times_are_of_the_declared_zone_and_offsets_are_kept(make_source: Make, settings: Settings) -> None:
    data = make_source(
        HEADER + "1,a,x,1,1,2020-01-01 12:00\n2,a,x,1,1,2020-07-01 12:00\n3,a,x,1,1,2020-07-01T12:00:00Z\n"
        "4,a,x,1,1,2020-07-01 12:00:00+03:00\n",
        source_toml=BERLIN,
    )
    load_source(settings, "play", data_dir=data)
    rows = query(settings, "select occurred_at from shop.events order by event_id")
    assert [row["occurred_at"] for row in rows] == [
        datetime(2020, 1, 1, 11),
        datetime(2020, 7, 1, 10),
        datetime(2020, 7, 1, 12),
        datetime(2020, 7, 1, 9),
    ]
    assert query(settings, "select time_zone from shop.sources") == [{"time_zone": "Europe/Berlin"}]


@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_parquet_is_checked_too(zone: str | None, make_source: Make, settings: Settings, tmp_path: Path) -> None:
    make_source("", source_toml=BERLIN.replace("*.csv", "*.parquet"))
    frame = pd.DataFrame(
        {
            "Id": [1, 2, 3],
            "Who": ["a", "b", None],
            "What": ["x", "y", "x"],
            "Many": ["1", "two", "3"],
            "Paid": [2.5, float("nan"), 1.0],
            "Sold": pd.to_datetime(["2020-07-01 12:00"] * 3).tz_localize(zone),
        }
    )
    folder = tmp_path / "parquet"
    folder.mkdir()
    frame.to_parquet(folder / "sales.parquet")
    load_source(settings, "play", data_dir=folder)
    hour = {None: 10, "UTC": 12, "America/New_York": 16}[zone]
    assert query(settings, "select id, many, paid, sold from raw_play.sales order by id") == [
        {"id": "1", "many": 1, "paid": 2.5, "sold": datetime(2020, 7, 1, hour)},
        {"id": "3", "many": 3, "paid": 1.0, "sold": datetime(2020, 7, 1, hour)},
    ]
    assert sorted(rule for rule, _ in quarantined(settings)) == ["many is not a whole number"]


def test_several_files_make_one_table(make_source: Make, settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "several"
    folder.mkdir()
    make_source("")
    (folder / "a.csv").write_text(HEADER + GOOD)
    # the same columns in another order
    (folder / "b.csv").write_text("Sold,Paid,Many,What,Who,Id\n2020-01-05,1,one,z,c,4\n2020-01-06,1,1,z,c,5\n")
    report = load_source(settings, "play", data_dir=folder)
    assert report.rows["events"] == 4
    [(_, row)] = quarantined(settings)
    assert (row["file"], row["row"]) == ("b.csv", 1)


def test_events_that_break_a_rule_are_put_aside_and_counted(make_source: Make, settings: Settings) -> None:
    events = PLAY["events_sql"].replace("id as event_id", "case when id = '7' then null else id end as event_id")
    events = events.replace("'purchase'", "case when what = 'odd' then 'gaze' else 'purchase' end")
    events = events.replace("who as user_id", "case when who = 'nobody' then 'n' else who end as user_id")
    data = make_source(
        HEADER + GOOD + "4,a,ghost,1,1,2020-01-04\n5,a,odd,1,1,2020-01-04\n6,nobody,x,1,1,2020-01-04\n"
        "7,a,x,1,1,2020-01-04\n3,a,y,1,1,2020-01-09\n",
        events_sql=events,
    )
    report = load_source(settings, "play", data_dir=data)
    assert [rule for rule, _ in quarantined(settings)] == [
        "event_id is empty",
        "event_type is none of those known",
        "the customer is missing from users",
        "the item is missing from items",
    ]
    counted = {row.reason: row.row_count for row in report.cleaning}
    assert counted["the item is missing from items (item ghost)"] == 1
    assert counted["events with the same event_id, kept once"] == 1
    rows = query(settings, "select event_id, item_id, bucket from shop.events order by event_id")
    assert [(row["event_id"], row["item_id"]) for row in rows] == [("1", "x"), ("2", "y"), ("3", "x")]
    assert [row["bucket"] for row in rows][2] == -1


def test_when_no_event_is_left_the_reasons_are_listed(make_source: Make, settings: Settings) -> None:
    data = make_source(HEADER + GOOD, events_sql=PLAY["events_sql"].replace("'purchase'", "'gaze'"))
    with pytest.raises(SourceError, match=r"events\.sql gives no rows.*\n  3 rows: event_type is none of those known"):
        load_source(settings, "play", data_dir=data)


def test_a_missing_file_says_what_is_there(make_source: Make, settings: Settings, tmp_path: Path) -> None:
    make_source(HEADER + GOOD)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.md").write_text("x")
    with pytest.raises(
        SourceError, match=r"No file '\*\.csv' for the raw table 'sales' in .*other \(it holds notes.md"
    ):
        load_source(settings, "play", data_dir=tmp_path / "other")
    with pytest.raises(SourceError, match="there is no such folder"):
        load_source(settings, "play", data_dir=tmp_path / "nowhere")
    with pytest.raises(SourceError, match=r"notes\.md is neither CSV nor Parquet"):
        load_source(settings, "play", data_dir=tmp_path / "other" / "notes.md")
    with pytest.raises(SourceError, match="is one file, but 'completejourney' has 8 tables"):
        load_source(settings, "completejourney", data_dir=tmp_path / "data.csv")


def test_a_damaged_parquet_file_is_named(settings: Settings, tmp_path: Path, journey_files: Path) -> None:
    for path in journey_files.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "products.parquet").unlink()
    (tmp_path / "products.parquet").write_bytes(b"PAR1 not really PAR1")
    with pytest.raises(SourceError, match=r"raw table 'products' can't be read: .*products\.parquet"):
        load_source(settings, "completejourney", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("title = ", "is not TOML"),
        (PLAY["source_toml"].replace("integer", "number"), r"tables\.sales\.columns\.many\.type"),
        ('time_zone = "Mars/Olympus"' + PLAY["source_toml"], "unknown time zone 'Mars/Olympus'"),
        ("colour = 1" + PLAY["source_toml"], "colour"),
        ("title = 'x'", "tables"),
        ("has_item_history = true" + PLAY["source_toml"], r"item_versions\.sql must be there"),
        ('steps = ["lines"]' + PLAY["source_toml"], r"lacks lines\.sql"),
        (PLAY["source_toml"] + '[customers]\ntable = "sales"\ncolumn = "whom"', "no column 'whom'"),
        ('package = "no_such_package"' + PLAY["source_toml"], r"pip install no-such-package"),
    ],
)
def test_a_source_that_cannot_be_used_is_named(toml: str, says: str, make_source: Make, settings: Settings) -> None:
    make_source(HEADER + GOOD, source_toml=toml)
    with pytest.raises(SourceError, match=says):
        load_source(settings, "play")


@pytest.mark.parametrize("name", ["nothing", "_load", "../play", "Play", ""])
def test_an_unknown_source_lists_the_known(name: str, make_source: Make, settings: Settings) -> None:
    make_source(HEADER + GOOD)
    with pytest.raises(SourceError, match="Known: completejourney, orders, play"):
        load_source(settings, name)
