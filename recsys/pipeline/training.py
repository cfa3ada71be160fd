"""The training stages: from a snapshot to candidates."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from recsys import snapshot as snapshots
from recsys.artifacts import Artifact, ArtifactStore, fingerprint, within_home
from recsys.assets import code_hash
from recsys.candidates import make_generator
from recsys.candidates.base import propose_each, write_proposals
from recsys.compute import engine
from recsys.cuts import CutPlan, cut_name, lay_cut, plan_cuts
from recsys.engine import Piece
from recsys.features import compute_tables
from recsys.features.tables import ITEM_SIDE, TABLES
from recsys.history import History, Need, eligible_items, read_history
from recsys.pipeline.parts import make_parts
from recsys.ranking import write_labels, write_truth
from recsys.ranking.ingredients import LABELS, TRUTH, VARIANTS
from recsys.ranking.ranking_set import sample_customers
from recsys.settings import Settings
from recsys.snapshot import Snapshot

Result = dict[str, Any]


def take_snapshot(settings: Settings, *, as_of: str, now: datetime) -> Result:
    """Extract what the warehouse held as of a moment (``latest``, a date or a time)."""
    artifact = snapshots.take_snapshot(settings, as_of=as_of, now=now)
    taken = Snapshot.open(artifact.uri)
    return {
        "snapshot": taken.uri,
        "snapshot_id": taken.snapshot_id,
        "as_of": taken.as_of.isoformat(),
        "rows": taken.manifest["rows"],
        "extraction": artifact.facts["extraction"],
        "rows_read": artifact.facts["rows_read"],
        "rejected": sum(artifact.facts["rejected"].values()),
        "report": artifact.facts["report"],
        "broken": artifact.facts["broken"],
        "reused": artifact.reused,
    }


def cuts_of(settings: Settings, snapshot: Snapshot) -> CutPlan:
    """Return the cuts of a training on a snapshot."""
    return plan_cuts(settings, snapshot.as_of, snapshot.first_event)


@within_home
def build_features(settings: Settings, *, snapshot: str) -> Result:
    """Compute features, and what was bought afterwards, at every cut of a training."""
    source = Snapshot.open(snapshot)
    plan = cuts_of(settings, source)

    def build(folder: Path) -> dict[str, Any]:
        for cut, part in zip(plan.all, features_at(settings, source, plan.all), strict=True):
            part.link(folder / cut_name(cut))
        return {"cuts": len(plan.all)}

    made = store_of(settings).make("features", _features_name(settings, source), build)
    return {"features": made.uri, "cuts": len(plan.all), "reused": made.reused}


def features_at(settings: Settings, source: Snapshot, cuts: Sequence[datetime]) -> list[Artifact]:
    """Compute features, and what was bought afterwards, at some cuts: an artifact of each."""
    name = _features_name(settings, source)
    return make_parts(
        settings,
        "features",
        {
            f"{name}-{cut_name(cut)}": Piece(
                f"features {cut_name(cut)}", write_features, {"snapshot": source.uri, "cut": cut.isoformat()}
            )
            for cut in cuts
        },
    )


def write_features(settings: Settings, *, snapshot: str, cut: str) -> Result:
    """Do the piece of :func:`features_at` at one cut."""
    source, moment = Snapshot.open(snapshot), datetime.fromisoformat(cut)
    customers = sample_customers(source.user_count, settings)

    def build(at: Path) -> dict[str, Any]:
        with _at_cut(settings, source, moment) as (connection, history):
            judged, _ = eligible_items(connection, settings)
            compute_tables(connection, at, ITEM_SIDE)
            lay_cut(connection, moment, customers)
            compute_tables(connection, at, tuple(name for name in TABLES if name not in ITEM_SIDE))
            write_truth(connection, settings, judged, at / TRUTH)
            write_labels(connection, settings, history.items, at / LABELS)
            np.save(at / "eligible.npy", history.items)
        return {"cut": cut}

    name = f"{_features_name(settings, source)}-{cut_name(moment)}"
    return {"features": store_of(settings).make("features", name, build).uri}


def _features_name(settings: Settings, source: Snapshot) -> str:
    return stage_name(source, settings.candidates.half_life_days, settings)


@contextmanager
def _at_cut(
    settings: Settings, source: Snapshot, cut: datetime, needs: Collection[Need] = ()
) -> Iterator[tuple[duckdb.DuckDBPyConnection, History]]:
    """Open a snapshot with a cut laid for all customers, and give their history."""
    with engine(settings) as connection:
        source.attach(connection)
        lay_cut(connection, cut)
        yield connection, read_history(connection, settings, cut, source.user_count, needs=needs)


@within_home
def generate_candidates(settings: Settings, *, snapshot: str, generator: str, only_holdout: bool = False) -> Result:
    """Let one generator propose products to the ranking set's customers at every cut of a training.

    With ``only_holdout`` at the hold-out alone: for a model that is measured there, but not trained.
    """
    source = Snapshot.open(snapshot)
    plan = cuts_of(settings, source)
    cuts = (plan.holdout,) if only_holdout else plan.all
    make_generator(generator)  # an unknown name is told before the work begins

    def build(folder: Path) -> dict[str, Any]:
        for cut, part in zip(cuts, candidates_at(settings, source, cuts, generator), strict=True):
            part.link(folder / cut_name(cut))
        return {"generator": generator}

    name = stage_name(source, generator, settings.candidates.model_dump(mode="json"), only_holdout, settings)
    made = store_of(settings).make("candidates", f"{generator}-{name}", build)
    return {"candidates": made.uri, "generator": generator, "reused": made.reused}


def candidates_at(settings: Settings, source: Snapshot, cuts: Sequence[datetime], generator: str) -> list[Artifact]:
    """Let one generator propose at some cuts: an artifact of each."""
    name = _proposals_name(settings, source, generator)
    given = {"snapshot": source.uri, "generator": generator}
    return make_parts(
        settings,
        "candidates",
        {
            f"{name}-{cut_name(cut)}": Piece(
                f"candidates {generator} {cut_name(cut)}", write_candidates, {**given, "cut": cut.isoformat()}
            )
            for cut in cuts
        },
    )


def write_candidates(settings: Settings, *, snapshot: str, generator: str, cut: str) -> Result:
    """Do the piece of :func:`candidates_at` at one cut."""
    source, moment = Snapshot.open(snapshot), datetime.fromisoformat(cut)
    customers = sample_customers(source.user_count, settings)
    keep = settings.candidates.per_generator

    def build(at: Path) -> dict[str, Any]:
        fitted = make_generator(generator)
        with _at_cut(settings, source, moment, fitted.needs) as (_, history):
            fitted.fit(replace(history, asked=customers), settings)
        blocks = list(propose_each(fitted, history, customers, keep, tuple(VARIANTS)))
        for position, variant in enumerate(VARIANTS.values()):
            write_proposals((block[position] for block in blocks), at / f"{variant}.parquet")
        return {"generator": generator, "cut": cut}

    name = f"{_proposals_name(settings, source, generator)}-{cut_name(moment)}"
    return {"candidates": store_of(settings).make("candidates", name, build).uri}


def _proposals_name(settings: Settings, source: Snapshot, generator: str) -> str:
    candidates = settings.candidates.model_dump(mode="json")
    return f"{generator}-{stage_name(source, generator, candidates, settings)}"


def store_of(settings: Settings) -> ArtifactStore:
    """Return where stages keep what they make."""
    return ArtifactStore(settings.resolved_home)


def stage_name(source: Snapshot, *parts: object) -> str:
    """Return a training stage's name from the snapshot, its own parts and the settings every training stage shares."""
    *own, settings = parts
    assert isinstance(settings, Settings)
    shared = (
        settings.ranker.cuts,
        settings.ranker.horizon_days,
        settings.ranker.max_customers,
        settings.publication.min_item_purchases,
        settings.publication.new_item_days,
        settings.candidates.popularity_days,
        settings.seed,
        code_hash(),
    )
    return fingerprint(source.snapshot_id, own, shared)
