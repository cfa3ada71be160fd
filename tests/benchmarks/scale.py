"""The benchmark at scale: a made shop of any size through the whole chain, each stage with what it took.

``make bench-scale USERS=100000`` writes ``.recsys/bench-scale-100000.json``; ``ARGS=--compare`` shows how each
stage grows over the sizes that were run. ``ARGS=--item-item`` compares item-item filtering with implicit instead.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log
from pathlib import Path
from time import monotonic
from typing import Any, Final

import psutil
from rich.console import Console
from rich.table import Table

from tests.benchmarks import item_item

HOMES: Final = Path(".recsys")
INTERVAL: Final = 0.2
PSS_EVERY: Final = 25  # samples: it is costlier to read
# What a stage works through, as a name of the run's totals; what its own result says comes first.
WORK: Final = {
    "snapshot": "events",
    "features": "events",
    "candidates": "events",
    "ranking set": "rows",
    "state": "events",
    "scoring": "rows",
    "publication": "rows",
    "sample": "candidates",
    "extract": "events",
    "generator": "events",
}


@dataclass(frozen=True)
class Cost:
    """What one stage took, of the process and all that it began.

    Attributes:
        stage: its name.
        seconds: of the clock.
        cpu_seconds: user and system.
        rss_mib: peak of resident memory.
        pss_mib: peak of memory with shared pages counted once.
        disk_mib: bytes that the home grew by.
        rows: that it worked through, 0 if that makes no sense.
        result: what the stage told.
    """

    stage: str
    seconds: float
    cpu_seconds: float
    rss_mib: float
    pss_mib: float
    disk_mib: float
    rows: int
    result: dict[str, Any]


class Sampler(threading.Thread):
    """Keeps the peaks of memory of a process and its descendants."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(pid)
        self._ended = threading.Event()
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.rss = self.pss = 0

    def run(self) -> None:
        """Sample until the process ends."""
        count = 0
        while not self._ended.wait(INTERVAL):
            count += 1
            try:
                tree = [self._process, *self._process.children(recursive=True)]
                self.rss = max(self.rss, sum(one.memory_info().rss for one in tree))
                if count % PSS_EVERY == 0:
                    self.pss = max(self.pss, sum(one.memory_full_info().pss for one in tree))
            except psutil.NoSuchProcess:
                continue

    def end(self) -> None:
        """Stop."""
        self._ended.set()
        self.join()


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def rows_of(stage: str, result: Mapping[str, Any], events: int) -> int:
    """Return the rows that a stage worked through."""
    kind = next((WORK[name] for name in WORK if stage.startswith(name)), None)
    found = result.get(kind, 0) if kind else 0
    if kind == "events" and not isinstance(found, int | float) | bool(found):
        found = events
    return int(found or (events if kind == "events" else 0))


def measure(lines: Iterable[str], sampler: Sampler, home: Path, console: Console) -> list[Cost]:
    """Read the worker's lines as they come, and print each stage as it ends."""
    costs: list[Cost] = []
    events, began, cpu, disk = 0, 0.0, 0.0, folder_bytes(home)
    for line in lines:
        told = json.loads(line)
        if told["result"] is None:
            sampler.reset()
            began, cpu = monotonic(), told["cpu_seconds"]
            continue
        size, result = folder_bytes(home), told["result"]
        events = _events(result) or events
        cost = Cost(
            told["stage"],
            monotonic() - began,
            told["cpu_seconds"] - cpu,
            sampler.rss / 2**20,
            sampler.pss / 2**20,
            (size - disk) / 2**20,
            rows_of(told["stage"], result, events),
            result,
        )
        disk = size
        costs.append(cost)
        console.print(
            f"{cost.stage:<26} {cost.seconds:>8.1f} s {cost.cpu_seconds:>8.1f} CPU s {cost.rss_mib:>7,.0f} MiB",
            markup=False,
        )
    return costs


def _events(result: Mapping[str, Any]) -> int:
    rows = result.get("rows")
    return int(result.get("events") or (rows.get("events", 0) if isinstance(rows, dict) else 0))


def run(users: int, seed: int, console: Console, until: str = "", profiles: Path | None = None) -> dict[str, Any]:
    """Measure one size in a home of its own, up to a stage if one is named."""
    home = (HOMES / f"bench-scale-{users}").resolve()
    if home.exists():
        shutil.rmtree(home)
    home.mkdir(parents=True)
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "tests.benchmarks.scale_worker", str(writing), str(users), str(seed)]
    command += [until, str(profiles or "")]
    environment = {**os.environ, "RECSYS_HOME": str(home)}
    began = monotonic()
    with subprocess.Popen(command, pass_fds=[writing], env=environment, stdout=subprocess.DEVNULL) as worker:
        os.close(writing)
        sampler = Sampler(worker.pid)
        sampler.start()
        try:
            with os.fdopen(reading, encoding="utf-8") as lines:
                costs = measure(lines, sampler, home, console)
        finally:
            sampler.end()
    found = {
        "users": users,
        "seed": seed,
        "until": until,
        "machine": {"cores": os.cpu_count(), "memory_gib": round(psutil.virtual_memory().total / 2**30, 1)},
        "python": platform.python_version(),
        "settings": {name: value for name, value in os.environ.items() if name.startswith("RECSYS_")},
        "completed": worker.returncode == 0,
        "seconds": monotonic() - began,
        "disk_mib": folder_bytes(home) / 2**20,
        "stages": [asdict(cost) for cost in costs],
    }
    path = HOMES / f"bench-scale-{users}.json"
    path.write_text(json.dumps(found, indent=1), encoding="utf-8")
    console.print(f"Written to {path}")
    return found


def merged(stages: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return what each stage took, the shards of the scoring and the like taken together."""
    found: dict[str, dict[str, float]] = {}
    for stage in stages:
        name = "scoring" if stage["stage"].startswith("scoring") else stage["stage"]
        one = found.setdefault(name, dict.fromkeys(("seconds", "cpu_seconds", "rows", "disk_mib"), 0.0))
        for key in ("seconds", "cpu_seconds", "rows", "disk_mib"):
            one[key] += stage[key]
        for key in ("rss_mib", "pss_mib"):
            one[key] = max(one.get(key, 0.0), stage[key])
    return found


def show(found: Mapping[str, Any], console: Console) -> None:
    """Print one run as a table."""
    table = Table(title=f"{found['users']:,} customers (made)", title_justify="left")
    table.add_column("stage")
    for heading in ("seconds", "CPU s", "peak RSS MiB", "peak PSS MiB", "disk MiB", "rows", "rows/s"):
        table.add_column(heading, justify="right")
    stages = merged(found["stages"])
    for name, one in stages.items():
        rate = one["rows"] / one["seconds"] if one["seconds"] and one["rows"] else 0
        figures = (one["rss_mib"], one["pss_mib"], one["disk_mib"], one["rows"])
        cells = [f"{one['seconds']:,.1f}", f"{one['cpu_seconds']:,.1f}", *(f"{value:,.0f}" for value in figures)]
        table.add_row(name, *cells, f"{rate:,.0f}" if rate else "")
    total = {key: sum(one[key] for one in stages.values()) for key in ("seconds", "cpu_seconds")}
    peaks = [max((one[key] for one in stages.values()), default=0) for key in ("rss_mib", "pss_mib")]
    cells = [f"{total['seconds']:,.1f}", f"{total['cpu_seconds']:,.1f}", *(f"{peak:,.0f}" for peak in peaks)]
    table.add_row("in all", *cells, f"{found['disk_mib']:,.0f}", "", "", end_section=True)
    console.print(table)
    for one in (stage["result"] for stage in found["stages"] if stage["stage"] == "sample"):
        console.print(
            f"Features and ranker, on a sample: {one['candidates_a_second']:,.0f} candidates enter in a second; the "
            f"first look keeps {one['kept']:.2%} of the first ten."
        )


def exponents(runs: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[float], list[float]]]:
    """Return of each stage the CPU seconds by size, and the exponent of growth from each size to the next.

    An exponent of 1 is time that grows as the customers do.
    """
    by_size = [(run["users"], merged(run["stages"])) for run in sorted(runs, key=lambda run: run["users"])]
    names = [name for name in by_size[-1][1] if all(name in stages for _, stages in by_size)]
    rows = []
    for name in names:
        spent = [stages[name]["cpu_seconds"] for _, stages in by_size]
        sizes = [users for users, _ in by_size]
        steps = zip(sizes, sizes[1:], spent, spent[1:], strict=False)
        grown = [log(max(b, 0.01) / max(a, 0.01)) / log(m / n) for n, m, a, b in steps]
        rows.append((name, spent, grown))
    return rows


def compare(console: Console) -> None:
    """Print how every stage grows over the sizes whose results are there."""
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(HOMES.glob("bench-scale-*.json"))]
    if len(runs) < 2:
        console.print("To compare, run at least two sizes: make bench-scale USERS=10000, then USERS=100000.")
        return
    sizes = sorted(run["users"] for run in runs)
    table = Table(title="CPU seconds, and the exponent of growth", title_justify="left")
    table.add_column("stage")
    for heading in (*(f"{size:,}" for size in sizes), *(f"to {size:,}" for size in sizes[1:])):
        table.add_column(heading, justify="right")
    for name, spent, grown in exponents(runs):
        table.add_row(name, *(f"{value:,.1f}" for value in spent), *(f"{value:.2f}" for value in grown))
    console.print(table)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--compare", action="store_true", help="show the growth over the sizes that were run")
    parser.add_argument("--profile", type=Path, help="folder for a cProfile of each stage; it slows Python down")
    parser.add_argument("--item-item", action="store_true", help="compare item-item filtering with implicit's instead")
    parser.add_argument("--until", default="", metavar="STAGE", help="the last stage that is run, e.g. 'ranking set'")
    chosen = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    if chosen.compare:
        compare(console)
        return 0
    if chosen.item_item:
        measured = item_item.compare(chosen.users, chosen.seed, console)
        (HOMES / f"bench-item-item-{chosen.users}.json").write_text(json.dumps(measured, indent=1), encoding="utf-8")
        return 0
    if chosen.profile:
        chosen.profile.mkdir(parents=True, exist_ok=True)
    found = run(chosen.users, chosen.seed, console, chosen.until, chosen.profile and chosen.profile.resolve())
    show(found, console)
    return 0 if found["completed"] else 1


if __name__ == "__main__":
    sys.exit(main())
