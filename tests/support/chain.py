"""The small made shop with the customers that the chain treats in their own way, and what the chain makes of it."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys import pipeline
from recsys.artifacts import local_path
from recsys.ranking import Ranker
from recsys.scoring import FittedState, Recipe, fit_state, plan_shards, score_shard
from recsys.scoring.shard import Scorer
from recsys.settings import Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import Warehouse, open_warehouse
from tests.support.mlflow_store import ready_store
from tests.support.planted import NOW, SCHEMAS, Event, Person, add_events, quick_settings
from tests.support.warehouse import item_id, user_id, write_small_shop

PLACEMENTS = ["for_you", "discover"]
USERS = 180
WITHDRAWN = [user_id(3), user_id(4)]
NEWCOMERS = {"new1": "families", "new2": "singles", "new3": "unseen"}
LOOKER = user_id(5)  # has looked at many products without buying them
ROW = ("subject_id", "rank", "item_id", "score", "source", "reason")


@dataclass(frozen=True)
class Ran:
    """A home in which the chain ran once."""

    settings: Settings
    result: Mapping[str, Any]
    stages: Mapping[str, Mapping[str, Any]]

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot.open(self.stages["snapshot"]["snapshot"])


def run(settings: Settings, *, now: datetime = NOW, as_of: str = "latest", placements: list[str] = PLACEMENTS) -> Ran:
    """Run the chain in this process."""
    ready_store(settings)
    stages: dict[str, Mapping[str, Any]] = {}

    def note(name: str, result: Mapping[str, Any] | None) -> None:
        if result is not None:
            stages[name] = result

    result = pipeline.run_chain(settings, as_of=as_of, placements=placements, now=now, progress=note)
    return Ran(settings, result, stages)


@cache
def shared_run(folder: Path) -> Ran:
    """Run the chain once below pytest's folder of this process; for tests that only read its home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        settings = quick_settings(folder / "shared chain")
        write_chain_shop(settings)
        return run(settings)


def write_chain_shop(settings: Settings, users: int = USERS) -> None:
    """Write the made shop, withdraw some consents, add newcomers and somebody who only looks."""
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=users)
        newcomers = [Person(name, attributes={"segment": segment}).row() for name, segment in NEWCOMERS.items()]
        with warehouse.transaction() as connection:
            names = ", ".join(f"'{name}'" for name in WITHDRAWN)
            connection.exec_driver_sql(f"update shop.users set is_personalised = false where user_id in ({names})")
            warehouse.append(connection, "shop.users", pa.Table.from_pylist(newcomers, SCHEMAS["users"]))
        looks = [Event(LOOKER, item_id(n), datetime(2024, 12, 20), kind="view") for n in range(0, 60, 2)]
        add_events(warehouse, looks)


def published(warehouse: Warehouse, placement: str) -> list[dict[str, Any]]:
    """Return what readers see, in order."""
    return warehouse.query(
        "select user_id, rank, item_id, score, source, reason, publication_id from recsys.live_recommendations "
        "where placement = :placement order by user_id, rank",
        {"placement": placement},
    )


def all_published(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """Return what readers see on every placement."""
    with open_warehouse(settings, purpose="test") as warehouse:
        return {placement: published(warehouse, placement) for placement in PLACEMENTS}


def list_rows(files: list[Path]) -> list[tuple[Any, ...]]:
    """Return the rows of list files, in the order of subjects and ranks."""
    rows = [tuple(row[name] for name in ROW) for path in files for row in pq.read_table(path).to_pylist()]
    return sorted(rows, key=lambda row: row[:2])


def stages_to_rankers(settings: Settings, as_of: str = "latest") -> dict[str, Any]:
    """Run the training stages up to the rankers and return what they made."""
    made: dict[str, Any] = pipeline.take_snapshot(settings, as_of=as_of, now=NOW)
    made |= pipeline.build_features(settings, snapshot=made["snapshot"])
    candidates = [
        pipeline.generate_candidates(settings, snapshot=made["snapshot"], generator=name)["candidates"]
        for name in settings.candidates.generators
    ]
    made["candidates"] = candidates
    made |= pipeline.build_ranking_set(
        settings,
        snapshot=made["snapshot"],
        features=made["features"],
        candidates=candidates,
        placements=PLACEMENTS,
    )
    made |= pipeline.train_rankers(settings, ranking_set=made["ranking_set"])
    return made


def fresh_lists(source: Settings, folder: Path, *, shards: int, threads: int) -> dict[str, list[tuple[Any, ...]]]:
    """Train and score in a new home on a copy of another home's warehouse; return the lists by placement."""
    settings = quick_settings(folder, threads=threads, shards=shards)
    settings.resolved_home.mkdir(parents=True)
    shutil.copy2(source.resolved_home / "warehouse.duckdb", settings.resolved_home / "warehouse.duckdb")
    made = stages_to_rankers(settings)
    snapshot = Snapshot.open(made["snapshot"])
    scorers = []
    for placement in PLACEMENTS:
        recipe = Recipe.of(settings, placement)
        state = FittedState(fit_state(settings, snapshot, recipe.state_key).path)
        ranker = Ranker.load(local_path(made["rankers"]) / placement / "release")
        scorers.append(Scorer(settings, placement, ranker, state))
    folders = []
    for number, shard in enumerate(plan_shards(shards)):
        folders.append(folder / f"shard {number}")
        folders[-1].mkdir()
        score_shard(snapshot, shard, scorers, folders[-1])
    return {name: list_rows([part / f"{name}.parquet" for part in folders]) for name in PLACEMENTS}
