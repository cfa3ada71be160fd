"""What is checked before anything starts: addresses, ports, room on the disk."""

import ipaddress
import shutil
import socket
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import psutil

from recsys.errors import StackError

HOST = "127.0.0.1"
DISK_NEEDED_GIB = 1.0
MLFLOW_LOGIN = (
    "MLFLOW_AUTH_CONFIG_PATH",
    "MLFLOW_FLASK_SERVER_SECRET_KEY",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
)
"""What MLflow's log-in is told by: the users' database, the key of its forms, and as whom the platform itself comes."""


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine alone.

    Raises:
        StackError: if it is no address.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError as error:
        raise StackError(
            f"{host!r} is no address to listen at; use one of this machine's, such as {HOST}, or 0.0.0.0 for all."
        ) from error


def is_everywhere(host: str) -> bool:
    """Tell whether an address stands for all addresses of this machine."""
    return host in (str(ipaddress.IPv4Address(0)), str(ipaddress.IPv6Address(0)))


def check_address(host: str, environment: Mapping[str, str]) -> None:
    """Refuse to listen where other machines reach it unless both servers ask who somebody is.

    Airflow always does. MLflow does with its basic-auth application, which needs all of ``MLFLOW_LOGIN``.

    Raises:
        StackError: naming what is missing.
    """
    missing = [name for name in MLFLOW_LOGIN if not environment.get(name)]
    if not is_loopback(host) and missing:
        raise StackError(
            f"Nothing was started: at {host} other machines would reach MLflow, which asks nobody for a log-in. Set "
            f"{', '.join(missing)} (docs/security.md says how), or leave out --host and RECSYS_HOST to serve "
            f"{HOST} only."
        )


def check_disk(folder: Path, needed_gib: float = DISK_NEEDED_GIB) -> None:
    """Check that a folder's disk has room for databases, logs and artifacts.

    Raises:
        StackError: naming the folder, what is free and what is needed.
    """
    free = shutil.disk_usage(folder).free / 2**30
    if free < needed_gib:
        raise StackError(
            f"Only {free:.2f} GiB are free for {folder}; Airflow, MLflow and a run need {needed_gib:.1f} "
            "GiB. Make room, or set RECSYS_HOME to a folder on another disk."
        )


def check_port(port: int, program: str, setting: str) -> None:
    """Check that nobody listens on a port of this machine.

    Raises:
        StackError: naming the port, who holds it where that can be seen, and the setting to change.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port that is only winding down after a stop is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise StackError(
                f"{program} can't use port {port} of {HOST}: {port_holder(port)}. "
                f"End that program, or set {setting} to a free port."
            ) from error


def port_holder(port: int) -> str:
    """Return a phrase that says who listens on a port, as far as this user may see it."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return "another program listens there"
    for connection in connections:
        is_holder = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
        if is_holder and connection.pid:
            return f"process {connection.pid} ({_name(connection.pid)}) listens there"
    return "another program listens there"


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return "ended meanwhile"


def check_loopback(pids: Iterable[int], *, served: Collection[int] = ()) -> None:
    """Check that none of the processes listens on an address that other machines reach.

    Airflow's parts open log servers on all addresses unless told not to; this guards against a
    version that opens another one.

    Args:
        pids: the processes.
        served: ports that may be reached, since a log-in stands before them.

    Raises:
        StackError: naming the address, the port and the process.
    """
    for pid in pids:
        try:
            connections = psutil.Process(pid).net_connections(kind="tcp")
        except psutil.Error:
            continue  # ended meanwhile, or not ours to look at
        for connection in connections:
            if connection.status != psutil.CONN_LISTEN or not connection.laddr:
                continue
            address, port = connection.laddr[0], connection.laddr[1]
            if port not in served and not is_loopback(address):
                raise StackError(
                    f"Process {pid} ({_name(pid)}) listens on {address}:{port}, which other machines can "
                    f"reach; the local stack serves {HOST} only and was not kept running."
                )
