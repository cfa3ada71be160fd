"""A PostgreSQL server of the tests' own, run by an unprivileged user and reached by a socket file only."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

# It refuses to run as root; Debian's package makes this user.
_USER = "postgres"


def postgres_programs() -> Path | None:
    """Return the folder of initdb and pg_ctl, or None if PostgreSQL isn't installed or may not run here."""
    on_path = shutil.which("pg_ctl")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = [Path(on_path).parent] if on_path else [folder for folder in folders if (folder / "pg_ctl").is_file()]
    return found[0] if found and (os.geteuid() != 0 or _has_user()) else None


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a server's database ``postgres``, one server for each test process.

    A missing server is a failure: half of the tests of the warehouse would silently not run. A contributor who can't
    have one says so with RECSYS_TEST_POSTGRES=no.
    """
    if os.environ.get("RECSYS_TEST_POSTGRES") == "no":
        pytest.skip("RECSYS_TEST_POSTGRES=no: not tested on PostgreSQL")
    programs = postgres_programs()
    if programs is None:
        pytest.fail(
            "PostgreSQL's programs (initdb, pg_ctl) are missing, or there is no unprivileged user to run them: make "
            "system-packages installs them. To leave out the tests on PostgreSQL: RECSYS_TEST_POSTGRES=no"
        )
    with postgres_server(programs) as url:
        yield url


def make_database(server: str, name: str, *, template: str | None = None) -> str:
    """Make a database on the server of :func:`postgres_url`, and return its URL.

    Args:
        server: the server's URL.
        name: lower-case letters, digits and underscores; a database of that name is dropped.
        template: a database that nobody is connected to, of which it is a copy; empty if absent.
    """
    drop_database(server, name)
    execute_on(server, f"create database {name}" + (f" template {template}" if template else ""))
    return server.replace("/postgres?", f"/{name}?")


def drop_database(server: str, name: str) -> None:
    """Drop a database of the server, whoever is connected to it."""
    execute_on(server, f"drop database if exists {name} with (force)")


def execute_on(url: str, *statements: str) -> None:
    """Run statements on a database, each in a transaction of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@contextmanager
def postgres_server(programs: Path) -> Iterator[str]:
    """Run a server that listens on a socket file only, and give the URL of its database ``postgres``."""
    user = _USER if os.geteuid() == 0 else None
    # Short, and outside pytest's folders: a socket's path has 107 letters, and those folders are ours alone.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    if user is not None:
        shutil.chown(folder, user)
    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c full_page_writes=off -c shared_buffers=64MB"
    try:
        _run(user, programs / "initdb", "-D", folder / "data", "-A", "trust", "-U", _USER, "-E", "UTF8")
        _run(user, programs / "pg_ctl", "-D", folder / "data", "-l", folder / "log", "-o", options, "-w", "start")
        try:
            yield f"postgresql://{_USER}@/postgres?host={folder}"
        finally:
            _run(user, programs / "pg_ctl", "-D", folder / "data", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def crash_and_restart(url: str, programs: Path) -> None:
    """End the server of :func:`postgres_server` at once, as a crash does, and start it again."""
    folder = Path(url.partition("host=")[2])
    user = _USER if os.geteuid() == 0 else None
    _run(user, programs / "pg_ctl", "-D", folder / "data", "-l", folder / "log", "-m", "immediate", "-w", "restart")


def _has_user() -> bool:
    import pwd

    return any(entry.pw_name == _USER for entry in pwd.getpwall())


def _run(user: str | None, *command: str | Path) -> None:
    # pg_ctl's server keeps what it inherits open: with a pipe this would wait for it for ever.
    subprocess.run(
        list(map(str, command)),
        check=True,
        user=user,
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
