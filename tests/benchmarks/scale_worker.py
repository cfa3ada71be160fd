"""The measured process of the benchmark at scale: makes the shop, loads it and runs the chain as ``recsys run`` does.

Each stage's beginning and end is a line of JSON on the file descriptor that the benchmark gave.
"""

import cProfile
import json
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys import pipeline
from recsys.moments import clock
from recsys.settings import Settings, load_settings
from tests.benchmarks.made_shop import MadeShop, load_made_shop
from tests.benchmarks.ranking import measure_ranking


class Reporter:
    """Tells of each stage when it begins and when it ends, and with a folder keeps a profile of it.

    After the stage ``until``, if one is named, the process ends.
    """

    def __init__(self, pipe: int, until: str | None, profiles: Path | None) -> None:
        self._until = until
        self._stream = os.fdopen(pipe, "w", encoding="utf-8", buffering=1)
        self._profiles = profiles
        self._profile: cProfile.Profile | None = None
        self.results: dict[str, Mapping[str, Any]] = {}

    def __call__(self, stage: str, result: Mapping[str, Any] | None) -> None:
        """As the chain's ``progress``."""
        if result is not None:
            self.results[stage] = result
        if result is not None and self._profile is not None and self._profiles is not None:
            self._profile.disable()
            self._profile.dump_stats(self._profiles / f"{stage.replace(' ', '-')}.prof")
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        cpu = sum(one.ru_utime + one.ru_stime for one in used)
        line = {"stage": stage, "cpu_seconds": cpu, "result": None if result is None else dict(result)}
        self._stream.write(json.dumps(line, default=str) + "\n")
        if result is not None and stage == self._until:
            raise SystemExit
        if result is None and self._profiles is not None:
            self._profile = cProfile.Profile()
            self._profile.enable()


def main(pipe: int, users: int, seed: int, until: str | None, profiles: Path | None) -> None:
    """Run everything in the home that the environment names."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    settings = load_settings()
    report = Reporter(pipe, until, profiles)
    made = settings.resolved_home / "made"
    if not (settings.resolved_home / "warehouse.duckdb").exists():
        _make(settings, report, MadeShop(users, seed, settings.namespace), made)
    placements = list(settings.placements)
    outcome = pipeline.run_chain(
        settings, as_of="latest", placements=placements, now=clock(), progress=report, clock=clock
    )
    published = [row["placement"] for row in outcome["published"]]
    if sorted(published) != sorted(placements):
        raise SystemExit(f"Only {published} of {placements} were published: {outcome['waiting']}")
    report("sample", None)
    report("sample", measure_ranking(settings, report.results["state"]["state"]))


def _make(settings: Settings, report: Reporter, shop: MadeShop, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    report("generator", None)
    report("generator", shop.write(folder, settings))
    report("extract", None)
    report("extract", load_made_shop(settings, folder))


if __name__ == "__main__":
    numbers, (stage, folder) = map(int, sys.argv[1:4]), sys.argv[4:]
    main(*numbers, stage or None, Path(folder) if folder else None)
