"""A load leaves out whoever was erased, and says how many rows that were."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from recsys import pipeline
from recsys.load import load_source
from recsys.settings import Settings
from tests.load.conftest import PLAY
from tests.support.engines import DUCKDB
from tests.support.searching import places

ERASED = "erased-one"
ROWS = (
    "Id,Who,What,Many,Paid,Sold\n"
    f"1,{ERASED},x,1,2.5,2020-01-01\n2,b,y,2,3,2020-01-02 10:00\n3,{ERASED},x,1,2.5,2020-01-03\n"
    f"4,{ERASED},y,many,2,2020-01-03\n"
)
NOW = datetime(2020, 2, 1)


@pytest.fixture
def warehouse_engine() -> str:
    """The search looks below home, where the embedded warehouse is."""
    return DUCKDB


@pytest.mark.parametrize(("is_declared", "is_known"), [(True, True), (True, False), (False, True)])
def test_a_load_leaves_out_who_was_erased(
    make_source: Callable[..., Path], settings: Settings, is_declared: bool, is_known: bool
) -> None:
    """Whether or not the source says where its customers are, and the erasure found rows in the warehouse."""
    declared = {"source_toml": PLAY["source_toml"].replace("known_at", 'customer = "who"\nknown_at')}
    rows = ROWS + "".join(f"{n},b,y,1,2,2020-01-04\n" for n in range(10, 40))
    data = make_source(rows, **(declared if is_declared else {}))
    if is_known:
        load_source(settings, "play", data_dir=data)
        assert {place.rpartition(".")[0].rpartition(": ")[2] for place in places(ERASED, settings.resolved_home)} >= {
            "shop.users",
            "shop.events",
            "shop.quarantine",
        }
    done = pipeline.erase(settings, user=ERASED, by="ada", reason="request 1", now=NOW)
    assert done["status"] == "done"
    assert places(ERASED, settings.resolved_home) == []
    report = load_source(settings, "play", data_dir=data, force=True)
    assert report.rows["users"] == 1
    assert {row.rule: row.row_count for row in report.cleaning}["do_not_process"] == (2 if is_declared else 3)
    assert places(ERASED, settings.resolved_home) == []
