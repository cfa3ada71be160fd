"""A process that reads the live lists in a loop, until its input ends, and prints what it saw as JSON.

Arguments: the folder of the live files, or the URL of a PostgreSQL database.
"""

import json
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import psycopg

from tests.support.wholeness import READ, read_live_files, torn

ROOT: Final = Path(__file__).parents[2]
PAUSE_SECONDS: Final = 0.02
"""Between reads: readers that never pause would take the machine from the publisher."""
Rows = list[tuple[Any, ...]]


@contextmanager
def reading(place: str, readers: int) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Let processes read as long as the block runs.

    Args:
        place: see above.
        readers: how many.

    Yields:
        What ends them and returns what each saw: ``reads``, ``torn`` (what was wrong, and with what), ``seen`` (the
        publications) and ``late`` (views that were older than the publication before, as the view's file warns of).
    """
    command = [sys.executable, "-m", "tests.support.readers", place]
    started = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(readers)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"

    def ended() -> list[dict[str, Any]]:
        return [json.loads(process.communicate(timeout=60)[0]) for process in started]

    try:
        yield ended
    finally:
        for process in started:
            process.kill()
            process.wait()


def read_in_a_loop(read: Callable[[], Rows]) -> dict[str, Any]:
    """Read until the input ends, and once more."""
    found: dict[str, Any] = {"reads": 0, "torn": [], "late": 0}
    seen: set[str] = set()
    is_last = False
    while not is_last:
        is_last = bool(select.select([sys.stdin], [], [], PAUSE_SECONDS)[0])
        try:
            rows = read()
        except duckdb.IOException:
            # Two publications went live since the view's file was read: a job reads it anew.
            found["late"] += 1
            is_last = False
            continue
        found["reads"] += 1
        fault = torn(rows)
        if fault:
            found["torn"].append(fault)
        seen |= {row[2] for row in rows}
        if found["reads"] == 1:
            print("reading", flush=True)
    return {**found, "seen": sorted(seen)}


def main() -> None:
    place = sys.argv[1]
    if not place.startswith("postgresql:"):
        found = read_in_a_loop(lambda: read_live_files(Path(place)))
    else:
        with psycopg.connect(place, autocommit=True) as connection:
            found = read_in_a_loop(lambda: connection.execute(READ).fetchall())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
