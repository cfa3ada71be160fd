"""A PostgreSQL server of the tests' own, where PostgreSQL is installed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy

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
    """The URL of a server's database ``postgres``; import it into a conftest. Skips where there is none."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed here")
    with postgres_server(programs) as url:
        yield url


def fresh_database(server: str, name: str) -> str:
    """Make an empty database on the server of :func:`postgres_url`, and return its URL."""
    url = server.replace("postgresql:", "postgresql+psycopg:")
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"drop database if exists {name}")
        connection.exec_driver_sql(f"create database {name}")
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?")


@contextmanager
def postgres_server(programs: Path) -> Iterator[str]:
    """Run a server that listens on a socket file only, and give the URL of its database ``postgres``."""
    user = _USER if os.geteuid() == 0 else None
    # Short, and outside pytest's folders: a socket's path has 107 letters, and those folders are ours alone.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    if user is not None:
        shutil.chown(folder, user)
    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c shared_buffers=32MB"
    try:
        _run(user, programs / "initdb", "-D", folder / "data", "-A", "trust", "-U", _USER, "-E", "UTF8")
        _run(user, programs / "pg_ctl", "-D", folder / "data", "-l", folder / "log", "-o", options, "-w", "start")
        try:
            yield f"postgresql://{_USER}@/postgres?host={folder}"
        finally:
            _run(user, programs / "pg_ctl", "-D", folder / "data", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
