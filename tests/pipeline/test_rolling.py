"""Rolling cuts on a small shop, by the command itself."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from recsys import pipeline
from recsys.cli import app
from recsys.errors import ContractError
from recsys.settings import Settings
from tests.support.chain import write_chain_shop
from tests.support.planted import NOW, quick_settings


def ignore(stage: str, result: object) -> None:
    """Tell nobody."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = quick_settings(tmp_path_factory.mktemp("rolling"))
    write_chain_shop(settings)
    return settings


@pytest.fixture
def command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for section in ("candidates", "ranker", "publication", "gate"):
        monkeypatch.setenv(f"RECSYS_{section.upper()}", getattr(settings, section).model_dump_json())
    monkeypatch.setenv("RECSYS_HOME", str(settings.home))
    monkeypatch.setenv("RECSYS_NAMESPACE", settings.namespace)
    monkeypatch.setenv("RECSYS_EVALUATION__REFERENCES", '["ease", "als"]')  # als is in the recipe anyway
    return CliRunner()


def test_two_cuts_are_measured_and_written(command: CliRunner, settings: Settings, tmp_path: Path) -> None:
    target = tmp_path / "figures.json"

    def run() -> Result:
        options = ["--as-of", "2025-01-01", "--cuts", "2", "--placement", "for_you", "--json", str(target)]
        return command.invoke(app, ["evaluate", *options])

    result = run()
    assert result.exit_code == 0, result.output
    assert "mean of 2 cuts, 2024-11-06 to 2024-12-04" in result.output
    records = json.loads(target.read_text())
    assert {one["cut"] for one in records} == {"2024-11-06T00:00:00", "2024-12-04T00:00:00", "mean"}
    assert {one["model"] for one in records} >= {"ranker", "fused_rrf", "ease", *settings.candidates.generators}
    assert {one["role"] for one in records if one["model"] == "ease"} == {"single generator"}
    assert result.output.count("reference ease") == 2 and "reference als" not in result.output
    headline = {(one["model"], one["cut"]): one for one in records if one["metric"] == "ndcg@10"}
    for model in ("ranker", "als", "popularity"):
        mean, *each = (headline[model, cut]["value"] for cut in ("mean", "2024-11-06T00:00:00", "2024-12-04T00:00:00"))
        assert mean == pytest.approx(sum(each) / 2)
        assert f"{mean:.4f}" in result.output
    assert all(one["low"] <= one["value"] <= one["high"] for one in headline.values())
    assert headline["als", "mean"]["difference_low"] is not None
    # A second call measures nothing anew, and comes to the same.
    again = run()
    looked_up = result.output.count("champions")  # what serves now is asked anew
    assert again.output.count("reused") == result.output.count("/2 ") - looked_up
    assert json.loads(target.read_text()) == records


def test_a_history_too_short_for_so_many_cuts_is_told(settings: Settings) -> None:
    with pytest.raises(ContractError, match=r"at least three horizons.*11 horizons before the newest"):
        pipeline.evaluate_cuts(settings, as_of="2025-01-01", cuts=12, placements=["for_you"], now=NOW, progress=ignore)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--published", "--cuts", "2"), "--published measures what is live, once"),
        (("--json", "/nowhere/at/all.json"), "name a file in a folder that exists"),
    ],
)
def test_bad_options_are_told_before_the_work(command: CliRunner, options: tuple[str, ...], message: str) -> None:
    result = command.invoke(app, ["evaluate", *options])
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())
