"""What is said when a warehouse can't be opened."""

from pathlib import Path

import duckdb
import pytest

from recsys.errors import RecsysError, SettingsError, WarehouseError
from recsys.warehouse import open_warehouse
from tests.support.warehouse import make_settings


def opened(tmp_path: Path, url: str) -> RecsysError:
    with (
        pytest.raises(RecsysError) as caught,
        open_warehouse(make_settings(tmp_path, warehouse_url=url), purpose="x"),
    ):
        pass
    return caught.value


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "not an SQLAlchemy URL"),
        ("duckdb:", "not an SQLAlchemy URL"),
        ("mysql://host/db", "engine 'mysql'"),
        ("duckdb:///:memory:", "in memory"),
        ("duckdb://", "in memory"),
        ("duckdb:////anywhere/shop.duckdb", "called like a schema"),
    ],
)
def test_a_bad_url_says_what_to_set(tmp_path: Path, url: str, says: str) -> None:
    error = opened(tmp_path, url)
    assert isinstance(error, SettingsError)
    assert says in str(error)


def test_a_bad_url_does_not_show_its_password(tmp_path: Path) -> None:
    assert "hunter2" not in str(opened(tmp_path, "postgresql:/me:hunter2@host"))
    assert "hunter2" not in str(opened(tmp_path, "postgresql://me:hunter2@127.0.0.1:1/db"))


def test_an_unreachable_server(tmp_path: Path) -> None:
    error = opened(tmp_path, "postgresql://me@127.0.0.1:1/db")
    assert isinstance(error, WarehouseError)
    assert "Is the server running" in str(error)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.duckdb"
    path.write_text("my notes\n" * 1000)
    error = opened(tmp_path, f"duckdb:///{path}")
    assert "not a valid DuckDB database" in str(error)
    assert "move this one away" in str(error)
    assert path.read_text() == "my notes\n" * 1000


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "folder.duckdb").mkdir()
    assert "must name a file" in str(opened(tmp_path, f"duckdb:///{tmp_path / 'folder.duckdb'}"))


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "can't be made" in str(opened(tmp_path, f"duckdb:///{tmp_path / 'file' / 'w.duckdb'}"))


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table t as select range as n from range(100000)")
    damaged = bytearray(path.read_bytes())
    damaged[4096:8192] = b"\xff" * 4096
    path.write_bytes(damaged)
    assert "The file is damaged" in str(opened(tmp_path, f"duckdb:///{path}"))


def test_the_default_is_a_file_below_home_that_keeps_what_was_written(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    with open_warehouse(settings, purpose="write") as warehouse, warehouse.transaction() as connection:
        connection.exec_driver_sql("create table kept as select 42 as n")
    assert (tmp_path / "home" / "warehouse.duckdb").is_file()
    with open_warehouse(settings, purpose="read") as warehouse:
        assert warehouse.query("select n from kept") == [{"n": 42}]


def test_duckdb_gets_the_threads_and_memory_of_the_settings(tmp_path: Path) -> None:
    with open_warehouse(make_settings(tmp_path, threads=1, memory_limit_gb=0.5), purpose="x") as warehouse:
        [row] = warehouse.query("select current_setting('threads') as t, current_setting('memory_limit') as m")
    assert (row["t"], row["m"]) == (1, "512.0 MiB")
