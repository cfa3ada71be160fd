"""One process at a time has the DuckDB file; who waits in vain learns who has it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recsys.errors import WarehouseBusyError
from recsys.warehouse import current_holder, open_warehouse
from tests.support.warehouse import make_settings

HOLD = """
import sys
from pathlib import Path
from recsys.warehouse import open_warehouse
from tests.support.warehouse import make_settings
with open_warehouse(make_settings(Path(sys.argv[1])), purpose="a long extract"):
    print("held", flush=True)
    sys.stdin.read()
"""
OUTSIDE = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def other_process(code: str, argument: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", code, str(argument)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_who_waits_in_vain_is_told_who_holds_it(tmp_path: Path) -> None:
    with other_process(HOLD, tmp_path) as holder:
        with (
            pytest.raises(WarehouseBusyError) as caught,
            open_warehouse(make_settings(tmp_path), purpose="publish", timeout=0.2),
        ):
            pass
        message = str(caught.value)
        assert f"process {holder.pid} (a long extract, since 20" in message
        assert "'publish' waited 0.2 s" in message


def test_it_is_free_again_when_the_holder_ends(tmp_path: Path) -> None:
    with other_process(HOLD, tmp_path) as holder:
        holder.communicate("done")
        with open_warehouse(make_settings(tmp_path), purpose="publish", timeout=0):
            found = current_holder(tmp_path / "home" / "warehouse.duckdb")
            assert found is not None
            assert found.purpose == "publish"
    assert current_holder(tmp_path / "home" / "warehouse.duckdb") is None


def test_it_is_free_again_when_the_holder_is_killed(tmp_path: Path) -> None:
    with other_process(HOLD, tmp_path) as holder:
        holder.kill()
        holder.wait()
        with open_warehouse(make_settings(tmp_path), purpose="publish", timeout=0) as warehouse:
            assert warehouse.query("select 1 as one") == [{"one": 1}]


def test_a_program_outside_the_platform_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    with (
        other_process(OUTSIDE, tmp_path / "home" / "warehouse.duckdb") as outsider,
        pytest.raises(WarehouseBusyError, match=f"{outsider.pid}.*Another program has the file open"),
        open_warehouse(make_settings(tmp_path), purpose="publish", timeout=0),
    ):
        pass


def test_the_same_warehouse_has_the_same_lock_from_another_home(tmp_path: Path) -> None:
    with other_process(HOLD, tmp_path):
        url = f"duckdb:///{tmp_path / 'home' / 'warehouse.duckdb'}"
        elsewhere = make_settings(tmp_path / "elsewhere", warehouse_url=url)
        with (
            pytest.raises(WarehouseBusyError, match="a long extract"),
            open_warehouse(elsewhere, purpose="x", timeout=0),
        ):
            pass
