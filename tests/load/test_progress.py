"""What a person sees while a shop is loaded."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from recsys.load import TerminalProgress, load_source
from recsys.settings import Settings
from tests.support.orders import write_orders


@pytest.mark.parametrize("terminal", [False, True])
def test_each_step_says_its_rows_and_seconds(terminal: bool, settings: Settings, tmp_path: Path) -> None:
    write_orders(tmp_path / "orders.csv", lines=300)
    shown = io.StringIO()
    console = Console(file=shown, width=100, force_terminal=terminal)
    with TerminalProgress(console) as progress:
        report = load_source(settings, "orders", data_dir=tmp_path / "orders.csv", progress=progress)
    steps = list(report.seconds)
    assert steps[:2] == ["raw order_lines", "step lines"]
    assert steps[2:6] == ["shop users", "shop items", "shop item_versions", "shop events"]
    told = [line for line in shown.getvalue().splitlines() if "shop events" in line and line.endswith(" s")]
    assert len(told) == 1
    assert f" {report.rows['events']:,} rows " in told[0]
    assert ("\x1b[" in shown.getvalue()) == terminal
