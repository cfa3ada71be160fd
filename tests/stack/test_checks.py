import os
import socket
from pathlib import Path

import pytest

from recsys.errors import StackError
from recsys.stack.checks import check_disk, check_loopback, check_port
from recsys.stack.faults import part_ended


@pytest.fixture
def listener() -> socket.socket:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken


def test_a_taken_port_is_named_with_its_holder_and_the_setting(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(StackError) as caught:
        check_port(port, "Airflow", "RECSYS_AIRFLOW_PORT")
    message = str(caught.value)
    assert f"port {port}" in message
    assert f"process {os.getpid()}" in message
    assert "set RECSYS_AIRFLOW_PORT to a free port" in message


def test_a_port_that_was_given_back_is_free(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    client = socket.create_connection(("127.0.0.1", port))
    listener.accept()[0].close()  # the server closes first: the port winds down for a while
    client.close()
    listener.close()
    check_port(port, "MLflow", "RECSYS_MLFLOW_PORT")


def test_too_little_room_is_said_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"Only \d+\.\d\d GiB are free .* 1000000\.0 GiB.* RECSYS_HOME"):
        check_disk(tmp_path, needed_gib=1e6)


def test_listening_on_this_machine_only_is_fine(listener: socket.socket) -> None:
    check_loopback([os.getpid()])


def test_listening_where_others_can_reach_is_refused() -> None:
    with socket.socket() as open_to_all:
        open_to_all.bind(("0.0.0.0", 0))
        open_to_all.listen()
        port = open_to_all.getsockname()[1]
        with pytest.raises(StackError, match=rf"0\.0\.0\.0:{port}, which other machines can reach"):
            check_loopback([os.getpid()])


@pytest.mark.parametrize(
    ("code", "log", "said"),
    [
        (-9, "", "was ended by SIGKILL. Somebody killed it, or the machine ran out of memory"),
        (1, "OSError: [Errno 28] No space left on device", "ended with code 1. The disk is full: make room"),
        (3, "[Errno 98] Address already in use", "Another program took its port"),
        (2, "something else", "ended with code 2. `recsys up` starts everything again."),
    ],
)
def test_a_part_that_ended_is_explained_with_the_end_of_its_log(code: int, log: str, said: str) -> None:
    message = str(part_ended("scheduler", code, log))
    assert message.startswith("The local stack's scheduler ")
    assert said in message
    assert message.endswith(log)
