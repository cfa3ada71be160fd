"""Loading a file of rules: whole or not at all, with every failure told at once; and what a snapshot takes of them."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from recsys.errors import SourceError
from recsys.knowledge.files import COLUMNS
from recsys.knowledge.loading import Loaded, holds, load_rules, next_moment, written_rules
from recsys.settings import Settings
from recsys.snapshot import Snapshot, take_snapshot
from recsys.warehouse import open_warehouse
from tests.support.planted import NOW, Event, Version, parquet_rows, run_sql, write_shop

FIRST = datetime(2024, 5, 1)
NEWEST = datetime(2024, 12, 1, 9, 30)
GOOD = """rule_id,kind,item_id,brand,category,other_item_id,other_brand,other_category,weight,placement,reason
a,goes_with,printer,,,toner,,,2.5,,the only one that fits
b,replaces,,Acme,,,,Office > Supplies,,discover,
"""


@pytest.fixture
def shop(settings: Settings) -> Settings:
    items = [
        Version("printer", category="Office > Printers", brand="Acme"),
        Version("toner", category="Office > Supplies > Toner", brand="Other"),
    ]
    write_shop(
        settings, users=["ann"], items=items, events=[Event("ann", "printer", FIRST), Event("ann", "printer", NEWEST)]
    )
    return settings


def load(settings: Settings, text: str, *, append: bool = False, now: datetime = NOW) -> Loaded:
    path = settings.resolved_home / "rules.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    with open_warehouse(settings, purpose="test") as warehouse:
        return load_rules(warehouse, settings, path, append=append, created_by="anna", now=now)


def stored(settings: Settings) -> list[dict[str, Any]]:
    with open_warehouse(settings, purpose="test") as warehouse:
        return written_rules(warehouse)


def refused(settings: Settings, text: str, *, append: bool = False) -> list[str]:
    """Return the lines of the error; nothing may have changed."""
    before = stored(settings)
    with pytest.raises(SourceError) as caught:
        load(settings, text, append=append)
    assert stored(settings) == before
    return [line.strip() for line in str(caught.value).splitlines()]


def test_rules_are_stored_as_they_were_written(shop: Settings) -> None:
    assert load(shop, GOOD) == Loaded(rows=2, removed=0)
    nothing = dict.fromkeys(COLUMNS) | {"created_by": "anna", "known_at": NEWEST, "weight": 1.0}
    assert stored(shop) == [
        {
            **nothing,
            "rule_id": "a",
            "kind": "goes_with",
            "item_id": "printer",
            "other_item_id": "toner",
            "weight": 2.5,
            "reason": "the only one that fits",
        },
        {
            **nothing,
            "rule_id": "b",
            "kind": "replaces",
            "brand": "Acme",
            "other_category": "Office > Supplies",
            "placement": "discover",
        },
    ]


def test_a_load_takes_the_place_of_all_rules_or_adds_to_them(shop: Settings) -> None:
    load(shop, GOOD)
    assert load(shop, "rule_id,kind,brand\nc,boost,Acme\n", append=True) == Loaded(rows=1, removed=0)
    assert [row["rule_id"] for row in stored(shop)] == ["a", "b", "c"]
    assert load(shop, "rule_id,kind,brand\na,boost,Acme\n") == Loaded(rows=1, removed=3)
    assert [(row["rule_id"], row["kind"]) for row in stored(shop)] == [("a", "boost")]
    assert load(shop, GOOD) == load(shop, GOOD.replace("2.5", "3")).__class__(rows=2, removed=1)
    assert load(shop, "rule_id,kind\n") == Loaded(rows=0, removed=2)
    assert stored(shop) == []


def test_times_are_utc_and_seasons_days(shop: Settings) -> None:
    load(
        shop,
        "rule_id,kind,brand,starts_at,ends_at,known_at,season_from,season_to,created_by\n"
        "a,boost,Acme,2025-01-02,2025-01-03T01:30+02:00,2024-06-01T08:00,12-01,01-06,bea\n",
    )
    [row] = stored(shop)
    assert (row["starts_at"], row["ends_at"]) == (datetime(2025, 1, 2), datetime(2025, 1, 2, 23, 30))
    assert row["known_at"] == datetime(2024, 6, 1, 8)
    assert (row["season_from"], row["season_to"], row["created_by"]) == ("12-01", "01-06", "bea")


def test_every_failure_of_a_file_is_told_at_once_and_nothing_is_changed(shop: Settings) -> None:
    load(shop, GOOD)
    sides = "item_id,brand,category,other_item_id,other_category"
    header = f"rule_id,kind,{sides},weight,placement,starts_at,ends_at,season_from,season_to\n"
    bad = """\
,boost,,Acme,,,,,,,,,
x,marries,printer,,,toner,,,,,,,
a,goes_with,scanner,,,,Office > Stationery,,,,,,
a,goes_with,printer,Acme,,,,0,,,,,
c,boost,,Nobody,,toner,,nan,,,,,
d,boost,,Acme,,,,heavy,sidebar,2025-02-01,2025-02-01,,
e,boost,,Acme,,,,,,soon,,02-30,03-01
f,boost,,Acme,,,,-1,,,,1 May,
g,never_together,printer,,,printer,,,,,,,05-01
h,boost,,Acme
i,boost,,Acme,Office,,,inf,,,,,
"""
    told = refused(shop, header + bad)
    assert told[0].endswith("rules.csv can't be loaded, and nothing was changed:")
    sides = "exactly one of item_id, brand, category"
    others = "other_item_id, other_brand, other_category"
    number = "is not above zero and finite; write for example 1.5, and leave out what shall not count."
    assert told[1:] == [
        "line 2, rule_id: it is empty; give the rule a name of its own.",
        "line 3, kind: 'marries' is none of goes_with, replaces, never_together, boost.",
        "line 4, item_id: the shop has no item 'scanner'.",
        "line 4, other_category: the shop has no category 'Office > Stationery'.",
        f"line 5, weight: '0' {number}",
        f"line 5, item_id: a rule of the kind 'goes_with' has {sides}, this one has item_id and brand.",
        f"line 5, other_item_id: a rule of the kind 'goes_with' has exactly one of {others}, this one has none.",
        "line 5, rule_id: 'a' stands in line 4 already.",
        f"line 6, weight: 'nan' {number}",
        "line 6, brand: the shop has no brand 'Nobody'.",
        f"line 6, other_item_id: a rule of the kind 'boost' has none of {others}, this one has other_item_id.",
        "line 7, weight: 'heavy' is not a number; write for example 1.5.",
        "line 7, ends_at: 2025-02-01 00:00:00 is not after starts_at 2025-02-01 00:00:00.",
        "line 7, placement: there is no 'sidebar'; there are discover, for_you.",
        "line 8, starts_at: 'soon' is neither a date such as 2025-12-01 nor a time such as 2025-12-01T06:00 (UTC).",
        "line 8, season_from: '02-30' is no day of a year; write MM-DD, for example 12-24.",
        f"line 9, weight: '-1' {number}",
        "line 9, season_from: '1 May' is no day of a year; write MM-DD, for example 12-24.",
        "line 9, season_to: a season has both a first and a last day, as MM-DD.",
        "line 10, other_item_id: it is the same product as item_id.",
        "line 10, season_from: a season has both a first and a last day, as MM-DD.",
        "line 11: 4 cells, not 13; put text with a comma in quotes.",
        f"line 12, weight: 'inf' {number}",
        f"line 12, item_id: a rule of the kind 'boost' has {sides}, this one has brand and category.",
    ]


def test_an_appended_rule_must_not_be_there_yet(shop: Settings) -> None:
    load(shop, GOOD)
    told = refused(shop, "rule_id,kind,brand\nb,boost,Acme\n", append=True)
    assert told[1:] == ["line 2, rule_id: 'b' is in the warehouse already: choose another, or load without --append."]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind,brand\nboost,Acme\n", "lacks 'rule_id'"),
        ("", "lacks 'rule_id', 'kind'"),
        ("rule_id,kind,bramd\na,boost,Acme\n", "has unknown 'bramd'. The columns are: rule_id, kind, item_id"),
        ("rule_id,kind,brand,brand\na,boost,Acme,Acme\n", "repeats 'brand'"),
        ('rule_id,kind,brand\na,boost,"Acme\n', "can't be read as a CSV file"),
    ],
)
def test_a_file_that_is_no_table_of_rules_is_refused(shop: Settings, text: str, message: str) -> None:
    load(shop, GOOD)
    assert message in " ".join(refused(shop, text))


def test_a_file_that_is_not_there_is_named(shop: Settings, tmp_path: Path) -> None:
    with open_warehouse(shop, purpose="test") as warehouse, pytest.raises(SourceError, match=r"nowhere\.csv can't be"):
        load_rules(warehouse, shop, tmp_path / "nowhere.csv", append=False, created_by="anna", now=NOW)


def test_the_next_publication_keeps_to_what_is_loaded_now_however_old_the_shop_is(shop: Settings) -> None:
    load(shop, "rule_id,kind,brand\na,boost,Acme\n")
    with open_warehouse(shop, purpose="test") as warehouse:
        at = next_moment(warehouse, shop, NOW)
    snapshot = Snapshot.open(take_snapshot(shop, as_of="latest", now=NOW).uri)
    assert snapshot.as_of == at
    [row] = stored(shop)
    assert holds(row, at)
    assert not holds(row, NEWEST)
    assert not holds({**row, "ends_at": at}, at)


def test_a_rule_is_known_now_if_events_lie_ahead(shop: Settings) -> None:
    load(shop, "rule_id,kind,brand\na,boost,Acme\n", now=datetime(2024, 12, 1, 9, 10))
    assert stored(shop)[0]["known_at"] == datetime(2024, 12, 1, 9, 10)


def test_a_snapshot_takes_the_rules_known_before_it_and_is_named_by_them(shop: Settings) -> None:
    def taken(as_of: str = "latest") -> Snapshot:
        return Snapshot.open(take_snapshot(shop, as_of=as_of, now=NOW).uri)

    without = taken()
    assert without.manifest["rows"]["item_rules"] == 0
    load(shop, GOOD + "c,boost,printer,,,,,,,,\n")
    snapshot = taken()
    assert snapshot.snapshot_id != without.snapshot_id
    found = parquet_rows(
        "select rule_id, item_idx, brand, other_item_idx, other_category, weight, placement, known_at "
        "from read_parquet($file)",
        file=str(snapshot.item_rules),
    )
    assert found == [
        ("a", 0, None, 1, None, 2.5, None, NEWEST),
        ("b", None, "Acme", None, "Office > Supplies", 1.0, "discover", NEWEST),
        ("c", 0, None, None, None, 1.0, None, NEWEST),
    ]
    assert taken(NEWEST.isoformat()).manifest["rows"]["item_rules"] == 0, "known at this very moment is not before it"
    load(shop, "rule_id,kind\n")
    assert taken().snapshot_id == without.snapshot_id


def test_why_and_who_are_no_part_of_the_content(shop: Settings) -> None:
    load(shop, GOOD)
    first = take_snapshot(shop, as_of="latest", now=NOW)
    run_sql(shop, "update shop.item_rules set reason = 'another', created_by = 'bob'")
    assert take_snapshot(shop, as_of="latest", now=NOW).reused
    assert first.path.is_dir()


def test_the_warehouse_itself_refuses_what_is_no_rule(shop: Settings) -> None:
    insert = "insert into shop.item_rules (rule_id, kind, brand, weight, created_by, known_at) values "
    for values in ("('a', 'marries', 'Acme', 1, 'x', timestamp '2024-01-01')", "('a', 'boost', 'Acme', 0, 'x', now())"):
        with pytest.raises(Exception, match=r"item_rules"):
            run_sql(shop, insert + values)
    assert stored(shop) == []


BOTH = "rule_id,kind,item_id,brand,other_item_id,other_brand,placement,starts_at,ends_at,season_from,season_to\n"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("printer,,toner,,,,,,", "toner,,printer,,,,,,"),
        ("printer,,,Other,,,,,", ",Other,printer,,discover,,,,"),
        ("printer,,toner,,,2025-01-01,2025-03-01,,", "toner,,printer,,,2025-02-28,,,"),
        ("printer,,toner,,,,,11-15,01-06", "toner,,printer,,,,,01-06,02-01"),
    ],
)
def test_two_products_that_replace_each_other_are_refused(shop: Settings, first: str, second: str) -> None:
    told = (
        "replace each other's products at the same time, which would hide both: keep one of them, or give them periods "
        "or placements of their own."
    )
    assert refused(shop, f"{BOTH}a,replaces,{first}\nb,replaces,{second}\n")[1:] == [f"rule 'b' and rule 'a' {told}"]
    load(shop, f"{BOTH}a,replaces,{first}\n")
    later = f"rule 'b' and rule 'a' of the warehouse {told}"
    assert refused(shop, f"{BOTH}b,replaces,{second}\n", append=True)[1:] == [later]


def test_products_that_replace_each_other_one_after_the_other_or_elsewhere_are_no_contradiction(shop: Settings) -> None:
    rules = [
        "a,replaces,printer,,toner,,for_you,,,,",
        "b,replaces,toner,,printer,,discover,,2025-03-01,,",
        "c,replaces,printer,,toner,,discover,2025-03-01,,11-15,01-06",
        "d,replaces,toner,,printer,,discover,2025-03-01,,01-07,11-14",
        "e,goes_with,toner,,printer,,,,,,",
        "f,goes_with,printer,,toner,,,,,,",
    ]
    assert load(shop, BOTH + "\n".join(rules)) == Loaded(rows=6, removed=0)
