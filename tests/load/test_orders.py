"""The second shape of a shop: one CSV of order lines."""

import csv
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path

import pytest

from recsys.load import load_source
from recsys.settings import Settings
from tests.support.orders import HEADER, write_orders
from tests.support.shops import query

# What is written here is made up; each line shows one of the things that happen in such files.
LINES = """\
536365,10001,RED MUG,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
536365,10002,BLUE MUG,2,2010-12-01 08:26:00,3.39,17850.0,United Kingdom
536365,10002,BLUE MUG,1,2010-12-01 08:26:00,3.39,17850.0,United Kingdom
536365,POST,POSTAGE,1,2010-12-01 08:26:00,18.0,17850.0,United Kingdom
536366,10001,"RED MUG, DISPLAY",1,12/1/2010 9:01,2.10,,France
536366,10003a,,4,12/1/2010 9:01,1.25,,France
C536379,10001,RED MUG,-2,2010-12-02 09:41:00,2.55,17850,United Kingdom
C536380,10001,RED MUG,2,2010-12-02 09:42:00,2.55,17850,United Kingdom
536381,10002,damaged,-5,2010-12-02 10:00:00,0,,United Kingdom
536382,10002,found,7,2010-12-02 10:05:00,0,,United Kingdom
536383,10001,mug red,1,2010-12-03 10:05:00,2.60,13047,Germany
536383,10004,B SIDE,1,2010-12-03 10:05:00,1.00,13047,Germany
536384,10004,A SIDE,5000,2010-12-04 10:05:00,0.10,13047,France
536384,10005,GOLD CLOCK,1,2010-12-04 10:05:00,4161.06,13047,France
536385,10001,RED MUG,one,2010-12-04 10:05:00,2.55,13047,France
"""


@pytest.fixture
def orders(settings: Settings, tmp_path: Path) -> Settings:
    path = tmp_path / "orders.csv"
    # more good lines, so that the unreadable one stays below the share that stops a load
    more = "".join(f"54{n:04d},10006,FILLER,1,2010-12-20 10:00:00,1.0,99999,Spain\n" for n in range(20))
    path.write_text(HEADER + "\n" + LINES + more, encoding="utf-8")
    load_source(settings, "orders", data_dir=path)
    return settings


def test_events(orders: Settings) -> None:
    rows = query(
        orders,
        "select event_id, user_id, event_type, occurred_at, quantity, price, value, basket_id, market "
        "from shop.events where item_id <> '10006' order by event_id",
    )
    first, second = datetime(2010, 12, 1, 8, 26), datetime(2010, 12, 1, 9, 1)
    third, fourth = datetime(2010, 12, 3, 10, 5), datetime(2010, 12, 4, 10, 5)
    uk = "United Kingdom"
    assert [tuple(row.values()) for row in rows] == [
        ("536365-10001", "17850", "purchase", first, 6, 2.55, 15.3, "536365", uk),
        ("536365-10002", "17850", "purchase", first, 3, 3.39, 10.17, "536365", uk),
        ("536365-POST", "17850", "purchase", first, 1, 18, 18, "536365", uk),
        ("536366-10001", None, "purchase", second, 1, 2.1, 2.1, "536366", "France"),
        ("536366-10003A", None, "purchase", second, 4, 1.25, 5, "536366", "France"),
        ("536383-10001", "13047", "purchase", third, 1, 2.6, 2.6, "536383", "Germany"),
        ("536383-10004", "13047", "purchase", third, 1, 1, 1, "536383", "Germany"),
        ("536384-10004", "13047", "purchase", fourth, 1000, 0.1, 500, "536384", "France"),
        ("536384-10005", "13047", "purchase", fourth, 1, None, 4161.06, "536384", "France"),
        ("C536379-10001", "17850", "return", datetime(2010, 12, 2, 9, 41), 2, 2.55, 5.1, "C536379", uk),
    ]


def test_items(orders: Settings) -> None:
    rows = query(
        orders,
        "select item_id, title, price, recommendable, created_at from shop.items where item_id <> '10006' "
        "order by item_id",
    )
    assert [tuple(row.values())[:4] for row in rows] == [
        # the last price paid, not the one of a return
        ("10001", "RED MUG", 2.6, True),
        ("10002", "BLUE MUG", 3.39, True),
        ("10003A", "Product 10003A", 1.25, True),
        # both descriptions are there once: the first in the alphabet
        ("10004", "A SIDE", 0.1, True),
        ("10005", "GOLD CLOCK", None, True),
        ("POST", "POSTAGE", 18.0, False),
    ]
    assert rows[2]["created_at"] == datetime(2010, 12, 1, 9, 1)


def test_users(orders: Settings) -> None:
    rows = query(orders, "select user_id, created_at, attributes from shop.users order by user_id")
    assert [(row["user_id"], row["created_at"], row["attributes"]["segment"]) for row in rows] == [
        ("13047", datetime(2010, 12, 3, 10, 5), "Germany"),
        ("17850", datetime(2010, 12, 1, 8, 26), "United Kingdom"),
        ("99999", datetime(2010, 12, 20, 10), "Spain"),
    ]


def test_what_cleaning_counts(orders: Settings) -> None:
    rows = query(orders, "select rule, row_count from shop.cleaning")
    assert {row["rule"]: row["row_count"] for row in rows} == {
        "duplicate_lines": 1,
        "returns": 1,
        "guests": 2,
        "non_positive_quantity": 1,
        "empty_returns": 1,
        "unpaid": 1,
        "quantity_outlier": 1,
        "price_outlier": 1,
        "non_merchandise": 1,
        "missing_title": 1,
        "unreadable": 1,
    }


def test_a_made_file_agrees_with_a_count_of_its_lines(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "made.csv"
    write_orders(path, lines=2500)
    report = load_source(settings, "orders", data_dir=tmp_path)
    titles: dict[str, Counter[str]] = defaultdict(Counter)
    bought: Counter[tuple[str, str]] = Counter()
    with path.open(encoding="utf-8") as stream:
        for line in csv.DictReader(stream):
            bought[line["InvoiceNo"], line["StockCode"]] += abs(int(line["Quantity"]))
            if int(line["Quantity"]) > 0:
                titles[line["StockCode"]][line["Description"]] += 1
    rows = query(settings, "select basket_id, item_id, quantity, event_type from shop.events")
    assert report.rows["events"] == len(bought) == len(rows)
    assert {(row["basket_id"], row["item_id"]): row["quantity"] for row in rows} == bought
    assert all((row["event_type"] == "return") == row["basket_id"].startswith("C") for row in rows)
    expected = {code: min(count, key=lambda title: (-count[title], title)) for code, count in titles.items()}
    assert {row["item_id"]: row["title"] for row in query(settings, "select item_id, title from shop.items")} == {
        code: expected.get(code, f"Product {code}") for _, code in bought
    }
    assert any(len(count) > 1 for count in titles.values())


@pytest.fixture(scope="module")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of so many lines that writing them takes seconds."""
    path = tmp_path_factory.mktemp("orders") / "large.csv"
    write_orders(path, lines=540_000, customers=4300, codes=4000)
    return path


def test_a_large_file_loads(settings: Settings, large_file: Path) -> None:
    report = load_source(settings, "orders", data_dir=large_file)
    assert report.rows["events"] > 500_000
    assert report.rows["users"] == 4300
