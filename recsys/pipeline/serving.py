"""The serving stages: the champions' recipes on a fresh snapshot, every customer's list, publication."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from recsys import columns as c
from recsys import ledger, logs, publication, registry, scoring
from recsys.artifacts import ArtifactStore, fingerprint, local_path, open_artifact, uri_of, within_home
from recsys.engine import Piece, run_pieces
from recsys.evaluation import published
from recsys.pipeline.fitting import fit_recipe
from recsys.pipeline.refreshing import find_base, refresh_over
from recsys.pipeline.training import take_snapshot
from recsys.publication import PublicationRecord
from recsys.ranking import Ranker
from recsys.scoring.finishing import CAPPED_FILE
from recsys.scoring.recipe import Recipe
from recsys.scoring.refreshing import Refreshed
from recsys.scoring.shard import Scorer, Shard
from recsys.scoring.state import DEFAULTS_FILE, FittedState
from recsys.settings import Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import migrate, open_warehouse

Result = dict[str, Any]
PLAN = "plan.json"
BASE, REFRESHED = "base", "refreshed"  # of a placement in a plan: whose other lists count, and whose lists are made
LOG = logging.getLogger(__name__)


@within_home
def fit_state(settings: Settings, *, snapshot: str, placements: list[str], whole: bool = False) -> Result:
    """Fit the champions' recipes to a snapshot, and plan the shards. A placement without one is left out.

    Args:
        settings: in force.
        snapshot: URI of the snapshot.
        placements: which.
        whole: make the lists of all customers, whatever ``whole_every_days`` says.

    Returns:
        ``state``: the plan, ``placements``: those with a champion, ``shards``: ranges of buckets to score, ``reused``,
        and ``refreshed``: of the placements for which not all lists are made, how many are.
    """
    source = Snapshot.open(snapshot)
    for placement in placements:
        settings.placement(placement)
    with open_warehouse(settings, purpose="read the champions") as warehouse:
        migrate(warehouse)
        champions = {name: ledger.champion(warehouse, name) for name in placements}
        chosen = {name: (one.model_name, one.model_version) for name, one in champions.items() if one is not None}
        found = {} if whole else {name: find_base(warehouse, settings, source, name, chosen[name]) for name in chosen}
    return fit_versions(settings, source, chosen, {name: base for name, base in found.items() if base is not None})


def fit_versions(
    settings: Settings,
    source: Snapshot,
    versions: Mapping[str, ledger.Version],
    bases: Mapping[str, PublicationRecord] = {},
) -> Result:
    """Fit the recipes of versions, one a placement, to a snapshot, and plan the shards."""
    models = {name: Model(*version, registry.download_bundle(settings, *version)) for name, version in versions.items()}
    return fit_models(settings, source, models, bases)


@dataclass(frozen=True)
class Model:
    """A model whose plain files are on this machine."""

    name: str
    version: str
    bundle: Path


def fit_models(
    settings: Settings, source: Snapshot, models: Mapping[str, Model], bases: Mapping[str, PublicationRecord] = {}
) -> Result:
    """Fit the recipes of models, one a placement, to a snapshot, and plan the shards, over bases where they serve."""
    plan: dict[str, Any] = {"snapshot": source.uri, "placements": {}}
    reused = True
    for placement, model in models.items():
        recipe = Recipe.load(model.bundle)
        fitted = fit_recipe(settings, source, recipe)
        reused = reused and fitted["reused"]
        chosen = {
            "bundle": uri_of(model.bundle),
            "state": fitted["state"],
            c.MODEL_NAME: model.name,
            c.MODEL_VERSION: model.version,
        }
        plan["placements"][placement] = chosen | _over(settings, source, recipe, chosen, bases.get(placement))

    def build(folder: Path) -> dict[str, Any]:
        (folder / PLAN).write_text(json.dumps(plan, indent=1), encoding="utf-8")
        return {"placements": sorted(plan["placements"])}

    ids = {name: _lists_id(settings, found) for name, found in plan["placements"].items()}
    made = ArtifactStore.of(settings).make("plans", fingerprint(ids), build)
    refreshed = {
        name: Refreshed.open(found[REFRESHED]).count for name, found in plan["placements"].items() if REFRESHED in found
    }
    scored = source.user_count if len(refreshed) < len(ids) else min(source.user_count, sum(refreshed.values()))
    planned = scoring.plan_shards(scoring.shard_count(settings, scored))
    shards = [{"bucket_from": shard.bucket_from, "bucket_to": shard.bucket_to} for shard in planned]
    return {
        "state": made.uri,
        "placements": list(plan["placements"]),
        "shards": shards if plan["placements"] else [],
        "reused": reused,
        "refreshed": refreshed,
    }


def _over(
    settings: Settings, source: Snapshot, recipe: Recipe, chosen: dict[str, str], base: PublicationRecord | None
) -> dict[str, str]:
    """Return what a plan says of the base that a placement's lists are made over; nothing where all are made."""
    if base is None:
        return {}
    over = {BASE: base.publication_id}
    name = f"{recipe.placement}-{_lists_id(settings, chosen | over)}"
    refreshed = refresh_over(settings, source, recipe, chosen["state"], base, name)
    return {} if refreshed is None else {**over, REFRESHED: refreshed}


@within_home
def score_shard(settings: Settings, *, state: str, bucket_from: int, bucket_to: int) -> Result:
    """Score the customers of one range of buckets for every placement of a plan."""
    shard = {"state": state, "bucket_from": bucket_from, "bucket_to": bucket_to}
    [made] = run_pieces(settings, [Piece(f"scoring {bucket_from}", write_lists, shard)])
    return made


def write_lists(settings: Settings, *, state: str, bucket_from: int, bucket_to: int) -> Result:
    """Do the piece of :func:`score_shard`."""
    plan = _Plan.read(state)

    def build(folder: Path) -> dict[str, Any]:
        scorers = [plan.scorer(settings, name) for name in plan.placements]
        return scoring.score_shard(plan.snapshot, Shard(bucket_from, bucket_to), scorers, folder, plan.asked)

    store = ArtifactStore.of(settings)
    name = f"{local_path(state).name}-{bucket_from:04d}-{bucket_to:04d}"
    made = store.make("lists", name, build)
    return {"lists": made.uri, "rows": sum(made.facts.values()), "reused": made.reused}


@within_home
def publish_lists(
    settings: Settings, *, state: str, lists: list[str], placement: str, run_id: str, now: datetime
) -> Result:
    """Stage, audit and put one placement's lists live, and write the live files for readers outside."""
    new = new_publication(settings, state=state, lists=lists, placement=placement, run_id=run_id)
    ids = {logs.RUN_ID: run_id, logs.SNAPSHOT_ID: new.snapshot_id, logs.PUBLICATION_ID: new.publication_id}
    with logs.bound(**ids), open_warehouse(settings, purpose=f"publish {placement}") as warehouse:
        record = publication.publish(warehouse, settings, new, now=now)
        LOG.info("%s is %s on %s.", new.publication_id, "live already" if record.is_skipped else "live", placement)
    return {
        c.PUBLICATION_ID: record.publication_id,
        c.PLACEMENT: placement,
        c.STATUS: record.status,
        "customers": record.user_count,
        "rows": record.row_count,
        "own_rows": record.own_row_count,
        BASE: record.base_publication_id,
        "skipped": record.is_skipped,
    }


def new_publication(
    settings: Settings, *, state: str, lists: list[str], placement: str, run_id: str, kind: str = ""
) -> publication.NewPublication:
    """Return one placement's lists as they are to be staged.

    Args:
        settings: in force.
        state: of :func:`fit_state`.
        lists: of :func:`score_shard`, of all shards.
        placement: whose.
        run_id: the run that made them.
        kind: a part of the id, for lists that are not the placement's own.
    """
    plan = _Plan.read(state)
    chosen = plan.placements[placement]
    fitted = FittedState(open_artifact(chosen["state"]))
    files = _finish(settings, plan, placement, lists)
    return publication.NewPublication(
        publication_id="-".join(part for part in (placement, kind, _lists_id(settings, chosen)) if part),
        placement=placement,
        as_of=fitted.as_of,
        model_name=chosen[c.MODEL_NAME],
        model_version=chosen[c.MODEL_VERSION],
        state_id=fitted.folder.name,
        run_id=run_id,
        snapshot_id=fitted.about["snapshot_id"],
        code_commit=registry.code_state().commit,
        lists=files,
        expected_customers=fitted.about["expected_customers"],
        known_items=fitted.folder / "catalogue.parquet",
        base=chosen.get(BASE),
    )


def _finish(settings: Settings, plan: "_Plan", placement: str, lists: list[str]) -> tuple[Path, ...]:
    """Return the files of a publication, made from the shards' lists."""
    shards = sorted(open_artifact(uri) / f"{placement}.parquet" for uri in lists)
    chosen = plan.placements[placement]
    applied = Recipe.load(registry.open_bundle(chosen["bundle"])).apply(settings)

    def build(folder: Path) -> dict[str, Any]:
        state = FittedState(open_artifact(chosen["state"]))
        return {"is_capped": scoring.finish_lists(applied, placement, state, shards, folder, plan.refreshed(placement))}

    name = fingerprint(_lists_id(settings, chosen), [path.parent.name for path in shards])
    made = ArtifactStore.of(settings).make("finished", f"{placement}-{name}", build)
    return (*([made.path / CAPPED_FILE] if made.facts["is_capped"] else shards), made.path / DEFAULTS_FILE)


def _lists_id(settings: Settings, chosen: Mapping[str, str]) -> str:
    """Return what identifies a placement's lists, whichever placements were scored together."""
    shown = (settings.publication.items, settings.publication.spare)
    over = (chosen[BASE],) if BASE in chosen else ()
    return fingerprint(local_path(chosen["state"]).name, chosen[c.MODEL_NAME], chosen[c.MODEL_VERSION], shown, *over)


def measure_published(settings: Settings, *, placement: str, now: datetime) -> Result:
    """Measure what is live against what customers bought afterwards, as far as the warehouse knows."""
    settings.placement(placement)
    taken = take_snapshot(settings, as_of="latest", now=now)
    with open_warehouse(settings, purpose="measure what is live") as warehouse:
        return published.measure(warehouse, settings, Snapshot.open(taken["snapshot"]), placement)


@dataclass(frozen=True)
class _Plan:
    """Which champion scores which placement, on which snapshot."""

    snapshot: Snapshot
    placements: dict[str, dict[str, str]]

    @classmethod
    def read(cls, uri: str) -> "_Plan":
        raw = json.loads((open_artifact(uri) / PLAN).read_text(encoding="utf-8"))
        return cls(Snapshot.open(raw["snapshot"]), raw["placements"])

    def refreshed(self, placement: str) -> Refreshed | None:
        """Whose lists a placement gets; None: all customers'."""
        uri = self.placements[placement].get(REFRESHED)
        return None if uri is None else Refreshed.open(uri)

    @property
    def asked(self) -> dict[str, Path]:
        """Who gets a list, of the placements where not all do."""
        found = {name: self.refreshed(name) for name in self.placements}
        return {name: one.asked for name, one in found.items() if one is not None}

    def scorer(self, settings: Settings, placement: str) -> Scorer:
        chosen = self.placements[placement]
        bundle = registry.open_bundle(chosen["bundle"])
        applied = Recipe.load(bundle).apply(settings)
        return Scorer(applied, placement, Ranker.load(bundle), FittedState(open_artifact(chosen["state"])))
