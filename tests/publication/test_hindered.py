"""What hinders a publisher: a full disk, a deadlock, a slow statement, a server that crashes, another publisher."""

import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, Engine, event, make_url

from recsys.errors import ConflictError, WarehouseError
from recsys.publication import NewPublication, publish
from recsys.settings import Settings
from recsys.warehouse import migrate, open_warehouse
from tests.support.engines import DUCKDB, POSTGRESQL
from tests.support.postgres import crash_and_restart, postgres_programs, postgres_server
from tests.support.publications import NOW, approved_shop, live_rows, made_lists, write_publication
from tests.support.warehouse import make_settings
from tests.support.wholeness import debts, faults

ROOT = Path(__file__).parents[2]
HOLD = "update recsys.list_storage set fence = fence + 1 where placement = 'for_you'"
# A process of its own, whose files may grow to so many bytes.
LIMITED = textwrap.dedent(
    """
    import json, resource, sys
    from pathlib import Path
    from recsys.errors import RecsysError
    from tests.publication.test_hindered import lists_of, publish_lists
    from tests.support.warehouse import make_settings

    folder, url, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    settings = make_settings(folder, warehouse_url=url)
    lists = lists_of(settings, 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        publish_lists(settings, lists, 1)
    except RecsysError as error:
        print(json.dumps(str(error)))
    """
)


def lists_of(settings: Settings, day: int) -> NewPublication:
    return write_publication(settings.resolved_home.parent / "files", f"p{day}", made_lists(shift=day, label=f"p{day}"))


def publish_lists(settings: Settings, lists: NewPublication, day: int) -> None:
    with open_warehouse(settings, purpose="publish") as warehouse:
        publish(warehouse, settings, lists, now=NOW + timedelta(days=day))


def publish_day(settings: Settings, day: int) -> None:
    publish_lists(settings, lists_of(settings, day), day)


def require_live(settings: Settings, name: str) -> None:
    """Fail unless that is live, whole, and nothing is left over."""
    with open_warehouse(settings, purpose="look") as warehouse:
        assert {row["publication_id"] for row in live_rows(warehouse)} == {name}
        assert faults(warehouse, settings) + debts(warehouse, settings) == []


@pytest.fixture
def live(settings: Settings) -> Settings:
    """A shop on which ``p0`` is live."""
    publish_day(settings, 0)
    return settings


@pytest.fixture
def rival(live: Settings) -> Iterator[psycopg.Connection]:
    """A connection of somebody else."""
    url = make_url(live.database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, options="-cdeadlock_timeout=60s") as connection:
        yield connection


def test_files_that_may_not_grow(live: Settings, tmp_path: Path, warehouse_engine: str) -> None:
    """The embedded warehouse's own file; with a server, those beside it."""
    limit = 2_000 if warehouse_engine == DUCKDB else 200
    told = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), live.database_url, str(limit)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert "limit" in json.loads(told.stdout)
    with open_warehouse(live, purpose="look") as warehouse:
        assert faults(warehouse, live) == []
    publish_day(live, 1)
    require_live(live, "p1")


class TestOnTheServer:
    """Hindrances that a server knows."""

    @pytest.fixture
    def warehouse_engine(self) -> str:
        """The engine that has a server."""
        return POSTGRESQL

    def test_a_deadlock_is_undone_and_done_again(self, live: Settings, rival: psycopg.Connection) -> None:
        # The publisher looks for a deadlock after three seconds, the rival after a minute: it is the one stopped.
        own = make_url(live.database_url).update_query_dict({"options": "-cdeadlock_timeout=3s"})
        url = own.render_as_string(hide_password=False)
        settings = live.model_copy(update={"warehouse_url": url})
        lists_of(live, 1)
        rival.execute("lock table recsys.publication_lists in share mode")
        publisher = threading.Thread(target=publish_day, args=(settings, 1))
        publisher.start()
        _until_somebody_waits(live)
        rival.execute(HOLD)
        # It got the row that the publisher held: that one was stopped.
        rival.rollback()
        publisher.join(60)
        require_live(live, "p1")

    def test_a_statement_that_takes_too_long_says_so(self, live: Settings, rival: psycopg.Connection) -> None:
        lists_of(live, 1)
        rival.execute(HOLD)
        hasty = live.model_copy(update={"statement_timeout_seconds": 2.0})
        with pytest.raises(WarehouseError, match="RECSYS_STATEMENT_TIMEOUT_SECONDS"):
            publish_day(hasty, 1)
        require_live(live, "p0")
        rival.rollback()
        publish_day(hasty, 1)
        require_live(live, "p1")


def _until_somebody_waits(settings: Settings) -> None:
    with open_warehouse(settings, purpose="watch") as warehouse:
        while not warehouse.query("select 1 as waits from pg_locks where not granted"):
            pass


@pytest.mark.parametrize("step", ["delete from recsys.publication_lists", "update recsys.publications"])
def test_a_server_that_crashes_in_the_middle(tmp_path: Path, postgres_url: str, step: str) -> None:
    programs = postgres_programs()
    assert programs is not None and postgres_url
    with postgres_server(programs) as url:
        settings = make_settings(tmp_path, warehouse_url=url)
        with open_warehouse(settings, purpose="prepare") as warehouse:
            migrate(warehouse)
            approved_shop(warehouse)
        publish_day(settings, 0)
        crashes: list[str] = []

        def crash(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
            if step in statement and not crashes:
                crashes.append(statement)
                crash_and_restart(url, programs)

        event.listen(Engine, "before_cursor_execute", crash)
        try:
            publish_day(settings, 1)
        finally:
            event.remove(Engine, "before_cursor_execute", crash)
        assert len(crashes) == 1
        require_live(settings, "p1")


@pytest.mark.parametrize("days", [(1, 1), (1, 2)], ids=["the same", "different ones"])
def test_two_publishers_at_once(live: Settings, days: tuple[int, int]) -> None:
    for day in days:
        lists_of(live, day)
    together, refused = threading.Barrier(2), []
    published: list[int] = []

    def run(day: int) -> None:
        together.wait(60)
        try:
            publish_day(live, day)
            published.append(day)
        except ConflictError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=run, args=(day,)) for day in days]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(published) + len(refused) == 2
    assert published
    assert all("un the publication again" in text or "publish again" in text for text in refused)
    with open_warehouse(live, purpose="look") as warehouse:
        assert faults(warehouse, live) == []
    publish_day(live, 3)
    require_live(live, "p3")
