"""What the stages that compute make of the small shop, without a registry: for comparing engines."""

import os
import shutil
from pathlib import Path
from typing import Any

from recsys import pipeline, registry
from recsys.artifacts import content_hash, local_path
from recsys.errors import ContractError
from recsys.pipeline.bundling import lay_out_bundle
from recsys.pipeline.serving import Model, fit_models
from recsys.settings import Settings
from recsys.snapshot import Snapshot
from tests.support.chain import PLACEMENTS, list_rows, stages_to_rankers

KINDS = ("features", "candidates", "ranking_sets", "rankers", "states", "lists")


def compute(settings: Settings) -> dict[str, Any]:
    """Train, fit the states of both placements and score every shard; return what the stages told."""
    made = stages_to_rankers(settings)
    source = Snapshot.open(made["snapshot"])
    models = {}
    for placement in PLACEMENTS:
        folder = settings.resolved_home / "bundles" / placement
        folder.parent.mkdir(exist_ok=True)
        bundle = registry.name_bundle(lay_out_bundle(settings, source, made["rankers"], placement, folder))
        models[placement] = Model(placement, "1", bundle)
    made["plan"] = fit_models(settings, source, models)
    made["lists"] = [score(settings, made, shard) for shard in made["plan"]["shards"]]
    return made


def score(settings: Settings, made: dict[str, Any], shard: dict[str, int]) -> str:
    """Score one shard; return the URI of its lists."""
    return str(pipeline.score_shard(settings, state=made["plan"]["state"], **shard)["lists"])


def lists_of(made: dict[str, Any]) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of all shards by placement."""
    return {name: list_rows([local_path(uri) / f"{name}.parquet" for uri in made["lists"]]) for name in PLACEMENTS}


def contents(home: Path) -> dict[str, str]:
    """Return the hash of every file that the computing stages made, by its place."""
    files = [path for kind in KINDS for path in (home / kind).rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {str(path.relative_to(home)): content_hash(path) for path in files}


def forget(home: Path, *kinds: str) -> None:
    """Remove what the computing stages made, so that they make it anew."""
    for kind in kinds or (*KINDS, "histories", "plans", "bundles"):
        shutil.rmtree(home / kind, ignore_errors=True)


def answer_much(settings: Settings, *, size: int) -> dict[str, Any]:
    """A piece that answers with data."""
    return {"data": "x" * size}


def refuse(settings: Settings) -> dict[str, Any]:
    """A piece that reports something on purpose."""
    raise ContractError(f"refused by a piece that may use {settings.threads} threads of process {os.getpid()}")
