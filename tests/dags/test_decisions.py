"""The DAGs that decide, run by Airflow on made versions and made lists: SQLite for Airflow and MLflow."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recsys import ledger, registry
from recsys.assets import assets_root
from recsys.publication import list_canaries, live_publication, publish, start_canary
from recsys.settings import Settings, load_settings
from recsys.warehouse import open_warehouse
from tests.support.airflow_home import migrate_database
from tests.support.publications import ITEMS, NOW, approve, made_lists, write_publication
from tests.support.reviews import PLACEMENT, Peek, register
from tests.support.warehouse import write_small_shop

MODEL = "recsys_for_you"
WHO = "dag_test (for ada)"  # whom Airflow knows as the one who triggered it, and the form's field


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with three versions in MLflow and the lists p1 and p2 live one after the other; an Airflow database."""
    home = tmp_path_factory.mktemp("template") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECSYS_HOME", str(home))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        settings = load_settings()
        (home / "mlflow").mkdir(parents=True)
        register(settings)
        with open_warehouse(settings, purpose="test") as warehouse:
            write_small_shop(warehouse, users=60, items=ITEMS, days=60)
            for number in (1, 2):
                approve(warehouse, str(number))
                lists = made_lists(shift=number, label=f"p{number}")
                made = write_publication(home / "files", f"p{number}", lists, version=str(number))
                publish(warehouse, settings, made, now=NOW)
        migrate_database()
        yield home


@pytest.fixture
def settings(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The tasks' own settings, on a copy of the home; version 2 serves, version 1 did before."""
    shutil.copytree(template, tmp_path / "home")
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return load_settings()


@pytest.fixture
def warehouse(settings: Settings) -> Peek:
    return Peek(settings)


@pytest.fixture(scope="module")
def dags(template: Path) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import BundleDagBag

    folder = assets_root() / "dags"
    return dict(BundleDagBag(dag_folder=str(folder), bundle_path=folder, load_op_links=False).dags)


def run(dag: Any, **conf: object) -> Any:
    """Run a DAG of one task in this process and return its task instance."""
    [instance] = dag.test(run_conf=conf, logical_date=datetime.now(UTC)).get_task_instances()
    return instance


def announced(instance: Any) -> list[str]:
    """Return the assets of which a task instance's run sent an event."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = (
            select(AssetModel.name)
            .join(AssetEvent, AssetEvent.asset_id == AssetModel.id)
            .where(AssetEvent.source_run_id == instance.run_id, AssetEvent.source_dag_id == instance.dag_id)
        )
        return list(session.scalars(query))


def live(settings: Settings) -> str:
    with open_warehouse(settings, purpose="test") as opened:
        found = live_publication(opened, PLACEMENT)
    assert found is not None
    return found.publication_id


def conf(version: str, verdict: str, **changes: object) -> dict[str, object]:
    told = {"model": MODEL, "version": version, "verdict": verdict, "reason": "seen in the shop", "decided_by": "ada"}
    return {**told, **changes}


def test_an_approval_is_recorded_and_announced(settings: Settings, warehouse: Peek, dags: dict[str, Any]) -> None:
    done = run(dags["recsys_decide"], **conf("1", "approved"))
    assert str(done.state) == "success"
    assert announced(done) == ["recsys_champion"]
    last = warehouse.decisions()[-1]
    assert (last.model_version, last.verdict, last.decided_by, last.channel) == ("1", "approved", WHO, "airflow")
    assert warehouse.champion() == registry.get_alias(settings, MODEL, "champion") == "1"


def test_a_rejection_is_recorded_and_not_announced(settings: Settings, warehouse: Peek, dags: dict[str, Any]) -> None:
    done = run(dags["recsys_decide"], **conf("1", "rejected"))
    assert (str(done.state), announced(done)) == ("skipped", [])
    assert (warehouse.decisions()[-1].verdict, warehouse.champion()) == ("rejected", "2")


def test_what_the_gate_failed_needs_the_override(settings: Settings, warehouse: Peek, dags: dict[str, Any]) -> None:
    failed = run(dags["recsys_decide"], **conf("3", "approved"))
    assert (str(failed.state), failed.try_number, announced(failed)) == ("failed", 1, [])
    assert len(warehouse.decisions()) == 2
    done = run(dags["recsys_decide"], **conf("3", "approved", override=True))
    assert str(done.state) == "success"
    assert warehouse.decisions()[-1].reason == "override: seen in the shop"


def test_a_rollback_is_live_at_once_and_the_alias_follows(
    settings: Settings, warehouse: Peek, dags: dict[str, Any]
) -> None:
    back = {"placement": PLACEMENT, "reason": "too many sweets", "decided_by": "ada", "publication": "p2"}
    done = run(dags["recsys_rollback"], **back)
    assert str(done.state) == "success"
    assert live(settings) == "p1"
    last = warehouse.decisions()[-1]
    assert (last.verdict, last.decided_by, last.channel) == ("rolled_back", WHO, "airflow")
    assert warehouse.champion() == registry.get_alias(settings, MODEL, "champion") == "1"
    # A second click on the same button.
    assert str(run(dags["recsys_rollback"], **back).state) == "success"
    assert (live(settings), len(warehouse.decisions())) == ("p1", 3)


def test_a_rollback_holds_while_mlflow_is_away(
    settings: Settings, warehouse: Peek, dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert str(run(dags["recsys_reconcile"]).state) == "skipped"  # which writes the aliases
    assert registry.get_alias(settings, MODEL, "champion") == "2"
    with monkeypatch.context() as patch:
        patch.setenv("RECSYS_TRACKING_URI", "http://127.0.0.1:9")
        done = run(dags["recsys_rollback"], placement=PLACEMENT, reason="too many sweets", decided_by="ada")
    assert str(done.state) == "success"
    assert (live(settings), registry.get_alias(settings, MODEL, "champion")) == ("p1", "2")
    later = run(dags["recsys_reconcile"])
    assert (str(later.state), announced(later)) == ("skipped", [])
    assert (live(settings), registry.get_alias(settings, MODEL, "champion")) == ("p1", "1")
    assert [one.channel for one in warehouse.decisions()] == ["cli", "cli", "airflow"]


def test_a_move_in_mlflow_is_followed_and_announced(settings: Settings, warehouse: Peek, dags: dict[str, Any]) -> None:
    run(dags["recsys_reconcile"])
    registry.set_alias(settings, MODEL, "champion", "1")
    done = run(dags["recsys_reconcile"])
    assert (str(done.state), announced(done)) == ("success", ["recsys_champion"])
    last = warehouse.decisions()[-1]
    assert (last.verdict, last.channel) == (ledger.APPROVED, "mlflow")
    registry.set_alias(settings, MODEL, "champion", "3")
    refused = run(dags["recsys_reconcile"])
    assert (str(refused.state), announced(refused)) == ("skipped", [])
    assert registry.get_alias(settings, MODEL, "champion") == "1"


def test_a_canary_is_widened_and_ended_by_a_form(settings: Settings, warehouse: Peek, dags: dict[str, Any]) -> None:
    lists = write_publication(settings.resolved_home / "files", "c1", made_lists(label="c1"), version="1")
    who: Any = {"decided_by": "ada", "channel": "cli", "reason": "worth a try"}
    with open_warehouse(settings, purpose="test") as opened:
        begun = start_canary(opened, settings, lists, share=0.1, **who, now=NOW)

    def tasks(action: str, **form: object) -> dict[str, str]:
        # All of the form: a DAG that is run in this process keeps what it was given before.
        empty = {"version": "", "share": 10, "canary": "", "reason": "seen", "decided_by": "ada"}
        asked = {**empty, "action": action, "placement": PLACEMENT, **form}
        done = dags["recsys_canary"].test(run_conf=asked, logical_date=datetime.now(UTC))
        return {one.task_id: str(one.state) for one in done.get_task_instances()}

    moved = {"action": "success", "move": "success", "snapshot": "skipped", "trial": "skipped"}
    assert tasks("widen", share=50, canary=begun.canary_id) == moved
    assert tasks("widen", share=60, canary="for_you-canary-0009")["move"] == "failed"
    assert tasks("start")["action"] == "failed"  # which version?
    with open_warehouse(settings, purpose="test") as opened:
        [wider] = list_canaries(opened, PLACEMENT)
    assert (wider.share, wider.status) == (0.5, "running")
    assert tasks("withdraw") == moved
    with open_warehouse(settings, purpose="test") as opened:
        assert [one.status for one in list_canaries(opened, PLACEMENT)] == ["withdrawn"]
    said = [(one.verdict, one.decided_by, one.channel) for one in warehouse.decisions()[-2:]]
    assert said == [("canary", WHO, "airflow"), ("rejected", WHO, "airflow")]
    assert live(settings) == "p2"
