"""Measurements as they are kept: appended once, in either engine, and the newest in a file."""

import json
from datetime import timedelta

import pyarrow as pa
import pytest

from recsys.errors import WarehouseError
from recsys.monitoring import (
    Measurement,
    Stamped,
    batch_of,
    latest_figures,
    measured,
    newest_batch,
    record,
    write_latest,
)
from recsys.settings import Settings
from recsys.warehouse import Warehouse, migrate
from tests.support.publications import NOW
from tests.support.warehouse import make_settings

FOUND = [
    Measurement(name="data_age_hours", value=2.5, message="Fresh."),
    Measurement(
        name="coverage_share",
        placement="for_you",
        value=0.5,
        limit=0.8,
        status="breach",
        message="Publish again.",
        details={"customers": 10, "served": 5},
    ),
    Measurement(name="score_drift", placement="discover", part="é", value=None, status="warn", message="Nothing yet."),
]


def test_what_is_recorded_comes_back(warehouse: Warehouse) -> None:
    migrate(warehouse)
    record(warehouse, FOUND, run_id="r1", measured_at=NOW)
    back = {one.measurement.name: one for one in measured(warehouse)}
    assert [back[one.name].measurement for one in FOUND] == FOUND
    assert {(one.run_id, one.measured_at) for one in back.values()} == {("r1", NOW)}


def test_the_same_look_is_recorded_once_whatever_a_second_attempt_finds(warehouse: Warehouse) -> None:
    migrate(warehouse)
    first = record(warehouse, FOUND, run_id="r1", measured_at=NOW)
    again = record(warehouse, FOUND[:1], run_id="r1", measured_at=NOW)
    assert sorted(one.measurement.name for one in again) == sorted(one.measurement.name for one in first)
    assert len(measured(warehouse)) == 3
    record(warehouse, FOUND[:1], run_id="r2", measured_at=NOW)
    record(warehouse, FOUND[:1], run_id="r1", measured_at=NOW + timedelta(days=1))
    assert len(measured(warehouse)) == 5
    assert len(batch_of(warehouse, run_id="r2", measured_at=NOW)) == 1


def test_an_attempt_that_overlaps_another_adds_nothing_twice(warehouse: Warehouse) -> None:
    migrate(warehouse)
    record(warehouse, FOUND, run_id="r1", measured_at=NOW)
    # What both would write if neither saw the other's rows.
    rows = pa.Table.from_pylist([Stamped(NOW, "r1", one).as_row() for one in FOUND])
    with pytest.raises(WarehouseError), warehouse.transaction() as connection:
        warehouse.append(connection, "recsys.measurements", rows)
    assert len(measured(warehouse)) == 3


def test_a_figure_without_a_status_keeps_the_whole_batch_out(warehouse: Warehouse) -> None:
    migrate(warehouse)
    broken = Measurement(name="x", value=1.0, message="Broken.", status="bad")  # type: ignore[arg-type]
    with pytest.raises(WarehouseError):
        record(warehouse, [*FOUND, broken], run_id="r1", measured_at=NOW)
    assert measured(warehouse) == []


def test_the_newest_batch_and_one_name_since_a_moment(warehouse: Warehouse) -> None:
    migrate(warehouse)
    assert newest_batch(warehouse) == []
    record(warehouse, FOUND, run_id="r1", measured_at=NOW)
    record(warehouse, FOUND[:2], run_id="r2", measured_at=NOW + timedelta(hours=1))
    assert [one.run_id for one in newest_batch(warehouse)] == ["r2", "r2"]
    ages = measured(warehouse, since=NOW + timedelta(minutes=1), name="data_age_hours")
    assert [(one.run_id, one.measurement.value) for one in ages] == [("r2", 2.5)]


def test_the_file_tells_the_newest_and_what_is_wrong(settings: Settings, warehouse: Warehouse) -> None:
    migrate(warehouse)
    assert latest_figures(settings) == {
        "measured_at": None,
        "run_id": None,
        "measurements": [],
        "status": None,
        "breaches": [],
        "warnings": [],
    }
    kept = record(warehouse, FOUND, run_id="r1", measured_at=NOW)
    path = write_latest(settings, kept, run_id="r1", measured_at=NOW)
    latest = latest_figures(settings)
    assert json.loads(json.dumps(latest)) == latest
    assert (latest["measured_at"], latest["status"]) == ("2025-01-02T06:00:00", "breach")
    assert [one["message"] for one in latest["breaches"]] == ["Publish again."]
    assert [one["part"] for one in latest["warnings"]] == ["é"]
    fine = [one for one in kept if one.measurement.status == "ok"]
    write_latest(settings, fine, run_id="r2", measured_at=NOW)
    assert latest_figures(settings)["status"] == "ok"
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    write_latest(settings, kept, run_id="slow", measured_at=NOW - timedelta(hours=1))
    assert latest_figures(settings)["run_id"] == "r2"


def test_limits_that_contradict_each_other_are_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    from recsys.errors import SettingsError

    home = tmp_path_factory.mktemp("home")
    for section, said in (
        ({"min_volume": 3}, "min_volume"),
        ({"psi_warn": 0.5}, "psi_warn"),
        ({"notify": ["email"]}, "email_to"),
    ):
        with pytest.raises(SettingsError, match=said):
            make_settings(home, monitoring=section)
