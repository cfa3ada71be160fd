"""Planted secrets are found nowhere: not in logs, messages, MLflow, artifacts, nor in what Airflow keeps."""

import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from recsys import registry
from recsys.errors import RecsysError, SettingsError
from recsys.redaction import redact, redact_text, secrets_in
from recsys.registry.flatten import parameters
from recsys.settings import CandidateSettings, Settings, load_settings
from recsys.warehouse import open_warehouse
from recsys.warehouse.opening import warehouse_url
from tests.support import chain
from tests.support.mlflow_server import free_port, mlflow_server
from tests.support.planted import quick_settings
from tests.support.postgres import make_database

# One of each kind, with characters that are written otherwise in an address.
WAREHOUSE, TRACKING, WEBHOOK, OPTION = "ware/Hush1", "trAck-Hush2", "hook-hush-3-sixteen-letters", "optIon-Hush4"
WRITTEN = WAREHOUSE.replace("/", "%2F")
PLANTED = (WAREHOUSE, WRITTEN, TRACKING, WEBHOOK, OPTION)


def found_in(text: str | bytes) -> list[str]:
    raw = text if isinstance(text, bytes) else text.encode()
    return [secret for secret in PLANTED if secret.encode() in raw]


def found_below(folder: Path) -> dict[str, list[str]]:
    """Look through every file, databases and artifacts included, and through the names of files."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    looked = {str(path): found_in(str(path).encode() + path.read_bytes()) for path in files}
    return {name: secrets for name, secrets in looked.items() if secrets}


@dataclass(frozen=True)
class Shown:
    """All that a run put before people."""

    settings: Settings
    logged: str
    told: str


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Shown]:
    """A chain over PostgreSQL and an MLflow server, both addresses with a log-in."""
    folder = tmp_path_factory.mktemp("hush")
    address = make_database(postgres_url, "hush").replace("postgresql://postgres@", f"postgresql://postgres:{WRITTEN}@")
    home = folder / "home"
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(logging.Formatter().format(record))  # type: ignore[method-assign]
    root = logging.getLogger()
    level = root.level
    with mlflow_server(home) as server, pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        settings = quick_settings(
            folder,
            warehouse_url=address,
            tracking_uri=server.replace("http://", f"http://ada:{TRACKING}@"),
            review={"webhook_secret": WEBHOOK},
            candidates=CandidateSettings(generators=("item_bm25", "popularity", "repurchase"), per_generator=40),
        )
        chain.write_chain_shop(settings, users=60)
        ran = chain.run(settings, placements=["for_you"])
        root.removeHandler(handler)
        root.setLevel(level)
        yield Shown(settings, "\n".join(records), repr(ran.result) + repr(ran.stages))


def test_nothing_of_a_chain_holds_a_secret(shown: Shown) -> None:
    assert "published" in shown.told
    assert found_in(shown.told) == []
    assert len(shown.logged) > 1000
    assert found_in(shown.logged) == []
    # MLflow's database, artifacts and log stand below home, as do snapshots, models and the live files.
    assert (shown.settings.resolved_home / "mlflow" / "mlflow.db").is_file()
    assert found_below(shown.settings.resolved_home) == {}


def test_the_search_would_find_one(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\x00at http://ada:" + TRACKING.encode() + b"@host")
    assert list(found_below(tmp_path).values()) == [[TRACKING]]


def test_neither_settings_nor_what_mlflow_gets_of_them_shows_one(shown: Shown) -> None:
    for text in (repr(shown.settings), str(shown.settings), repr(parameters(shown.settings))):
        assert found_in(text) == []
    assert "postgresql" in parameters(shown.settings)["warehouse_url"]
    assert set(shown.settings.secrets) == {WAREHOUSE, WRITTEN, TRACKING, WEBHOOK}


@pytest.mark.parametrize("command", [["doctor"], pytest.param(["run"], marks=pytest.mark.soak)])
def test_commands_show_none_whether_they_work_or_fail(shown: Shown, tmp_path: Path, command: list[str]) -> None:
    good = (str(shown.settings.warehouse_url), str(shown.settings.tracking_uri))
    refused = f"http://ada:{TRACKING}@127.0.0.1:{free_port()}"
    bad = (f"postgresql://ada:{WRITTEN}@127.0.0.1:{free_port()}/shop?sslpassword={OPTION}", refused)
    for warehouse, tracking in (bad,) if command == ["run"] else (good, bad):
        told = {"RECSYS_WAREHOUSE_URL": warehouse, "RECSYS_TRACKING_URI": tracking}
        told |= {"RECSYS_HOME": str(tmp_path), "RECSYS_REVIEW__WEBHOOK_SECRET": WEBHOOK, "MLFLOW_TRACKING_URI": ""}
        done = subprocess.run(
            [sys.executable, "-m", "recsys", *command],
            env={**os.environ, **told},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        said = done.stdout + done.stderr
        assert said.strip()
        assert found_in(said) == []


def failing_warehouses() -> list[str]:
    port = 1  # nobody listens there; a name of a test that differs from process to process can't be shared out
    return [
        f"postgresql://ada:{WRITTEN}@127.0.0.1:{port}/shop?sslpassword={OPTION}",
        f"postgresql://ada:{WRITTEN}@no-such-host.invalid/shop",
        f"postgresql://ada:{WRITTEN}@127.0.0.1:{port}/shop?password={OPTION}&nonsense=1",
        f"postgresql://ada:{WAREHOUSE}@127.0.0.1:{port}/shop",
        f"postgresql://ada:{WRITTEN}@127.0.0.1:notaport{WRITTEN}/shop",
        f"mysql://ada:{WRITTEN}@127.0.0.1/shop",
        f"ada:{WRITTEN}",
        WRITTEN,
    ]


def whole_text(error: BaseException) -> str:
    """What is printed of an error with all that caused it, and what it is made of."""
    chained: list[BaseException] = []
    one: BaseException | None = error
    while one is not None:
        chained.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return "".join(traceback.format_exception(error)) + "".join(f"{part!s}{part!r}" for part in chained)


@pytest.mark.parametrize("address", failing_warehouses())
def test_a_warehouse_that_cannot_be_opened_tells_no_password(tmp_path: Path, address: str) -> None:
    settings = load_settings(home=tmp_path, warehouse_url=address)
    with pytest.raises(RecsysError) as caught, open_warehouse(settings, purpose="test"):
        pass
    assert found_in(whole_text(caught.value)) == []


def test_a_wrong_password_is_not_repeated(tmp_path: Path, shown: Shown) -> None:
    """Nor is the one of a bulk read, which goes by a driver of its own."""
    with open_warehouse(shown.settings, purpose="test") as warehouse:
        with pytest.raises(RecsysError) as caught, warehouse.read_arrow("select * from shop.nothing"):
            pass
        assert found_in(whole_text(caught.value)) == []
        assert found_in(warehouse.name) == []


def test_an_mlflow_that_cannot_be_used_tells_no_password(tmp_path: Path) -> None:
    for address in (f"http://ada:{TRACKING}@127.0.0.1:{free_port()}", f"http://ada:{TRACKING}@no-such-host.invalid"):
        settings = load_settings(home=tmp_path, tracking_uri=address)
        with pytest.raises(RecsysError) as caught, registry.connected(settings):
            pass
        assert found_in(str(caught.value)) == []


@pytest.mark.parametrize(
    "given",
    [
        {"review": {"webhook_secret": "hook-hush"}},
        {"review": {"webhook_secret": [WEBHOOK]}},
        {"warehouse_url": [f"postgresql://ada:{WRITTEN}@host/shop"]},
        {"home": f"s3://ada:{TRACKING}@bucket"},
        {"warehouse_ulr": f"postgresql://ada:{WRITTEN}@host/shop"},
    ],
)
def test_a_setting_that_cannot_be_used_is_not_shown_if_it_is_secret(given: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(**given)
    assert found_in(whole_text(caught.value)) == []
    assert "hook-hush" not in whole_text(caught.value)


def test_what_is_secret_in_an_address() -> None:
    assert secrets_in(f"postgresql://ada:{WRITTEN}@host:5432/shop?sslpassword={OPTION}&host=x") == sorted(
        {WAREHOUSE, WRITTEN, OPTION}
    )
    assert secrets_in("postgresql://ada@host/shop") == []
    assert secrets_in("sqlite:////a/b.db") == []
    assert redact(f"http://ada:{TRACKING}@host:5000/x?token={OPTION}") == "http://host:5000/x"
    assert redact_text(f"can't reach postgresql://a:{WRITTEN}@h/d?password={OPTION}&x=1: refused") == (
        "can't reach postgresql://h/d?password=***&x=1: refused"
    )
    assert warehouse_url(load_settings(warehouse_url="postgresql://a:b@h/d")).password == "b"
