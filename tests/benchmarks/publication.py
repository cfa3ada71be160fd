"""Rows a second of a third publication with two kept, audit included, on each engine; and the memory of a bulk read.

    python -m tests.benchmarks.publication [--customers 200000] [--rows 13] [--engine postgresql]

Every list of the third publication is new, the worst case. Prints one JSON line an engine.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from recsys import ledger
from recsys.publication import NewPublication, publish
from recsys.settings import Settings
from recsys.warehouse import migrate, open_warehouse
from tests.support.engines import DUCKDB, ENGINES
from tests.support.postgres import postgres_programs, postgres_server
from tests.support.warehouse import make_settings

NOW = datetime(2025, 1, 2)
PLACEMENT = "for_you"
PRODUCTS = 50_000
LISTS = """
    copy (
        select
            case when customer = 0 then '*' else 'customer-' || customer end as subject_id,
            cast(case when customer = 0 then -1 else customer % 4096 end as smallint) as bucket,
            cast(rank as smallint) as rank,
            'item-' || ((customer * 7919 + rank * 104729 + {day}) % {products}) as item_id,
            1.0 / (rank + customer % 97 + {day}) as score,
            'repurchase+als' as source,
            'You bought it ' || (customer % 9 + 2) || ' times, last ' || (rank + {day}) || ' days ago' as reason,
            cast(null as double) as propensity
        from range({customers} + 1) as customers (customer), range(1, {rows} + 1) as ranks (rank)
    ) to '{path}' (format parquet)
"""


def write_lists(folder: Path, day: int, customers: int, rows: int) -> NewPublication:
    """Write made lists of which none is that of another day."""
    lists, items = folder / f"lists-{day}.parquet", folder / "items.parquet"
    with duckdb.connect() as connection:
        connection.execute(LISTS.format(day=day, customers=customers, rows=rows, products=PRODUCTS, path=lists))
        connection.execute(
            f"copy (select 'item-' || n as item_id, true as recommendable from range({PRODUCTS}) as r (n)) "
            f"to '{items}' (format parquet)"
        )
    return NewPublication(
        publication_id=f"p{day}",
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


def measure(settings: Settings, folder: Path, customers: int, rows: int) -> dict[str, float | int]:
    """Publish three times; return the figures of the third and of reading all rows in batches."""
    with open_warehouse(settings, purpose="benchmark") as warehouse:
        migrate(warehouse)
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
        for day in range(3):
            publication = write_lists(folder, day, customers, rows)
            began = time.perf_counter()
            publish(warehouse, settings, publication, now=NOW + timedelta(days=day))
            seconds = time.perf_counter() - began
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began, read = time.perf_counter(), 0
        with warehouse.read_arrow("select subject_id, rank, item_id, score, reason from recsys.list_rows") as reader:
            for batch in reader:
                read += batch.num_rows
        reading = time.perf_counter() - began
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    stored = (customers + 1) * rows
    return {
        "rows": stored,
        "seconds": round(seconds, 2),
        "rows_per_second": round(stored / seconds),
        "rows_read": read,
        "rows_read_per_second": round(read / reading),
        "memory_grown_mib": grown // 1024,
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
