"""Rows a second of a third publication with two kept, audit included, on each engine; of daily ones; of reading all.

    python -m tests.benchmarks.publication [--customers 200000] [--rows 13] [--engine postgresql]

Every list of the third publication is new, the worst case; of what follows, one list in a hundred is. ``daily`` has all
lists; ``refreshed``, the sixth in a row over one base, has the new ones alone.
Prints one JSON line an engine. CPU seconds are those of this process and of the server, since the machine may be busy.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import duckdb

from recsys import ledger
from recsys.publication import NewPublication, publish
from recsys.settings import Settings
from recsys.warehouse import Warehouse, migrate, open_warehouse
from tests.support.engines import DUCKDB, ENGINES
from tests.support.postgres import postgres_programs, postgres_server
from tests.support.warehouse import make_settings

NOW = datetime(2025, 1, 2)
PLACEMENT = "for_you"
PRODUCTS = 50_000
ACTIVE = 100
"""One customer in so many gets another list from the daily publication."""
Figures = dict[str, float | int]
LISTS = """
    copy (
        select
            case when customer = 0 then '*' else 'customer-' || customer end as subject_id,
            cast(case when customer = 0 then -1 else customer * 4096 // ({customers} + 1) end as smallint) as bucket,
            cast(rank as smallint) as rank,
            'item-' || ((customer * 7919 + rank * 104729 + day) % {products}) as item_id,
            1.0 / (rank + customer % 97 + day) as score,
            'repurchase+als' as source,
            'You bought it ' || (customer % 9 + 2) || ' times, last ' || (rank + day) || ' days ago' as reason,
            cast(null as double) as propensity
        from
            (select customer, {day} as day from range({customers} + 1) as customers (customer) where {among}),
            range(1, {rows} + 1) as ranks (rank)
    ) to '{path}' (format parquet)
"""
DAILY = f"2 + cast(customer % {ACTIVE} = 1 as integer)"
DAYS = 6
"""Refreshed publications in a row: the first ones also remove what was before."""
SHOP = {
    "shop.users": "select 'customer-' || n as user_id, cast(n * 4096 // ({customers} + 1) as smallint) as bucket, "
    "timestamp '2024-01-01' as created_at, true as is_personalised from range(1, {customers} + 1) as r (n)",
    "shop.items": "select 'item-' || n as item_id, 'Product ' || n as title, true as available, "
    "true as recommendable, timestamp '2024-01-01' as created_at from range({products}) as r (n)",
}


def write_lists(
    folder: Path, name: str, day: str, customers: int, rows: int, *, among: str = "true", base: str | None = None
) -> NewPublication:
    """Write made lists; ``day``, of the customer's number, is what a list depends on, ``among`` says who has one."""
    lists, items = folder / f"{name}.parquet", folder / "items.parquet"
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        made = {"day": day, "customers": customers, "rows": rows, "products": PRODUCTS, "among": among}
        connection.execute(LISTS.format(path=lists, **made))
        connection.execute(
            f"copy (select 'item-' || n as item_id, true as recommendable from range({PRODUCTS}) as r (n)) "
            f"to '{items}' (format parquet)"
        )
    return NewPublication(
        publication_id=name,
        placement=PLACEMENT,
        as_of=NOW,
        model_name="recsys_for_you",
        model_version="1",
        state_id="made",
        run_id="made",
        snapshot_id="made",
        code_commit="made",
        lists=(lists,),
        expected_customers=customers,
        known_items=items,
        base=base,
    )


@contextmanager
def settings_on(engine: str, folder: Path) -> Iterator[Settings]:
    """Give settings of an empty warehouse in the engine."""
    if engine == DUCKDB:
        yield make_settings(folder)
        return
    programs = postgres_programs()
    if programs is None:
        raise SystemExit("PostgreSQL's programs are missing: make system-packages installs them.")
    with postgres_server(programs) as url:
        yield make_settings(folder, warehouse_url=url)


def make_shop(warehouse: Warehouse, customers: int) -> None:
    """Write the customers and products that the lists are of, and approve the version that made them."""
    migrate(warehouse)
    with warehouse.transaction() as connection, duckdb.connect() as bench:
        for table, query in SHOP.items():
            rows = bench.sql(query.format(customers=customers, products=PRODUCTS))
            warehouse.append(connection, table, rows.to_arrow_table())
    ledger.record_decision(
        warehouse,
        placement=PLACEMENT,
        model_name="recsys_for_you",
        model_version="1",
        verdict=ledger.APPROVED,
        decided_by="benchmark",
        channel="cli",
        reason="to measure",
        now=NOW,
    )


def cpu_seconds(settings: Settings) -> float:
    """Return the CPU seconds of this process, and of the server's processes that run now or have ended."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    _, _, folder = settings.database_url.partition("host=")
    pid_file = Path(folder) / "data" / "postmaster.pid"
    if not folder or not pid_file.exists():
        return own.ru_utime + own.ru_stime
    server, ticks = pid_file.read_text().split()[0], 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            values = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if path.parent.name == server:  # with those of its children that have ended
            ticks += sum(map(int, values[11:15]))
        elif values[1] == server:
            ticks += int(values[11]) + int(values[12])
    return own.ru_utime + own.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def measured(settings: Settings, name: str, rows: int, figures: Figures) -> Iterator[None]:
    """Note what the block took, for so many rows."""
    began, cpu = time.perf_counter(), cpu_seconds(settings)
    yield
    seconds = time.perf_counter() - began
    figures |= {
        f"{name}_seconds": round(seconds, 2),
        f"{name}_cpu_seconds": round(cpu_seconds(settings) - cpu, 2),
        f"{name}_rows_per_second": round(rows / seconds),
    }


def measure(settings: Settings, folder: Path, customers: int, rows: int) -> Figures:
    """Publish three times, then daily ones; return the figures of the last of each, and of reading all rows."""
    stored = (customers + 1) * rows
    figures: Figures = {"rows": stored}
    with open_warehouse(settings, purpose="benchmark") as warehouse:
        make_shop(warehouse, customers)
        for day in range(3):
            publication = write_lists(folder, f"p{day}", str(day), customers, rows)
            with measured(settings, "third", stored, figures):
                publish(warehouse, settings, publication, now=NOW + timedelta(days=day))
        daily = write_lists(folder, "daily", DAILY, customers, rows)
        with measured(settings, "daily", stored, figures):
            publish(warehouse, settings, daily, now=NOW + timedelta(days=3))
        for day in range(4, 4 + DAYS):
            among = f"customer % {ACTIVE} = {day}"
            fresh = write_lists(folder, f"p{day}", str(day), customers, rows, among=among, base="daily")
            with measured(settings, "refreshed", stored, figures):
                publish(warehouse, settings, fresh, now=NOW + timedelta(days=day))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        return figures | fresh.submit(read_all, settings).result()


def peak_kib() -> int:
    """Return the largest resident memory of this process; what the kernel counts for its parent is not in it."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])


def read_all(settings: Settings) -> Figures:
    """Read all stored rows in batches, in a process that has done nothing else: peaks are of its whole life."""
    query, rows = "select subject_id, rank, item_id, score, reason from recsys.list_rows", 0
    with open_warehouse(settings, purpose="benchmark") as warehouse:
        before = peak_kib()
        began = time.perf_counter()
        with warehouse.read_arrow(query) as reader:
            for batch in reader:
                rows += batch.num_rows
        seconds = time.perf_counter() - began
    peak = peak_kib()
    return {
        "read_rows": rows,
        "read_seconds": round(seconds, 2),
        "read_rows_per_second": round(rows / seconds),
        "read_peak_mib": peak // 1024,
        "read_memory_grown_mib": (peak - before) // 1024,
    }


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=200_000)
    parser.add_argument("--rows", type=int, default=13)
    parser.add_argument("--engine", choices=ENGINES, action="append")
    asked = parser.parse_args()
    for engine in asked.engine or ENGINES:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, settings_on(engine, Path(folder)) as settings:
            print(json.dumps({"engine": engine, **measure(settings, Path(folder), asked.customers, asked.rows)}))


if __name__ == "__main__":
    main()
