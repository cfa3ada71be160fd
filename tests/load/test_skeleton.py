"""``recsys init``: a skeleton that loads as soon as its file and column names are those of the shop."""

from pathlib import Path

import pytest

from recsys.errors import SettingsError
from recsys.load import init_source, list_sources, load_source
from recsys.settings import Settings
from tests.support.shops import query

PRODUCTS = """product_id,name,category,brand,price,in_stock,added_at
p1,Tea,Food > Drinks,Acme,2.5,true,2024-01-01
p2,,Food > Drinks,Acme,3.5,false,2024-03-01
p3,Never sold,Food,Acme,1,true,2024-01-01
"""
ORDERS = """order_id,customer_id,product_id,quantity,price,ordered_at
o1,c1,p1,2,2.4,2024-02-01 10:00
o1,c1,p2,1,3.5,2024-02-01 10:00
o2,,p1,1,2.5,2024-02-02 10:00
o3,c2,p1,0,2.5,2024-02-03 10:00
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_loads_files_that_have_its_columns(here: Path, settings: Settings) -> None:
    folder = init_source("my_shop", Path("sql", "staging"))
    assert folder == Path("sql", "staging", "my_shop")
    assert "NAME" not in "".join(path.read_text() for path in folder.iterdir())
    assert list_sources() == ["completejourney", "my_shop", "orders"]
    data = here / "exports"
    data.mkdir()
    (data / "products.csv").write_text(PRODUCTS)
    (data / "orders_2024.csv").write_text(ORDERS)
    report = load_source(settings, "my_shop", data_dir=data)
    assert {table: count for table, count in report.rows.items() if count} == {
        "users": 2,
        "items": 2,
        "item_versions": 2,
        "events": 3,
    }
    assert [(row.rule, row.row_count) for row in report.cleaning] == [("non_positive_quantity", 1)]
    rows = query(settings, "select title, available, valid_from from shop.item_versions order by item_id")
    assert [tuple(row.values())[:2] for row in rows] == [("Tea", True), ("Product p2", False)]
    # a product that was ordered before it was listed existed then
    assert rows[1]["valid_from"].isoformat() == "2024-02-01T10:00:00"
    [row] = query(settings, "select value, quantity from shop.events where event_id = 'o1-p1'")
    assert (row["value"], row["quantity"]) == (4.8, 2)


def test_nothing_is_overwritten(here: Path) -> None:
    folder = init_source("mine", here)
    (folder / "users.sql").write_text("my work")
    with pytest.raises(SettingsError, match="is there already; nothing was written"):
        init_source("mine", here)
    assert (folder / "users.sql").read_text() == "my work"
    assert [path.name for path in here.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["", "Mine", "1st", "my-shop", "../up", "a" * 42, "my shop", "_load"])
def test_a_name_that_cannot_be_used_is_refused(name: str, here: Path) -> None:
    with pytest.raises(SettingsError, match="can't be a source's name"):
        init_source(name, here)
    assert list(here.iterdir()) == []


def test_a_shipped_source_is_not_hidden(here: Path) -> None:
    with pytest.raises(SettingsError, match="'orders' is a source that is shipped"):
        init_source("orders", here)


def test_a_place_that_cannot_be_written(here: Path) -> None:
    (here / "file").write_text("x")
    with pytest.raises(SettingsError, match="can't be written"):
        init_source("mine", here / "file" / "deeper")
