"""The demo shop's mapping, against numbers worked out from the package's files without the platform."""

from datetime import datetime
from hashlib import md5
from pathlib import Path

import pandas as pd
import pytest

from recsys.buckets import bucket_of
from recsys.load import find_source, load_source
from recsys.settings import Settings
from tests.support.shops import COMPLETEJOURNEY, SAMPLE_CUSTOMERS, query
from tests.support.warehouse import make_settings

NO_GOODS = {"FUEL", "COUPON", "MISCELLANEOUS"}
NO_GOODS_CATEGORIES = {"COUPON/MISC ITEMS", "COUPONS/STORE & MFG", "COUPON", "FUEL", "MISCELLANEOUS"}


@pytest.fixture(scope="module")
def raw() -> dict[str, pd.DataFrame]:
    folder = find_source(COMPLETEJOURNEY).data_folder()
    return {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("transactions", "products", "coupons")}


@pytest.fixture(scope="module")
def lines(raw: dict[str, pd.DataFrame], journey: Settings) -> pd.DataFrame:
    """The till's lines of the loaded customers, beside their products."""
    households = [int(row["user_id"]) for row in query(journey, "select user_id from shop.users")]
    mine = raw["transactions"][raw["transactions"]["household_id"].isin(households)]
    joined = mine.merge(raw["products"], on="product_id", how="left", indicator="in_products")
    joined["goods"] = (
        joined["product_category"].notna()
        & joined["department"].notna()
        & ~joined["department"].isin(NO_GOODS)
        & ~joined["product_category"].isin(NO_GOODS_CATEGORIES)
    )
    return joined


def cleaning(settings: Settings) -> dict[str, int]:
    return {row["rule"]: row["row_count"] for row in query(settings, "select rule, row_count from shop.cleaning")}


def test_the_sample_of_customers_is_stable_whole_and_spread(
    raw: dict[str, pd.DataFrame], lines: pd.DataFrame, journey: Settings
) -> None:
    households = raw["transactions"]["household_id"].unique()
    drawn = sorted((md5(f"sample of {h}".encode()).hexdigest(), str(h)) for h in households)[:SAMPLE_CUSTOMERS]
    expected = sorted((bucket_of("recsys", household), household) for _, household in drawn)
    rows = query(journey, "select bucket, user_id from shop.users order by bucket, user_id")
    assert [(row["bucket"], row["user_id"]) for row in rows] == expected
    assert any(row["bucket"] >= 2048 for row in rows)
    assert any(row["bucket"] < 2048 for row in rows)
    [row] = query(journey, "select count(*) as n, sum(value) as v, min(bucket) as low from shop.events")
    bought = lines[lines["quantity"] > 0]
    assert row["n"] == len(bought)
    assert row["v"] == pytest.approx(bought["sales_value"].sum())
    assert row["low"] == expected[0][0]


def test_what_cleaning_counts(raw: dict[str, pd.DataFrame], lines: pd.DataFrame, journey: Settings) -> None:
    bought = lines[lines["quantity"] > 0]
    price = bought["sales_value"] / bought["quantity"]
    by_volume = (bought["quantity"] > 48) & ~bought["goods"]
    items = lines.drop_duplicates("product_id")
    uncategorised = items["product_category"].isna() | items["department"].isna()
    coupons = raw["coupons"].drop_duplicates()
    known = coupons["product_id"].isin(lines["product_id"])
    counted = cleaning(journey)
    promotions = query(journey, "select count(*) as n from raw_completejourney.promotions")[0]["n"]
    kept = query(journey, "select count(*) as n from shop.promotions")[0]["n"]
    assert counted == {
        "duplicate_lines": int(lines.duplicated(["basket_id", "product_id"]).sum()),
        "non_positive_quantity": int((lines["quantity"] <= 0).sum()),
        "returns": int((lines["quantity"] < 0).sum()),
        "free_purchase": int((bought["sales_value"] <= 0).sum()),
        "sold_by_volume": int(by_volume.sum()),
        "quantity_outlier": int(((bought["quantity"] > 48) & bought["goods"]).sum()),
        "price_outlier": int((((price < 0.01) | (price > 300)) & (bought["sales_value"] > 0) & ~by_volume).sum()),
        "non_merchandise": int((~items["goods"] & ~uncategorised).sum()),
        "uncategorised": int(uncategorised.sum()),
        "missing_title": int(items["product_type"].isna().sum()),
        "duplicate_coupons": len(raw["coupons"]) - len(coupons),
        "coupons_of_unseen_products": int((~known).sum()),
        "promotions_of_unseen_products": promotions - kept,
    }
    # a sample in which the classes that matter are not all empty
    assert counted["non_positive_quantity"] > 0
    assert counted["sold_by_volume"] > 0
    assert counted["uncategorised"] > 0
    assert kept > 0


def test_only_goods_with_a_category_are_recommendable(lines: pd.DataFrame, journey: Settings) -> None:
    rows = query(journey, "select item_id, recommendable, created_at, category, title from shop.items")
    items = lines.groupby("product_id").agg(goods=("goods", "first"), first=("transaction_timestamp", "min"))
    assert {row["item_id"] for row in rows} == set(items.index.astype(str))
    for row in rows:
        assert row["recommendable"] == bool(items.loc[int(row["item_id"]), "goods"])
        assert row["created_at"] == items.loc[int(row["item_id"]), "first"].to_pydatetime()
        assert row["title"].strip() == row["title"] != ""
        assert not row["recommendable"] or row["category"].count(" > ") >= 1


def test_titles_and_categories_are_readable(journey_files: Path, tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    load_source(settings, COMPLETEJOURNEY, data_dir=journey_files, customers=300, promotions=False)
    rows = query(
        settings,
        "select title, category, brand from shop.items where item_id in ('1000050', '1082185') order by item_id",
    )
    assert [tuple(row.values()) for row in rows] == [
        ("Kids Cereal, 14.5 oz, no. 1000050", "Grocery > Cold Cereal > Kids Cereal", "National 1046"),
        ("Bananas, 40 lb, no. 1082185", "Produce > Tropical Fruit > Bananas", "National 2"),
    ]


def test_promotions_have_their_weeks_and_are_known_no_earlier_than_their_item(journey: Settings) -> None:
    rows = query(
        journey,
        "select distinct starts_at, ends_at from shop.promotions order by starts_at",
    )
    assert [(row["starts_at"], row["ends_at"]) for row in rows][:2] == [
        (datetime(2017, 1, 2, 5), datetime(2017, 1, 9, 5)),
        (datetime(2017, 7, 17, 5), datetime(2017, 7, 24, 5)),
    ]
    [row] = query(
        journey,
        "select count(*) as n, sum(case when known_at = greatest(starts_at, created_at) then 1 else 0 end) as good, "
        "count(distinct promotion_id) as ids from shop.promotions join shop.items using (item_id)",
    )
    assert row["n"] == row["good"] == row["ids"] > 0
    kinds = {row["kind"].split()[0] for row in query(journey, "select distinct kind from shop.promotions")}
    assert kinds == {"display", "mailer"}


def test_the_calendar_agrees_with_the_weeks_of_the_tills(raw: dict[str, pd.DataFrame]) -> None:
    # the shop's week changes at 04:00 or 05:00 UTC: by 05:00 it has, at 04:00 it hasn't begun too early
    lines = raw["transactions"]
    starts = pd.Timestamp("2016-12-26 05:00") + (lines["week"] - 1) * pd.Timedelta(days=7)
    assert (lines["transaction_timestamp"] >= starts - pd.Timedelta(hours=1)).all()
    assert (lines["transaction_timestamp"] < starts + pd.Timedelta(days=7)).all()


def test_capped_and_by_volume_lines_keep_what_the_till_said(journey: Settings) -> None:
    rows = query(journey, "select quantity, price, attributes from shop.events where attributes is not null")
    assert rows
    for row in rows:
        assert row["attributes"]["till_quantity"] > 48
        assert row["quantity"] in (1, 48)
        assert (row["price"] is None) or row["quantity"] == 48


def test_customers_without_demographics_are_in_the_segment_unknown(journey: Settings) -> None:
    rows = query(journey, "select user_id, attributes from shop.users")
    described = {
        row["user_id"]
        for row in query(
            journey, "select cast(household_id as varchar) as user_id from raw_completejourney.demographics"
        )
    }
    assert 0 < len(described) < len(rows)
    for row in rows:
        assert (row["attributes"]["segment"] == "unknown") == (row["user_id"] not in described)


def test_references_hold(journey: Settings) -> None:
    for table, key in [("events", "item_id"), ("coupons", "item_id"), ("promotions", "item_id")]:
        missing = f"select count(*) as n from shop.{table} where {key} not in (select {key} from shop.items)"
        assert query(journey, missing) == [{"n": 0}], table
    for table in ("events", "campaigns", "redemptions"):
        missing = f"select count(*) as n from shop.{table} where user_id not in (select user_id from shop.users)"
        assert query(journey, missing) == [{"n": 0}], table
    assert query(journey, "select count(*) as n from shop.item_versions") == query(
        journey, "select count(*) as n from shop.items"
    )


def test_the_whole_shop(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, memory_limit_gb=2.0)
    report = load_source(settings, COMPLETEJOURNEY, promotions=False)
    assert report.rows["users"] == 2469
    assert report.rows["events"] == 1_469_307 - 8869
    assert report.rows["promotions"] == 0
    late = query(settings, "select count(*) as n from shop.items where created_at >= timestamp '2017-12-05'")
    assert late == [{"n": 2637}]
    counted = {row.rule: row.row_count for row in report.cleaning}
    assert counted["non_positive_quantity"] == 8869
    assert counted["free_purchase"] == 2406
    # 17 products of 4,836 lines are in no list of products
    [row] = query(
        settings,
        "select count(*) as n from shop.items where cast(json_extract_string(attributes, '$.manufacturer_id') "
        "as varchar) is null and title like 'Product %' and not recommendable",
    )
    assert row["n"] == 17


@pytest.mark.soak
def test_all_promotions_of_the_whole_shop(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    load_source(settings, "completejourney")
    [raw] = query(
        settings, "select count(*) as n, count(distinct product_id) as items from raw_completejourney.promotions"
    )
    assert raw["n"] == 20_940_529
    [kept] = query(
        settings,
        "select count(*) as n, count(distinct promotion_id) as ids, count(*) filter (item_id not in "
        "(select item_id from shop.items)) as strangers, count(*) filter (known_at > starts_at and known_at < "
        "(select min(created_at) from shop.items)) as early from shop.promotions",
    )
    [sold] = query(
        settings,
        "select count(*) as n from raw_completejourney.promotions where cast(product_id as varchar) in "
        "(select item_id from shop.items)",
    )
    assert (kept["n"], kept["ids"], kept["strangers"], kept["early"]) == (sold["n"], kept["n"], 0, 0)
