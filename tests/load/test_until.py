"""A load until a day holds what a full load knew before it, and nothing else."""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from recsys.errors import SettingsError, SourceError
from recsys.load import load_source
from recsys.settings import Settings
from tests.support.shops import COMPLETEJOURNEY, SAMPLE_CUSTOMERS, content, query

UNTIL = datetime(2017, 12, 5)
KNOWN = {
    "users": "created_at",
    "items": "created_at",
    "item_versions": "valid_from",
    "events": "occurred_at",
    "promotions": "known_at",
    "campaigns": "known_at",
    "coupons": "known_at",
    "redemptions": "redeemed_at",
}


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory, journey_files: Path) -> Settings:
    from tests.support.warehouse import make_settings

    settings = make_settings(tmp_path_factory.mktemp("earlier"))
    load_source(settings, COMPLETEJOURNEY, until=UNTIL.date(), data_dir=journey_files, customers=SAMPLE_CUSTOMERS)
    return settings


@pytest.mark.parametrize("table", KNOWN)
def test_it_equals_the_full_load_cut_at_the_day(table: str, journey: Settings, earlier: Settings) -> None:
    full = [json.loads(row) for row in content(journey, table)[table]]
    cut = [json.loads(row) for row in content(earlier, table)[table]]
    expected = [row for row in full if row[KNOWN[table]] < str(UNTIL)]
    if table in ("items", "item_versions"):
        # the price is the last one paid, so it is another one at another day; see the next test
        expected, cut = [_without_price(row) for row in expected], [_without_price(row) for row in cut]
    assert cut == expected
    assert 0 < len(cut) <= len(full)
    assert table == "users" or len(cut) < len(full)


def test_the_price_is_the_last_one_paid_before_the_day(journey: Settings, earlier: Settings) -> None:
    priced = query(
        journey,
        "select item_id, arg_max(price, (occurred_at, cast(basket_id as bigint))) as price from shop.events "
        f"where price is not null and occurred_at < timestamp '{UNTIL}' group by item_id order by item_id",
    )
    assert query(earlier, "select item_id, price from shop.items where price is not null order by item_id") == priced


def test_raw_tables_hold_nothing_later_either(earlier: Settings) -> None:
    for table, column in [
        ("transactions", "transaction_timestamp"),
        ("coupon_redemptions", "redemption_date"),
        ("campaign_descriptions", "start_date"),
    ]:
        [row] = query(earlier, f"select max({column}) as latest from raw_completejourney.{table}")
        assert row["latest"] < UNTIL, table
    [row] = query(earlier, "select max(week) as w from raw_completejourney.promotions")
    assert row["w"] == 49
    [row] = query(
        earlier,
        "select count(*) as n from raw_completejourney.products where product_id not in "
        "(select product_id from raw_completejourney.transactions)",
    )
    full = "select count(*) as n from raw_completejourney.products"
    assert query(earlier, full)[0]["n"] > row["n"]


@pytest.mark.parametrize(
    "until", ["2017-12-05", "2017-12-05T00:00:00", "2017-12-05T01:00:00+01:00", date(2017, 12, 5), UNTIL]
)
def test_a_day_may_be_written_in_several_ways(until: str | date, make_source: Any, settings: Settings) -> None:
    data = make_source("Id,Who,What,Many,Paid,Sold\n1,a,x,1,2,2017-12-04 23:59:59\n2,a,x,1,2,2017-12-05\n")
    report = load_source(settings, "play", data_dir=data, until=until)
    assert report.until == UNTIL
    assert query(settings, "select event_id from shop.events") == [{"event_id": "1"}]


def test_a_bad_day_is_named(settings: Settings) -> None:
    with pytest.raises(SettingsError, match=r"'2017-13-01' is no date"):
        load_source(settings, COMPLETEJOURNEY, until="2017-13-01")


def test_before_the_first_event_nothing_is_loaded_and_the_old_shop_stays(make_source: Any, settings: Settings) -> None:
    data = make_source("Id,Who,What,Many,Paid,Sold\n1,a,x,1,2,2017-12-04\n")
    load_source(settings, "play", data_dir=data)
    before = content(settings)
    with pytest.raises(SourceError, match=r"users\.sql gives no rows: nothing was changed.*--until"):
        load_source(settings, "play", data_dir=data, until="2010-01-01")
    assert content(settings) == before


def _without_price(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "price"}
