"""A customer who is erased while a stage is at work, stopped in its midst until the erasure is over: 0 places."""

import importlib
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from recsys import pipeline
from recsys.artifacts import ArtifactStore, within_home
from recsys.errors import ErasedMeanwhileError
from recsys.load import load_source
from recsys.publication import export_live, publish
from recsys.settings import Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import open_warehouse
from tests.support.orders import write_orders
from tests.support.planted import debris, run_sql
from tests.support.postgres import make_database
from tests.support.publications import ITEMS, NOW, approve, made_lists, write_publication
from tests.support.searching import in_database, places
from tests.support.warehouse import make_settings, user_id, write_small_shop

WHO = {"by": "ada", "reason": "request 4711"}
GONE = user_id(0)
SECONDS = 60


class Barrier:
    """Where work stands still, the first time that it comes there, until it is let go."""

    def __init__(self) -> None:
        self._reached, self._free = threading.Event(), threading.Event()

    def wait(self) -> None:
        """Stand still, once."""
        is_first = not self._reached.is_set()
        self._reached.set()
        assert not is_first or self._free.wait(SECONDS)

    def reach(self) -> None:
        """Wait until the work is there."""
        assert self._reached.wait(SECONDS)

    def let_go(self) -> None:
        """Let the work go on."""
        self._free.set()

    @classmethod
    def after(cls, patch: pytest.MonkeyPatch, place: str) -> "Barrier":
        """Return one that stands behind a function, MODULE:NAME."""
        module, _, name = place.rpartition(":")
        owner, barrier = importlib.import_module(module), cls()
        real = getattr(owner, name)

        def stopped(*given: Any, **named: Any) -> Any:
            made = real(*given, **named)
            barrier.wait()
            return made

        patch.setattr(owner, name, stopped)
        return barrier

    @contextmanager
    def stopping(self, work: Callable[[], Any]) -> Iterator[Future[Any]]:
        """Begin the work in a thread of its own; the block runs while it stands still, and it goes on after it."""
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(work)
            try:
                self.reach()
                yield done
            finally:
                self.let_go()


def shop(settings: Settings) -> Settings:
    """Write the small shop with one publication live, in which the customer has a list."""
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=60, items=ITEMS, days=60)
        approve(warehouse, "1")
        files = write_publication(settings.resolved_home.parent / "files", "p1", made_lists())
        publish(warehouse, settings, files, now=NOW)
    return settings


@pytest.fixture
def embedded(tmp_path: Path) -> Settings:
    return shop(make_settings(tmp_path))


@pytest.fixture
def served(tmp_path: Path, postgres_url: str) -> Settings:
    return shop(make_settings(tmp_path, warehouse_url=make_database(postgres_url, "erased_meanwhile")))


def found(settings: Settings) -> list[str]:
    inside = in_database(GONE, settings.warehouse_url) if settings.warehouse_url else []
    return [*inside, *places(GONE, settings.resolved_home)]


def erase(settings: Settings) -> None:
    pipeline.erase(settings, user=GONE, **WHO, now=NOW)


@pytest.mark.parametrize("place", ["check", "keep_report"])
def test_a_snapshot_that_was_read_before_is_not_kept(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Nor the rows that it rejects; the next one is taken without the customer."""
    run_sql(
        embedded,
        "insert into shop.events (event_id, user_id, bucket, item_id, event_type, occurred_at) "
        f"values ('bad', '{GONE}', 1, 'none', 'purchase', timestamp '2024-12-20')",
    )
    barrier = Barrier.after(monkeypatch, f"recsys.snapshot.taking:{place}")
    with barrier.stopping(lambda: pipeline.take_snapshot(embedded, as_of="latest", now=NOW)) as taken:
        erase(embedded)
    with pytest.raises(ErasedMeanwhileError, match="Run it again"):
        taken.result()
    assert found(embedded) == []
    assert debris(embedded.resolved_home) == []
    again = pipeline.take_snapshot(embedded, as_of="latest", now=NOW)
    assert again["rows"]["users"] == 59
    assert found(embedded) == []


def test_what_a_stage_makes_of_an_older_snapshot_is_not_kept(embedded: Settings) -> None:
    """Also of what it read before it asked for a folder; and a file that is gone is told as what it comes of."""
    uri = pipeline.take_snapshot(embedded, as_of="latest", now=NOW)["snapshot"]
    barriers = Barrier(), Barrier()

    @within_home
    def copying(settings: Settings, *, snapshot: str) -> Any:
        table = pq.read_table(Snapshot.open(snapshot).users)
        barriers[0].wait()

        def build(folder: Path) -> dict[str, Any]:
            pq.write_table(table, folder / "users.parquet")
            return {}

        return ArtifactStore(settings.resolved_home).make("features", "f", build)

    @within_home
    def late(settings: Settings, *, snapshot: str) -> Any:
        source = Snapshot.open(snapshot)
        barriers[1].wait()
        return pq.read_table(source.users)

    with (
        barriers[0].stopping(lambda: copying(embedded, snapshot=uri)) as made,
        barriers[1].stopping(lambda: late(embedded, snapshot=uri)) as missed,
    ):
        erase(embedded)
    for done in (made, missed):
        with pytest.raises(ErasedMeanwhileError):
            done.result()
    assert found(embedded) == []


def test_a_load_that_had_begun_leaves_the_customer_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make_settings(tmp_path)
    write_orders(tmp_path / "orders.csv", lines=300, customers=9)
    load_source(settings, "orders", data_dir=tmp_path / "orders.csv")
    barrier = Barrier.after(monkeypatch, "recsys.load.loading:open_raw")
    again = {"data_dir": tmp_path / "orders.csv", "force": True}
    with barrier.stopping(lambda: load_source(settings, "orders", **again)) as loaded:
        pipeline.erase(settings, user="12346", **WHO, now=NOW)
    assert "do_not_process" in {row.rule for row in loaded.result().cleaning}
    with open_warehouse(settings, purpose="test") as warehouse:
        users = [row["user_id"] for row in warehouse.query("select user_id from shop.users")]
    assert len(users) > 3
    assert "12346" not in users


@pytest.mark.parametrize("place", ["hash_lists", "stage"])
def test_lists_that_were_read_before_are_not_published(
    served: Settings, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    lists = write_publication(served.resolved_home.parent / "files", "p2", made_lists(shift=3))
    barrier = Barrier.after(monkeypatch, f"recsys.publication.publishing:{place}")

    def work() -> Any:
        with open_warehouse(served, purpose="publish") as warehouse:
            return publish(warehouse, served, lists, now=NOW + timedelta(hours=1))

    with barrier.stopping(work) as published:
        erase(served)
    with pytest.raises(ErasedMeanwhileError):
        published.result()
    assert found(served) == []
    assert work().user_count == 29
    assert found(served) == []


def test_live_files_that_were_read_before_are_read_again(served: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """An erasure waits for who writes the live files, and who writes them sees that it began."""
    shutil.rmtree(served.resolved_home / "live")
    barrier = Barrier.after(monkeypatch, "recsys.publication.live_files:_write_lists")
    counted = Barrier.after(monkeypatch, "recsys.erasures:count_erasure")

    def work() -> Any:
        with open_warehouse(served, purpose="publish") as warehouse:
            return export_live(warehouse, served)

    counted.let_go()
    with ThreadPoolExecutor(1) as pool:
        with barrier.stopping(work) as exported:
            erased = pool.submit(erase, served)
            counted.reach()
        assert exported.result() == served.resolved_home / "live"
        erased.result()
    assert found(served) == []
