"""Each thing that the doctor looks at is broken for real; its line and its advice are seen."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy

from recsys import registry
from recsys.doctor import NOTE, OK, WRONG, Finding, examine
from recsys.doctor.versions import python_finding
from recsys.moments import clock
from recsys.settings import Settings
from recsys.warehouse import migrate, open_warehouse
from tests.support.mlflow_server import free_port
from tests.support.postgres import make_database
from tests.support.publications import MODEL, approve
from tests.support.warehouse import make_settings


def look(settings: Settings, ahead: timedelta = timedelta()) -> dict[str, Finding]:
    """Return the findings by subject; ``ahead`` is how far this machine's clock goes wrong."""
    return {one.subject: one for one in examine(settings, lambda: clock() + ahead)}


def wrong(found: dict[str, Finding]) -> set[str]:
    assert all(one.advice for one in found.values() if one.status == WRONG)
    return {one.subject for one in found.values() if one.status == WRONG}


def change(settings: Settings, *statements: str) -> None:
    with open_warehouse(settings, purpose="test") as warehouse, warehouse.transaction() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_nothing_is_wrong_with_a_shop_that_works(settings: Settings) -> None:
    found = look(settings)
    assert wrong(found) == set()
    assert found["live, for_you"] == Finding("live, for_you", OK, f"p1, version 1 of {MODEL}, as the ledger says")
    assert found["shop"].found.endswith(" events")
    assert found["aliases"].found == "1 wanted by the ledger, and so they are"
    assert {"mlflow's version", "mlflow's clock"} <= set(found)
    assert found["airflow"].status == NOTE


def test_a_look_makes_nothing(tmp_path: Path) -> None:
    found = look(make_settings(tmp_path))
    assert wrong(found) == set()
    assert list(tmp_path.iterdir()) == []


def test_a_package_out_of_range(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, version in (("duckdb", "1.4.1"), ("apache_airflow", "2.11.0")):
        information = tmp_path / "path" / f"{name}-{version}.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    monkeypatch.syspath_prepend(tmp_path / "path")
    found = look(settings)
    assert wrong(found) == {"duckdb", "apache-airflow"}
    assert "1.4.1; tested with" in found["duckdb"].found
    assert "pip install 'duckdb<3,>=2.0'" in found["duckdb"].advice
    assert "docs/existing-airflow.md" in found["apache-airflow"].advice


@pytest.mark.parametrize(("version", "status"), [("3.10.14", WRONG), ("3.11.7", OK), ("3.13.1", OK), ("3.14.0", WRONG)])
def test_an_unsupported_python(version: str, status: str) -> None:
    found = python_finding(version)
    assert found.status == status
    assert ("make install PYTHON=" in found.advice) == (status == WRONG)


def test_a_home_that_cannot_be_written_on_a_full_disk() -> None:
    # The kernel's own file system takes no files, and has no room.
    found = look(make_settings(Path("/proc/recsys")))
    assert {"home", "disk"} <= wrong(found)
    assert "RECSYS_HOME" in found["home"].advice and "chown" in found["home"].advice
    assert found["disk"].found.startswith("0.00 GiB free") and "Make room" in found["disk"].advice


def test_a_warehouse_that_is_away(settings: Settings) -> None:
    away = settings.model_copy(update={"warehouse_url": f"postgresql://me:hunter2@127.0.0.1:{free_port()}/shop"})
    found = look(away)
    assert wrong(found) == {"warehouse", "ledger"}
    assert "Is the server running" in found["warehouse"].found
    assert "RECSYS_WAREHOUSE_URL" in found["warehouse"].advice
    assert not any("hunter2" in one.found + one.advice for one in found.values())


def test_a_warehouse_that_another_process_holds_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.doctor.warehouse.WAIT_SECONDS", 0.1)
    with open_warehouse(settings, purpose="a long load"):
        found = look(settings)
    assert "a long load" in found["warehouse"].found


def test_pending_migrations(settings: Settings) -> None:
    change(settings, "delete from recsys.schema_migrations where name like '0006%'")
    found = look(settings)
    assert wrong(found) == {"migrations"}
    assert (found["migrations"].found, found["migrations"].advice) == (
        "lacks 0006_monitoring.sql",
        "Run: recsys migrate",
    )


def test_a_role_without_rights_and_a_wrong_clock(tmp_path: Path, postgres_url: str) -> None:
    owner = make_settings(tmp_path, warehouse_url=make_database(postgres_url, "doctor_test"))
    with open_warehouse(owner, purpose="test") as warehouse:
        migrate(warehouse)
    assert wrong(look(owner)) == set()
    change(owner, "drop role if exists plain", "create role plain login")
    plain = owner.model_copy(update={"warehouse_url": str(owner.warehouse_url).replace("postgres@", "plain@")})
    found = look(plain, ahead=timedelta(hours=2))
    assert wrong(found) >= {"rights", "warehouse's clock"}
    assert "migrations" not in found
    assert "usage on recsys" in found["rights"].found
    # What it advises mends it.
    grants = found["rights"].advice.removeprefix("As the owner of the tables: ")
    change(owner, *grants.split("; "))
    mended = look(plain)
    assert mended["rights"] == Finding("rights", OK, "plain reads shop, writes recsys")
    assert wrong(mended) == set()
    change(owner, "revoke insert on recsys.decisions from plain", "revoke select on shop.items from plain")
    assert "insert on recsys.decisions, select on shop.items" in look(plain)["rights"].found
    change(owner, "drop owned by plain", "drop role plain")
    assert "7,200 s behind" in found["warehouse's clock"].found
    assert "time servers" in found["warehouse's clock"].advice
    assert sqlalchemy.make_url(str(plain.warehouse_url)).username == "plain"


def test_an_mlflow_that_is_away(settings: Settings) -> None:
    found = look(settings.model_copy(update={"tracking_uri": f"http://127.0.0.1:{free_port()}"}))
    assert wrong(found) == {"mlflow", "ledger"}
    assert "RECSYS_TRACKING_URI" in found["mlflow"].advice


def test_aliases_that_differ_from_the_ledger_and_mlflows_clock(settings: Settings) -> None:
    registry.set_alias(settings, MODEL, "champion", "2")
    found = look(settings, ahead=timedelta(minutes=-3))
    assert wrong(found) == {"alias champion", "mlflow's clock"}
    assert "MLflow has version 2, the ledger wants version 1" in found["alias champion"].found
    assert f"recsys approve {MODEL} 2" in found["alias champion"].advice
    assert " s ahead of this machine's" in found["mlflow's clock"].found
    with registry.connected(settings) as client:
        client.delete_registered_model_alias(MODEL, "champion")
    found = look(settings)
    assert wrong(found) == {"alias champion"}
    assert "MLflow has none" in found["alias champion"].found
    assert "recsys run, writes it" in found["alias champion"].advice


def test_an_mlflow_that_was_lost(settings: Settings) -> None:
    found = look(settings.model_copy(update={"tracking_uri": None}))
    assert wrong(found) == {"aliases"}
    assert "the ledger wants 1" in found["aliases"].found
    assert "RECSYS_TRACKING_URI" in found["aliases"].advice
    assert not (settings.resolved_home / "mlflow").exists()


@pytest.mark.parametrize(
    ("statement", "subject", "says", "advice"),
    [
        (
            "update recsys.publications set status = 'superseded'",
            "live, for_you",
            "the pointer names p1, but no publication is marked live",
            "recsys run --placement for_you",
        ),
        (
            "update recsys.pointers set publication_id = null",
            "live, for_you",
            "the pointer names nothing, but p1 is marked live",
            "recsys run --placement for_you",
        ),
        (
            "delete from recsys.decisions",
            "live, for_you",
            "the ledger has no champion",
            f"recsys approve {MODEL} 1 --reason WHY",
        ),
    ],
)
def test_a_ledger_that_differs_from_what_is_live(
    settings: Settings, statement: str, subject: str, says: str, advice: str
) -> None:
    change(settings, statement)
    found = look(settings)
    assert wrong(found) == {subject}
    assert says in found[subject].found
    assert advice in found[subject].advice


def test_a_warehouse_of_another_namespace(settings: Settings) -> None:
    found = look(settings.model_copy(update={"namespace": "othershop"}))
    assert wrong(found) == {"namespace"}
    assert "20 of 20 customers" in found["namespace"].found
    assert "RECSYS_NAMESPACE" in found["namespace"].advice


def test_live_files_that_are_behind_the_pointer(settings: Settings) -> None:
    manifest = settings.resolved_home / "live" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"publication_id": "p1"', '"publication_id": "p0"'))
    found = look(settings)
    assert wrong(found) == {"live files, for_you"}
    assert "show p0, the pointer names p1" in found["live files, for_you"].found
    manifest.unlink()
    assert "show nothing, the pointer names p1" in look(settings)["live files, for_you"].found


def test_a_champion_that_is_not_live_yet_is_only_noted(settings: Settings) -> None:
    with open_warehouse(settings, purpose="test") as warehouse:
        approve(warehouse, "2", now=datetime(2025, 1, 3))
    found = look(settings)
    assert wrong(found) == {"alias champion", "alias previous"}
    assert found["live, for_you"].status == NOTE
    assert "the champion is version 2" in found["live, for_you"].found
