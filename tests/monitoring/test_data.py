"""What came from the shop, with planted faults: old data, missing and doubled days, bad rows, empty columns."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from recsys import pipeline
from recsys.assets import read_sql
from recsys.monitoring import Measurement, data
from recsys.settings import MonitoringSettings, Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import Warehouse, migrate, open_warehouse
from tests.support.monitored import figures, snapshot_of, stamped
from tests.support.planted import Event, write_shop
from tests.support.warehouse import make_settings

END = datetime(2024, 12, 31, 12)
NOW = datetime(2025, 1, 1)


def shop(tmp_path: Path, events: list[Event], **limits: object) -> tuple[Settings, Snapshot]:
    settings = make_settings(tmp_path, monitoring=MonitoringSettings(**limits))  # type: ignore[arg-type]
    write_shop(settings, users=["ada", "bob"], items=["bread", "milk"], events=events)
    return settings, snapshot_of(settings, now=NOW)


def daily(count: int, first: int, last: int, **more: object) -> list[Event]:
    """Return so many purchases a day, from so many days before the end to so many."""
    at = (END - timedelta(days=day, minutes=number) for day in range(last, first + 1) for number in range(count))
    return [Event("ada", "bread", moment, **more) for moment in at]  # type: ignore[arg-type]


def test_old_data_is_shown_without_a_limit_and_a_breach_beyond_one(tmp_path: Path) -> None:
    settings, snapshot = shop(tmp_path, daily(1, 3, 0))
    [age] = data.freshness(settings, snapshot, NOW, [])
    assert age.value == pytest.approx(12, abs=1e-3)
    assert (age.status, age.limit) == ("ok", None)
    limited = make_settings(tmp_path, monitoring=MonitoringSettings(max_data_age_hours=11))
    [old] = data.freshness(limited, snapshot, NOW, [])
    assert old.status == "breach"
    assert "recsys load" in old.message


def test_data_that_usually_lags_is_late_only_beyond_its_usual_age(tmp_path: Path) -> None:
    settings, snapshot = shop(tmp_path, daily(1, 3, 0), max_delay_hours=6)
    before = [stamped(Measurement(name=data.AGE, value=value, message="")) for value in (3.0, 5.0, 70.0)]
    _, delay = data.freshness(settings, snapshot, NOW, before)
    assert delay.value == pytest.approx(7, abs=1e-3)  # 12 hours against a median of 5
    assert delay.status == "breach"
    _, usual = data.freshness(settings, snapshot, NOW, [replace(one, run_id="x") for one in before[2:]])
    assert usual.value == pytest.approx(-58, abs=1e-3)
    assert usual.status == "ok"


def test_missing_days_and_doubled_rows_are_breaches_and_a_steady_shop_is_none(tmp_path: Path) -> None:
    for recent, status, ratio in ((8, "ok", 0.8), (4, "breach", 0.4), (21, "breach", 2.1)):
        settings, snapshot = shop(tmp_path / str(recent), daily(recent, 6, 0) + daily(10, 40, 7))
        [found] = data.volume(settings, snapshot)
        assert (found.part, found.status) == ("purchase", status)
        assert found.value == pytest.approx(ratio)


def test_a_rare_kind_of_event_and_a_short_history_are_not_judged(tmp_path: Path) -> None:
    events = daily(10, 40, 0) + daily(1, 34, 7, kind="view")
    settings, snapshot = shop(tmp_path / "rare", events)
    found = figures(data.volume(settings, snapshot))
    assert found[data.VOLUME, "view"].value == 0
    assert (found[data.VOLUME, "view"].status, found[data.VOLUME, "view"].limit) == ("ok", None)
    settings, snapshot = shop(tmp_path / "young", daily(10, 10, 0))
    assert data.volume(settings, snapshot) == []


def test_rejected_rows_of_the_load_in_force_alone_are_counted(settings: Settings, warehouse: Warehouse) -> None:
    migrate(warehouse)
    with warehouse.transaction() as connection:
        for statement in (
            "insert into shop.sources values ('s', 'UTC', false, 'load-2', null, timestamp '2025-01-01')",
            "insert into shop.users values ('ada', 1, timestamp '2024-01-01', true, null)",
            *(
                f"insert into shop.quarantine values ('t', '{{}}', 'rule', '{run}', timestamp '2025-01-01')"
                for run in ("load-1", "load-2", "load-2", "load-2")
            ),
        ):
            connection.exec_driver_sql(statement)
    row = warehouse.query(read_sql("monitoring", "load.sql"))[0]
    assert (row["rejected"], row["held"]) == (3, 1)
    found = data.rejected(settings, "load", row["rejected"], row["held"])
    assert (found.value, found.status) == (0.75, "breach")
    assert "shop.quarantine" in found.message


def test_the_snapshots_own_rejects_are_told_by_the_snapshot(tmp_path: Path) -> None:
    bad = [Event("ada", "bread", END, quantity=-1.0), Event("ada", "unheard of", END)]
    settings, _ = shop(tmp_path, daily(1, 5, 0) + bad)
    taken = pipeline.take_snapshot(settings, as_of="latest", now=NOW)
    found = data.rejected(settings, "snapshot", taken["rejected"], taken["rows"]["events"])
    assert found.value == 2 / 8
    assert (found.status, found.part) == ("breach", "snapshot")


def test_a_column_that_empties_is_a_breach_against_the_snapshot_before(tmp_path: Path) -> None:
    settings, full = shop(tmp_path, daily(4, 4, 0))
    first = data.missing(settings, full, [])
    assert {one.status for one in first} == {"ok"}
    before = [stamped(one) for one in first]
    with open_warehouse(settings, purpose="test") as warehouse, warehouse.transaction() as connection:
        connection.exec_driver_sql("update shop.events set market = null where event_id in ('e00000', 'e00001')")
        connection.exec_driver_sql("update shop.items set category = null where item_id = 'milk'")
        connection.exec_driver_sql("update shop.item_versions set category = null where item_id = 'milk'")
    emptied = snapshot_of(settings, now=NOW)
    second = figures(data.missing(settings, emptied, before))
    market = second[data.MISSING, "events.market"]
    assert (market.value, market.details["before"], market.status) == (0.1, 0.0, "breach")
    assert second[data.MISSING, "items.category"].value == 0.5
    assert second[data.MISSING, "events.basket_id"].status == "ok"
    # A second look at the same snapshot still compares with the one before it.
    again = figures(data.missing(settings, emptied, [*before, *(stamped(one) for one in second.values())]))
    assert again[data.MISSING, "events.market"].status == "breach"
