"""A warehouse of a test's own in each engine, made as a copy of one that was filled once.

A test that asks for ``warehouse_url`` runs on DuckDB and on PostgreSQL. A module whose subject is one engine, or does
not depend on the warehouse, overrides ``warehouse_engine`` by a fixture that returns that engine's name.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from recsys.warehouse import Warehouse, migrate, open_warehouse
from tests.support.postgres import drop_database, make_database
from tests.support.warehouse import make_settings

DUCKDB = "duckdb"
POSTGRESQL = "postgresql"
ENGINES = (DUCKDB, POSTGRESQL)
Fill = Callable[[Warehouse], None]


def migrated(warehouse: Warehouse) -> None:
    """Fill a warehouse with empty tables."""
    migrate(warehouse)


def untouched(_warehouse: Warehouse) -> None:
    """Leave a warehouse without a table."""


class Copies:
    """Makes warehouses that hold what a function fills them with; each function runs once an engine."""

    def __init__(self, engine: str, server: str | None, folder: Path) -> None:
        self.engine = engine
        self._server = server
        self._folder = folder
        self._made: list[str] = []

    def make(self, home: Path, fill: Fill = migrated) -> str:
        """Return the URL of a new warehouse; DuckDB's file is that of ``home`` by default.

        Args:
            home: the folder of the run, made if absent.
            fill: writes the content; its name tells the content apart.
        """
        name = re.sub(r"\W", "_", f"{fill.__module__}_{fill.__name__}".lower())[-50:]
        return self._file(home, name, fill) if self.engine == DUCKDB else self._database(name, fill)

    def drop(self) -> None:
        """Remove what was made on the server; files go with their folder."""
        for name in self._made:
            drop_database(str(self._server), name)

    def _file(self, home: Path, name: str, fill: Fill) -> str:
        source = self._folder / f"{name}.duckdb"
        if not source.exists():
            _fill(self._folder / name, f"duckdb:///{source}", fill)
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, home / "warehouse.duckdb")
        return f"duckdb:///{home / 'warehouse.duckdb'}"

    def _database(self, name: str, fill: Fill) -> str:
        server, ready = str(self._server), self._folder / f"{name}.ready"
        if not ready.exists():
            _fill(self._folder / name, make_database(server, name), fill)
            ready.touch()
        self._made.append(f"t{uuid4().hex}")
        return make_database(server, self._made[-1], template=name)


def _fill(folder: Path, url: str, fill: Fill) -> None:
    with open_warehouse(make_settings(folder, warehouse_url=url), purpose="a test's template") as warehouse:
        fill(warehouse)


@pytest.fixture(params=ENGINES)
def warehouse_engine(request: pytest.FixtureRequest) -> str:
    """The engine of the test's warehouse: each in turn."""
    return str(request.param)


@pytest.fixture
def copies(warehouse_engine: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Copies:
    """What makes warehouses in the engine; what it made on the server is dropped after the test."""
    folder = tmp_path_factory.getbasetemp() / "templates" / warehouse_engine
    folder.mkdir(parents=True, exist_ok=True)
    server = request.getfixturevalue("postgres_url") if warehouse_engine == POSTGRESQL else None
    made = Copies(warehouse_engine, server, folder)
    request.addfinalizer(made.drop)
    return made


@pytest.fixture
def warehouse_url(copies: Copies, tmp_path: Path) -> str:
    """The URL of a migrated, empty warehouse, once in each engine."""
    return copies.make(tmp_path / "home")
