"""The local servers are for this machine, unless both ask who somebody is."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from recsys.errors import StackError
from recsys.stack.checks import MLFLOW_LOGIN, check_address, check_loopback, is_loopback
from recsys.stack.environment import Layout, server_environment, stack_environment
from recsys.stack.keys import load_keys
from recsys.stack.stack import Stack, _mlflow_part
from tests.support.mlflow_server import free_port, wait_for_mlflow
from tests.support.warehouse import make_settings

WHOLE = dict.fromkeys(MLFLOW_LOGIN, "set")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.5", "::1", "localhost"])
def test_this_machine_needs_no_log_in(host: str) -> None:
    assert is_loopback(host)
    check_address(host, {})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "8.8.8.8"])
@pytest.mark.parametrize("lacking", MLFLOW_LOGIN)
def test_elsewhere_all_of_the_log_in_is_needed(host: str, lacking: str) -> None:
    with pytest.raises(StackError, match=f"Set {lacking}"):
        check_address(host, {**WHOLE, lacking: ""})
    check_address(host, WHOLE)


@pytest.mark.parametrize("host", ["", "shop.example", "0.0.0.0.0", "127.1"])
def test_what_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(StackError, match="no address to listen at"):
        check_address(host, WHOLE)


@pytest.mark.parametrize("way", ["option", "setting"])
def test_up_starts_nothing_at_another_address(tmp_path: Path, way: str) -> None:
    home = tmp_path / "home"
    clean = {name: value for name, value in os.environ.items() if name not in MLFLOW_LOGIN}
    said = {**clean, "RECSYS_HOME": str(home)} | ({"RECSYS_HOST": "0.0.0.0"} if way == "setting" else {})
    words = ["--host", "0.0.0.0"] if way == "option" else []
    command = [sys.executable, "-m", "recsys", "up", *words]
    done = subprocess.run(command, env=said, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "MLFLOW_AUTH_CONFIG_PATH" in done.stderr
    assert "Traceback" not in done.stderr
    assert not home.exists()


def test_both_servers_are_told_the_address_and_mlflow_its_log_in(tmp_path: Path) -> None:
    for host, near, has_login in (("127.0.0.1", "127.0.0.1", False), ("0.0.0.0", "127.0.0.1", True)):
        settings = make_settings(tmp_path, host=host)
        layout = Layout.of(settings)
        command = _mlflow_part(settings, layout).command
        assert command[command.index("--host") + 1] == host
        assert ("basic-auth" in command) == has_login
        assert stack_environment(settings, layout, load_keys(tmp_path))["AIRFLOW__API__HOST"] == host
        assert layout.airflow_url == f"http://{near}:{settings.airflow_port}"


def test_a_stack_that_may_not_listen_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in MLFLOW_LOGIN:
        monkeypatch.delenv(name, raising=False)
    stack = Stack(make_settings(tmp_path, host="0.0.0.0"))
    with pytest.raises(StackError, match="Nothing was started"):
        stack.launch()
    assert not (tmp_path / "home").exists()


@pytest.mark.soak
def test_an_mlflow_with_a_log_in_answers_nobody_without_it(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, host="0.0.0.0", mlflow_port=free_port())
    layout = Layout.of(settings)
    layout.mlflow.mkdir(parents=True)
    config = tmp_path / "auth.ini"
    config.write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{tmp_path / 'auth.db'}\nadmin_username = ada\n"
        "admin_password = a-long-enough-password\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n",
        encoding="utf-8",
    )
    command = [word if word != "0.0.0.0" else "127.0.0.1" for word in _mlflow_part(settings, layout).command]
    told = {"MLFLOW_AUTH_CONFIG_PATH": str(config), "MLFLOW_FLASK_SERVER_SECRET_KEY": "only for tests"}
    log = tmp_path / "log"
    with log.open("w", encoding="utf-8") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**os.environ, **server_environment(load_keys(tmp_path)), **told},
            stdout=out,
            stderr=out,
            cwd=tmp_path,
            start_new_session=True,
        )
    try:
        wait_for_mlflow(server.poll, settings.mlflow_port, log)
        address = f"http://127.0.0.1:{settings.mlflow_port}/api/2.0/mlflow/experiments/search?max_results=1"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address)
        assert refused.value.code == 401
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=30)


def test_a_served_port_may_be_reached_and_no_other() -> None:
    import socket

    with socket.socket() as listening:
        listening.bind(("0.0.0.0", 0))
        listening.listen()
        port = listening.getsockname()[1]
        check_loopback([os.getpid()], served=(port,))
        with pytest.raises(StackError, match=f"0.0.0.0:{port}"):
            check_loopback([os.getpid()], served=(port + 1,))
