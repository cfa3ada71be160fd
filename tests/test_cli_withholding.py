"""The commands that hide products and lists, and show them again."""

import getpass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from recsys.cli import app
from recsys.publication import list_suppressions, live_list, publish
from recsys.settings import Settings
from recsys.warehouse import open_warehouse
from tests.support.engines import Copies
from tests.support.publications import NOW, PLACEMENT, approved_shop, made_lists, write_publication
from tests.support.warehouse import item_id, make_settings, user_id


@pytest.fixture
def settings(copies: Copies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    warehouse_url = copies.make(tmp_path / "home", approved_shop)
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RECSYS_WAREHOUSE_URL", warehouse_url)
    settings = make_settings(tmp_path, warehouse_url=warehouse_url)
    with open_warehouse(settings, purpose="test") as warehouse:
        publish(warehouse, settings, write_publication(tmp_path / "files", "p1", made_lists()), now=NOW)
    return settings


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def items(settings: Settings) -> list[str]:
    return [row.item_id for row in live_list(settings, user_id(0), PLACEMENT).rows]


def test_suppress_list_and_unsuppress(settings: Settings) -> None:
    assert "Nothing is hidden." in run("suppressions").output
    done = run("suppress", "--item", item_id(4), "--why", "recalled", "--until", "2999-01-01")
    assert done.exit_code == 0, done.output
    assert f"item {item_id(4)} is hidden on every placement until 2999-01-01 00:00 UTC" in done.output
    assert item_id(4) not in items(settings)
    with open_warehouse(settings, purpose="test") as warehouse:
        [rule] = list_suppressions(warehouse)
    assert rule.created_by == getpass.getuser()
    listed = run("suppressions").output
    assert rule.suppression_id in listed
    assert "recalled" in listed
    ended = run("unsuppress", rule.suppression_id, "--why", "it was another one", "--by", "bo")
    assert ended.exit_code == 0, ended.output
    assert item_id(4) in items(settings)
    assert "Nothing is hidden." in run("suppressions").output
    assert "bo: it was" in run("suppressions", "--all").output


def test_a_misspelt_name_is_told_with_what_comes_close(settings: Settings) -> None:
    done = run("suppress", "--brand", "brand3", "--why", "x")
    assert done.exit_code == 1
    assert "The shop has no brand 'brand3'. Did you mean 'Brand 3'" in done.stderr
    assert run("suppress", "--why", "x").exit_code == 1
    assert run("suppress", "--brand", "Brand 3").exit_code == 2


def test_consent(settings: Settings) -> None:
    assert "sees the list for everybody." in run("consent", user_id(0), "withdraw", "--why", "mail").output
    assert live_list(settings, user_id(0), PLACEMENT).subject_id == "*"
    assert "It was so already." in run("consent", user_id(0), "withdraw", "--why", "mail").output
    assert "sees a list of their own" in run("consent", user_id(0), "grant", "--why", "call").output
    assert live_list(settings, user_id(0), PLACEMENT).subject_id == user_id(0)
    assert run("consent", user_id(0), "forget", "--why", "x").exit_code == 2
