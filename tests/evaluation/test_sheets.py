"""A version's sheet: found again as it was written, and told plainly where there is none."""

from dataclasses import replace
from pathlib import Path

import pytest

from recsys.errors import NotFoundError
from recsys.evaluation.sheets import Sheet, find_sheet, has_sheet, list_sheets, write_sheet
from tests.support.warehouse import make_settings

SHEET = Sheet(
    placement="for_you",
    model="recsys_for_you",
    version="2",
    run_id="r1",
    report="#/experiments/1/runs/r1/artifacts/report.html",
    evaluation="file:///gone/evaluations/e1",
    as_of="2025-01-01T00:00:00",
    verdict={"gate": "passed", "why": "All rules hold.", "rules": []},
)


def test_it_is_found_as_it_was_written(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    assert list_sheets(settings) == []
    for version in ("2", "10", "9"):
        write_sheet(settings, replace(SHEET, version=version))
    write_sheet(settings, replace(SHEET, verdict={"gate": "failed", "why": "No.", "rules": []}))
    assert [one.version for one in list_sheets(settings)] == ["10", "9", "2"]
    assert find_sheet(settings, "recsys_for_you", "2").verdict["gate"] == "failed"
    assert find_sheet(settings, "recsys_for_you", "9") == replace(SHEET, version="9")
    assert has_sheet(settings, "recsys_for_you", "9")


@pytest.mark.parametrize(("model", "version"), [("recsys_for_you", "3"), ("recsys_discover", "2"), ("../x", "2")])
def test_one_that_is_not_there_is_told(tmp_path: Path, model: str, version: str) -> None:
    settings = make_settings(tmp_path)
    write_sheet(settings, SHEET)
    assert not has_sheet(settings, model, version)
    with pytest.raises(NotFoundError, match="the gate has not judged it on this machine"):
        find_sheet(settings, model, version)
