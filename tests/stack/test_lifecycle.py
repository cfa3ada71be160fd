"""The real programs: started, watched, killed, ended. One start serves most tests, since it takes half a minute."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import httpx
import psutil
import pytest
from rich.console import Console

from recsys.errors import SettingsError, StackError
from recsys.settings import Settings, load_settings
from recsys.stack import Stack
from recsys.stack.airflow_api import PARTS
from recsys.stack.keys import USER
from recsys.stack.processes import session_members
from recsys.stack.up import addresses, make_ready
from tests.support.mlflow_server import free_port

UP = """
import sys
from pathlib import Path
from recsys.settings import load_settings
from recsys.stack.up import run_up
run_up(load_settings(home=Path(sys.argv[1]), airflow_port=int(sys.argv[2]), mlflow_port=int(sys.argv[3])))
"""


def quiet() -> Console:
    return Console(file=StringIO(), width=200)


def stack_settings(home: Path) -> Settings:
    return load_settings(home=home, airflow_port=free_port(), mlflow_port=free_port())


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(stack_settings(tmp_path_factory.mktemp("home")), quiet()) as started:
        make_ready(started)
        yield started


def members(stack: Stack) -> list[psutil.Process]:
    pids = session_members(process.pid for process in stack._parts.values())
    return [psutil.Process(pid) for pid in pids]


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    """What of them still runs; an orphan that its new parent has not collected yet doesn't."""
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_all_parts_are_healthy_and_listen_on_this_machine_only(stack: Stack) -> None:
    assert stack.api.health() == dict.fromkeys(PARTS, "healthy")
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for process in members(stack)
        for connection in process.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    wanted = {("127.0.0.1", stack.settings.airflow_port), ("127.0.0.1", stack.settings.mlflow_port)}
    assert listening == wanted


def test_our_dags_are_read_without_errors_and_the_pools_are_there(stack: Stack) -> None:
    assert stack.api.import_errors() == {}
    assert stack.api.has_dag("recsys_train")
    assert not stack.api.has_dag("another")
    assert [stack.api.pool_slots(f"recsys_{name}") for name in ("warehouse", "compute")] == [1, 2]
    make_ready(stack)  # again changes nothing


def test_the_addresses_and_the_log_in_are_shown(stack: Stack) -> None:
    console = quiet()
    console.print(addresses(stack))
    shown = console.file.getvalue()
    for part in (stack.layout.airflow_url, stack.layout.mlflow_url, stack.password):
        assert part in shown


def test_the_page_in_airflows_ui_is_for_those_who_are_logged_in(stack: Stack) -> None:
    with httpx.Client(base_url=stack.layout.airflow_url, trust_env=False) as anyone:
        assert anyone.get("/recommendations/").status_code == 401
        assert anyone.get("/recommendations/", headers={"Authorization": "Bearer made-up"}).status_code == 403
        login = {"username": USER, "password": stack.password}
        token = anyone.post("/auth/token", json=login).json()["access_token"]
        by_header = anyone.get("/recommendations/", headers={"Authorization": f"Bearer {token}"})
        by_session = anyone.get("/recommendations/", cookies={"_token": token})
    assert (by_header.status_code, by_session.status_code) == (200, 200)
    assert "Nothing is published here yet" in by_header.text
    assert by_session.text == by_header.text


def test_a_parameter_that_cannot_be_used_is_refused_by_airflow(stack: Stack) -> None:
    with pytest.raises(StackError, match="as_of"):
        stack.api.trigger("recsys_train", {"as_of": "soon"}, "test")
    assert stack.api.runs("recsys_train") == []


def test_a_second_stack_of_the_same_home_uses_the_first(stack: Stack) -> None:
    other_ports = load_settings(home=stack.layout.home, airflow_port=free_port(), mlflow_port=free_port())
    with Stack(other_ports, quiet()) as second:
        second.wait_until_healthy()
        assert second.attached
        assert second.layout.airflow_url == stack.layout.airflow_url
        assert second.api.has_dag("recsys_train")
    stack.check()  # it was left running


def test_a_port_that_is_taken_is_said_before_anything_starts(stack: Stack, tmp_path: Path) -> None:
    taken = load_settings(home=tmp_path, airflow_port=stack.settings.airflow_port, mlflow_port=free_port())
    with pytest.raises(StackError, match=rf"port {taken.airflow_port} .*RECSYS_AIRFLOW_PORT"), Stack(taken, quiet()):
        pass
    assert not (tmp_path / "airflow").exists()


def test_one_port_for_both_is_refused(tmp_path: Path) -> None:
    port = free_port()
    same = load_settings(home=tmp_path, airflow_port=port, mlflow_port=port)
    with pytest.raises(SettingsError, match=f"can't both have port {port}"), Stack(same, quiet()):
        pass


def test_a_killed_scheduler_is_named_and_nothing_is_left_behind(stack: Stack) -> None:
    # The last test of the started stack: it ends it.
    everything = members(stack)
    [scheduler] = [process for part, process in stack._parts.items() if part.name == "scheduler"]
    scheduler.kill()
    with pytest.raises(StackError, match=r"scheduler was ended by SIGKILL.*recsys up"):
        stack.watch()
    stack.stop()
    assert living(everything) == []
    for port in (stack.settings.airflow_port, stack.settings.mlflow_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert not (stack.layout.stack / "stack.json").exists()


@pytest.fixture
def starting(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", list[psutil.Process]]]:
    """A program that has just begun to start a stack, with the processes that it has made so far."""
    settings = stack_settings(tmp_path)
    ports = (str(settings.airflow_port), str(settings.mlflow_port))
    program = subprocess.Popen(
        [sys.executable, "-c", UP, str(tmp_path), *ports], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    log = tmp_path / "stack" / "logs" / "airflow-db-migrate.log"
    while not (log.exists() and log.stat().st_size):  # it has started the reaper, MLflow, and Airflow's migration
        assert program.poll() is None, program.stdout and program.stdout.read()
    yield program, psutil.Process(program.pid).children(recursive=True)
    program.kill()
    program.wait()


def test_when_the_program_is_killed_everything_ends(
    starting: tuple["subprocess.Popen[str]", list[psutil.Process]],
) -> None:
    program, children = starting
    assert len(children) >= 3
    program.kill()
    program.wait()
    psutil.wait_procs(children, timeout=60)
    assert living(children) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopping_signal_ends_everything(
    starting: tuple["subprocess.Popen[str]", list[psutil.Process]], number: signal.Signals
) -> None:
    program, children = starting
    os.kill(program.pid, number)
    assert program.stdout is not None
    assert "KeyboardInterrupt" in program.stdout.read()
    program.wait()
    assert living(children) == []
