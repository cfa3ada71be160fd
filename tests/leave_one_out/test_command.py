"""The command: what it prints and writes, and how it refuses."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from recsys.cli import app
from tests.support.sequences import walks, write_csv, write_sequences


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("RECSYS_")]:
        monkeypatch.delenv(name)
    for name, value in {"THREADS": 1, "GATE__BOOTSTRAP": 100, "CANDIDATES__ALS_FACTORS": 8}.items():
        monkeypatch.setenv(f"RECSYS_{name}", str(value))
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def evaluate(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def test_it_prints_and_writes_what_every_model_is_worth(home: Path, tmp_path: Path) -> None:
    file = write_sequences(tmp_path / "walks.csv", walks(60, 15) | {"short": ["i0001"]})
    target = tmp_path / "figures.json"
    result = evaluate("--interactions", file, "--protocol", "leave-one-out", "--json", target)
    assert result.exit_code == 0, result.output
    assert "events of 61 customers with 15 items" in result.output
    assert "1 customers of one event used for training only" in result.output
    assert "Items that a customer had before are left out (0.0%" in result.output
    assert "repurchase, since there are no repeats" in result.output
    assert "The last item of 60 customers, among all 15 items" in result.output
    records = json.loads(target.read_text(encoding="utf-8"))
    shown = {record["model"]: record for record in records if record["metric"] == "ndcg@10"}
    assert {"system", "fused", "popularity", "item_cf", "user_cf", "als"} <= set(shown)
    for model, record in shown.items():
        row = next(
            line for line in reversed(result.output.splitlines()) if line.startswith(f"│ {model} ") and "to" in line
        )
        assert f"{record['value']:.4f}" in row
        assert f"{record['low']:.4f} to {record['high']:.4f}" in row
    assert {record["interactions"] for record in records} == {"walks.csv"}
    assert not list((home / "leave_one_out").iterdir()), "nothing is left"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--protocol", "leave-one-out"), "name it with --interactions"),
        (("--interactions", "events.csv", "--protocol", "temporal"), "without --interactions"),
        (("--interactions", "events.csv", "--cuts", "2"), "without --published, --cuts"),
        (("--items", "items.csv"), "belong to --interactions"),
        (("--no-repeats",), "belong to --interactions"),
        (("--interactions", "none.csv"), "There is no file none.csv"),
        (("--interactions", "events.csv", "--json", "nowhere/figures.json"), "can't be written"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "events.csv", [("a", "x", 1)], ("user_id", "item_id", "order"))
    result = evaluate(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.output
