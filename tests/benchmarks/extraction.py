"""Rows read and seconds of extracting the events of a made shop: whole, and after 1 % of new ones.

    python -m tests.benchmarks.extraction [--customers 20000] [--engine postgresql]

The last 1 % by time are new; then some events of an earlier day are corrected. Prints one JSON line an engine. Times
of a server on the same machine leave out the network, which is what an incremental extraction saves.
"""

import argparse
import json
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recsys.settings import Settings, SnapshotSettings
from recsys.snapshot.extracting import extract
from recsys.warehouse import open_warehouse
from tests.benchmarks.made_shop import MadeShop, load_made_shop
from tests.benchmarks.publication import settings_on
from tests.support.engines import ENGINES

ALL_BUT_THE_LAST = """
    select max(occurred_at) as moment
    from (select occurred_at, percent_rank() over (order by occurred_at) as place from shop.events) as placed
    where place < 0.99
"""
CORRECTION = """
    update shop.events set quantity = 9
    where occurred_at >= timestamp '2024-05-01' and occurred_at < timestamp '2024-05-02' and bucket < 400
"""


def timed(settings: Settings, folder: Path, moment: datetime) -> dict[str, Any]:
    """Extract as of a moment; return how, the rows read and the seconds."""
    with tempfile.TemporaryDirectory(prefix="raw-", dir=folder) as raw:
        began = time.perf_counter()
        with open_warehouse(settings, purpose="benchmark") as warehouse:
            done = extract(settings, warehouse, Path(raw), moment=moment, latest_allowed=moment + timedelta(days=1))
        seconds = round(time.perf_counter() - began, 2)
    return {"extraction": done.mode, "why": done.why, "rows_read": done.rows_read, "seconds": seconds}


def measure(settings: Settings, folder: Path, customers: int) -> dict[str, Any]:
    """Extract all but the last 1 %, then everything, step by step and whole."""
    settings = settings.model_copy(update={"snapshot": SnapshotSettings(incremental=True)})
    made = folder / "made"
    made.mkdir()
    MadeShop(customers).write(made, settings)
    rows = load_made_shop(settings, made)["events"]
    with open_warehouse(settings, purpose="benchmark") as warehouse:
        moment = warehouse.query(ALL_BUT_THE_LAST)[0]["moment"]
        newest = warehouse.query("select max(occurred_at) as moment from shop.events")[0]["moment"]
    figures: dict[str, Any] = {"rows": rows, "first": timed(settings, folder, moment)}
    figures["new"] = timed(settings, folder, newest + timedelta(seconds=1))
    with open_warehouse(settings, purpose="benchmark") as warehouse, warehouse.transaction() as connection:
        figures["corrected"] = connection.exec_driver_sql(CORRECTION).rowcount
    figures["changed"] = timed(settings, folder, newest + timedelta(seconds=1))
    off = settings.model_copy(update={"snapshot": SnapshotSettings(incremental=False)})
    return figures | {"full": timed(off, folder, newest + timedelta(seconds=1))}


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--engine", choices=ENGINES, action="append")
    asked = parser.parse_args()
    for engine in asked.engine or ENGINES:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, settings_on(engine, Path(folder)) as settings:
            print(json.dumps({"engine": engine, **measure(settings, Path(folder), asked.customers)}))


if __name__ == "__main__":
    main()
