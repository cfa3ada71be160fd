"""The command line: what it prints, how it ends, and that it is documented."""

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner, Result

from recsys.cli import app
from recsys.cli.stages import StageMeter, describe, peak_mib, reset_peak
from recsys.publication import publish, start_canary
from recsys.settings import Settings
from recsys.warehouse import open_warehouse
from tests.support.engines import Copies
from tests.support.monitored import trained
from tests.support.publications import ITEMS, NOW, approve, approved_shop, made_lists, write_publication
from tests.support.warehouse import make_settings, user_id, write_small_shop

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "up",
    "load",
    "init",
    "run",
    "evaluate",
    "recommend",
    "publications",
    "rollback",
    "approve",
    "reject",
    "status",
    "doctor",
    "demo",
    "migrate",
    "rules",
    "monitor",
}


def commands() -> dict[str, object]:
    return dict(typer.main.get_command(app).commands)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("RECSYS_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def settings(home: Path, copies: Copies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A shop with two publications on for_you, and an MLflow that is away."""
    warehouse_url = copies.make(home, approved_shop)
    monkeypatch.setenv("RECSYS_WAREHOUSE_URL", warehouse_url)
    monkeypatch.setenv("RECSYS_TRACKING_URI", "http://127.0.0.1:9")
    settings = make_settings(tmp_path, warehouse_url=warehouse_url)
    with open_warehouse(settings, purpose="test") as warehouse:
        for day, version in ((0, "1"), (1, "2")):
            approve(warehouse, version)
            name = f"p{version}"
            lists = write_publication(tmp_path / "files", name, made_lists(shift=day, label=name), version=version)
            publish(warehouse, settings, lists, now=NOW + timedelta(days=day))
    return settings


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_the_commands_are_the_contract() -> None:
    assert set(commands()) >= COMMANDS


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_is_in_the_readme(name: str) -> None:
    assert f"recsys {name}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert f"recsys {name}" in result.output


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from recsys.cli import app; app(['--help'], standalone_mode=False); "
        "print([m for m in ('mlflow', 'lightgbm', 'pandas', 'duckdb', 'pyarrow', 'sqlalchemy', 'airflow', 'implicit', "
        "'sklearn', 'numpy', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_recommend_shows_titles_and_reasons(settings: Settings) -> None:
    result = run("recommend", user_id(0))
    assert result.exit_code == 0, result.output
    header = f"for_you: what customer {user_id(0)} sees, as of 2025-01-01 00:00, model version 2"
    assert result.output.splitlines()[0] == header
    for cell in ("title", "category", "reason", "score", "Product 4 of group 1", "Because p2 says so.", "1.0000"):
        assert cell in result.output
    assert "default" not in result.output


def test_recommend_to_somebody_unknown_says_why(settings: Settings) -> None:
    result = run("recommend", "nobody")
    assert result.exit_code == 0
    assert "There is no customer 'nobody' in the shop's tables, so this is the list for everybody." in result.output
    assert "Product 2 of group 1" in result.output


def test_text_from_the_warehouse_is_not_read_as_markup(settings: Settings) -> None:
    with open_warehouse(settings, purpose="test") as warehouse, warehouse.transaction() as connection:
        connection.exec_driver_sql("update shop.items set title = '[bold]Tea[/] [red]' where item_id = 'i004'")
    assert "[bold]Tea[/] [red]" in run("recommend", user_id(0)).output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("recommend", "1", "--placement", "nope"),
            "There is no placement 'nope'; the settings have: discover, for_you.",
        ),
        (("run", "--placement", "nope"), "There is no placement 'nope'"),
        (("run", "--as-of", "yesterday"), "as_of 'yesterday' is neither 'latest', a date"),
        (("evaluate", "--as-of", "2017-13-01"), "as_of '2017-13-01' is neither"),
        (("recommend", "1"), "There is no warehouse at"),
        (("publications",), "Load a shop first: recsys load completejourney"),
        (("status",), "There is no warehouse at"),
        (("rollback",), "There is no warehouse at"),
        (("approve", "recsys_for_you", "2", "--reason", "good"), "There is no warehouse at"),
        (("reject", "recsys_for_you", "2", "--reason", "bad"), "There is no warehouse at"),
        (("rules", "list"), "There is no warehouse at"),
        (("rules", "load", "rules.csv"), "There is no warehouse at"),
    ],
)
def test_errors_are_a_message_and_code_1_and_leave_nothing(
    home: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not home.exists()


def test_a_bad_setting_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_SHARDS", "many")
    result = run("status")
    assert result.exit_code == 1
    assert "shards = 'many'" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [("frobnicate",), ("run", "--bad"), ("recommend",), ("load", "x", "--customers", "0"), ("approve", "model", "1")],
)
def test_bad_usage_is_code_2(home: Path, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_nothing_published_yet_says_how(home: Path, tmp_path: Path) -> None:
    with open_warehouse(make_settings(tmp_path), purpose="test") as warehouse:
        write_small_shop(warehouse, users=10, items=ITEMS, days=30)
    result = run("recommend", "1", "--placement", "discover")
    assert result.exit_code == 1
    assert "Publish one with: recsys run --placement discover" in result.stderr
    assert "Nothing was published yet" in run("publications").output
    assert "none approved" in run("status").output
    assert "Nothing is live" in run("rollback").stderr


def test_a_warehouse_without_tables_says_what_to_run(home: Path, tmp_path: Path) -> None:
    with open_warehouse(make_settings(tmp_path), purpose="test"):
        pass
    result = run("status")
    assert result.exit_code == 1
    assert "lacks the tables of 0001_shop.sql" in result.stderr
    assert "Run: recsys migrate." in result.stderr
    first, again = run("migrate"), run("migrate")
    assert "0001_shop.sql, 0002_published.sql, 0003_propensity.sql" in first.output
    assert "nothing to do" in again.output
    assert run("status").exit_code == 0


def test_rules_are_loaded_and_listed_with_what_holds(settings: Settings, tmp_path: Path) -> None:
    assert "There are no rules." in run("rules", "list").output
    path = tmp_path / "rules.csv"
    header = "rule_id,kind,item_id,brand,other_item_id,weight,season_from,season_to,reason\n"
    path.write_text(f"{header}a,goes_with,i001,,i002,2.5,,,[bold]fits[/]\nb,boost,,Brand 1,,,06-01,08-31,\n")
    loaded = run("rules", "load", str(path), "--by", "ada")
    assert loaded.exit_code == 0, loaded.output
    assert "2 rules loaded, 0 of before removed." in loaded.output
    shown = run("rules", "list").output.splitlines()
    [a], [b] = ([line for line in shown if name in line] for name in ("goes_with", "boost"))
    assert all(cell in a for cell in ("item i001", "item i002", "2.5", "all", "yes", "ada"))
    assert all(cell in b for cell in ("brand Brand 1", " no ", "ada"))
    path.write_text(f"{header}c,boost,,Brand 99,,,,,\n")
    refused = run("rules", "load", str(path), "--append")
    assert refused.exit_code == 1
    assert "line 2, brand: the shop has no brand 'Brand 99'." in refused.stderr
    assert "goes_with" in run("rules", "list").output


def test_status_says_whether_a_training_is_needed(settings: Settings) -> None:
    away = run("status")
    assert away.exit_code == 0
    assert "Whether a training is needed can't be told: MLflow at http://127.0.0.1:9" in away.output
    with open_warehouse(settings, purpose="test") as warehouse:
        trained(warehouse, datetime(2024, 12, 31), version="2")
    known = run("status").output
    assert "A training is needed:\n  discover: there is no champion yet." in known


def test_monitor_shows_what_it_measured_and_ends_with_1_for_a_breach(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("SAMPLE", "100"), ("MIN_COVERAGE", "0.1"), ("MAX_FALLBACK", "1.0")):
        monkeypatch.setenv(f"RECSYS_MONITORING__{name}", value)
    quiet = run("monitor", "--all")
    assert quiet.exit_code == 0, quiet.output
    for part in ("data_age_hours", "coverage_share", "30 of 6", "0 breaches", "MLflow at http://127.0.0.1:9"):
        assert part in quiet.output
    monkeypatch.setenv("RECSYS_MONITORING__MIN_COVERAGE", "0.9")
    low = run("monitor")
    assert low.exit_code == 1
    assert "1 breaches" in low.output
    assert low.output.index("breach") < low.output.index("ok")
    assert "data_age_hours" not in low.output  # it has no limit


def test_monitor_without_a_shop_says_what_to_load(home: Path) -> None:
    result = run("monitor")
    assert result.exit_code == 1
    assert "Load a shop first" in result.stderr
    assert not home.exists()


def test_publications_status_and_rollback(settings: Settings) -> None:
    listed = run("publications", "--placement", "for_you").output
    assert listed.index("p2") < listed.index("p1")
    assert "superseded" in listed
    before = run("status").output
    assert "p1 (version 1)" in before
    assert "recsys_for_you 2" in before

    result = run("rollback", "--reason", "too many sweets", "--by", "ada")
    assert result.exit_code == 0, result.output
    told = " ".join(result.output.split())
    assert (
        "for_you: p1 is live again (as of 2025-01-01 00:00, version 1 of recsys_for_you). Readers saw it after" in told
    )

    assert "MLflow's aliases follow at the next run: MLflow at http://127.0.0.1:9" in result.output

    after = run("status").output
    assert "MLflow's alias champion of recsys_for_you is still to become 1." in after
    assert "recsys_for_you 1" in after
    assert "too many sweets" in after
    assert "Because p1 says so." in run("recommend", user_id(0)).output
    assert run("rollback").exit_code == 1


def test_publications_as_json_lead_to_the_decision(settings: Settings) -> None:
    newest, oldest = json.loads(run("publications", "--json").stdout)
    assert [newest["publication_id"], oldest["publication_id"]] == ["p2", "p1"]
    origin = ("model_version", "state_id", "run_id", "snapshot_id", "code_commit", "kind", "decision_id")
    assert [newest[name] for name in origin] == [
        "2",
        "state-1",
        "run-1",
        "snapshot-1",
        "unknown",
        "main",
        "for_you-000002",
    ]
    assert (newest["decision"]["decided_by"], newest["decision"]["verdict"]) == ("ada", "approved")


def test_status_tells_of_a_canary(settings: Settings, tmp_path: Path) -> None:
    lists = write_publication(tmp_path / "files", "c1", made_lists(shift=5), version="3")
    who = {"decided_by": "ada", "channel": "cli", "reason": "a try"}
    with open_warehouse(settings, purpose="test") as warehouse:
        start_canary(warehouse, settings, lists, share=0.1, **who, now=NOW + timedelta(days=2))
    shown = run("status").output
    assert "The canary for_you-canary-0001 shows version 3 of recsys_for_you to 10.00% of the customers" in shown
    # What is live for everybody is still told as what is live.
    assert "p1 (version 1)" in shown


def test_rollback_asks_which_placement_when_several_are_live(settings: Settings, tmp_path: Path) -> None:
    with open_warehouse(settings, purpose="test") as warehouse:
        approve(warehouse, "1", placement="discover")
        lists = write_publication(tmp_path / "files", "d1", made_lists(), placement="discover")
        publish(warehouse, settings, lists, now=NOW)
    result = run("rollback")
    assert result.exit_code == 1
    assert "Several placements are live (for_you, discover)" in result.stderr


def test_init_writes_a_skeleton_and_overwrites_nothing(home: Path) -> None:
    assert run("init", "myshop").exit_code == 0
    assert Path("sql/staging/myshop/source.toml").is_file()
    again = run("init", "myshop")
    assert again.exit_code == 1
    assert "myshop" in again.stderr


def test_doctor_looks_and_makes_nothing(home: Path) -> None:
    result = run("doctor")
    assert result.exit_code == 0, result.output
    for what in ("python", "duckdb", "home", "disk", "warehouse", "mlflow"):
        assert what in result.output
    assert not home.exists()


def test_doctor_finds_what_is_wrong(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_warehouse(make_settings(tmp_path), purpose="test"):
        pass
    monkeypatch.setenv("RECSYS_TRACKING_URI", "http://127.0.0.1:9")
    result = run("doctor")
    assert result.exit_code == 1
    assert "how to mend it" in result.output
    assert "Run: recsys migrate" in result.output
    assert "WRONG" in result.output
    assert "http://127.0.0.1:9" in result.output
    told = run("doctor", "--json")
    assert told.exit_code == 1
    findings = {one["subject"]: one for one in json.loads(told.stdout)}
    assert {name for name, one in findings.items() if one["status"] == "wrong"} == {"migrations", "mlflow"}
    assert findings["migrations"]["advice"] == "Run: recsys migrate"


def test_version() -> None:
    assert run("--version").output.startswith("recsys 0.")


def test_a_stage_is_shown_with_seconds_memory_and_result() -> None:
    from io import StringIO

    from rich.console import Console

    out = StringIO()
    meter = StageMeter(Console(file=out, width=140))
    for stage, result in (
        ("snapshot", {"snapshot": "file:///x", "snapshot_id": "abc", "reused": False, "rows": {"events": 3}}),
        ("features", {"features": "file:///y", "reused": True}),
    ):
        meter(stage, None)
        meter(stage, result)
    meter.total()
    lines = out.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["snapshot", "features", "in"]
    assert "snapshot_id abc" in lines[0]
    assert lines[1].endswith("reused")
    assert all(" MiB" in line and " s " in line for line in lines)
    assert [cost.stage for cost in meter.costs] == ["snapshot", "features"]
    assert all(cost.peak_mib > 10 for cost in meter.costs)


def test_the_result_of_a_stage_in_a_few_words() -> None:
    assert describe({"lists": "file:///x", "customers": 1969, "score": 0.5, "placement": "for_you"}) == (
        "customers 1,969, score 0.5, placement for_you"
    )
    assert describe({"state": "file:///x", "shards": []}) == "done"


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="only Linux can reset the peak")
def test_the_peak_is_that_of_the_stage() -> None:
    block = bytearray(200 * 2**20)
    high = peak_mib()
    del block
    reset_peak()
    assert peak_mib() < high - 100


def test_naive_utc_is_read_once(settings: Settings) -> None:
    """A rollback's decision, move and status all carry the same moment."""
    run("rollback")
    with open_warehouse(settings, purpose="test") as warehouse:
        [decision] = warehouse.query("select decided_at from recsys.decisions where verdict = 'rolled_back'")
        [move] = warehouse.query("select moved_at from recsys.pointer_moves where cause = 'rolled_back'")
        [live] = warehouse.query("select live_at from recsys.publications where status = 'live'")
    moment = decision["decided_at"]
    assert moment == move["moved_at"] == live["live_at"]
    assert isinstance(moment, datetime) and moment.tzinfo is None
