"""The training stages: from a snapshot to rankers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from recsys import snapshot as snapshots
from recsys.artifacts import ArtifactStore, facts_of, fingerprint, open_artifact, within_home
from recsys.assets import code_hash
from recsys.candidates import make_generator
from recsys.candidates.base import propose_each, write_proposals
from recsys.compute import engine
from recsys.cuts import CutPlan, cut_name, keep_events_of, lay_cut, plan_cuts
from recsys.evaluation.holdout import HOLDOUT
from recsys.features import compute_tables
from recsys.features.tables import ITEM_SIDE, TABLES
from recsys.fusion.learning import learn_weights
from recsys.histories import history_at
from recsys.history import choose_items, count_items
from recsys.ranking import RankingSet, train_ranker, write_labels, write_ranking_rows, write_truth
from recsys.ranking.baselines import SCORES_FILE, score_baselines, write_scores
from recsys.ranking.ingredients import LABELS, TRUTH, VARIANTS, Ingredients
from recsys.ranking.ranker import save_importance
from recsys.ranking.ranking_set import sample_customers
from recsys.settings import PlacementSettings, Settings
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
    customers = sample_customers(source.user_count, settings)

    def build(folder: Path) -> dict[str, Any]:
        with engine(settings) as connection:
            source.attach(connection)
            shown = {cut: _write_item_side(connection, settings, cut, folder) for cut in plan.all}
            keep_events_of(connection, customers)
            for cut in plan.all:
                _write_user_side(connection, settings, cut, customers, shown[cut], folder / cut_name(cut))
        return {"cuts": len(plan.all)}

    name = _name(source, settings.candidates.half_life_days, settings)
    made = _store(settings).make("features", name, build)
    return {"features": made.uri, "cuts": len(plan.all), "reused": made.reused}


def _write_item_side(
    connection: duckdb.DuckDBPyConnection, settings: Settings, cut: datetime, folder: Path
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Write what is known of products at a cut; return those that models are measured by, and those that are shown."""
    at = folder / cut_name(cut)
    at.mkdir()
    lay_cut(connection, cut)
    counts = count_items(connection, settings)
    judged, _ = choose_items(counts, settings)
    shown, _ = choose_items(counts, settings, with_new=True)
    compute_tables(connection, at, ITEM_SIDE)
    np.save(at / "eligible.npy", shown)
    return judged, shown


def _write_user_side(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    cut: datetime,
    customers: NDArray[np.int32],
    products: tuple[NDArray[np.int32], NDArray[np.int32]],
    at: Path,
) -> None:
    """Write what is known of the ranking set's customers at a cut, and what they bought afterwards."""
    lay_cut(connection, cut, customers)
    compute_tables(connection, at, tuple(name for name in TABLES if name not in ITEM_SIDE))
    write_truth(connection, settings, products[0], at / TRUTH)
    write_labels(connection, settings, products[1], at / LABELS)


@within_home
def generate_candidates(settings: Settings, *, snapshot: str, generator: str, only_holdout: bool = False) -> Result:
    """Let one generator propose products to the ranking set's customers at every cut of a training.

    With ``only_holdout`` at the hold-out alone: for a model that is measured there, but not trained.
    """
    source = Snapshot.open(snapshot)
    plan = cuts_of(settings, source)
    cuts = (plan.holdout,) if only_holdout else plan.all
    customers = sample_customers(source.user_count, settings)
    keep = settings.candidates.per_generator
    needs = make_generator(generator).needs  # an unknown name is told before the work begins

    def build(folder: Path) -> dict[str, Any]:
        for cut in cuts:
            at = folder / cut_name(cut)
            at.mkdir()
            history = history_at(settings, source, cut, needs)
            fitted = make_generator(generator)
            fitted.fit(replace(history, asked=customers), settings)
            blocks = list(propose_each(fitted, history, customers, keep, tuple(VARIANTS)))
            for position, variant in enumerate(VARIANTS.values()):
                write_proposals((block[position] for block in blocks), at / f"{variant}.parquet")
        return {"generator": generator}

    name = _name(source, generator, settings.candidates.model_dump(mode="json"), only_holdout, settings)
    made = _store(settings).make("candidates", f"{generator}-{name}", build)
    return {"candidates": made.uri, "generator": generator, "reused": made.reused}


@within_home
def build_ranking_set(
    settings: Settings,
    *,
    snapshot: str,
    features: str,
    candidates: list[str],
    placements: list[str],
    whole_cuts: int = 1,
) -> Result:
    """Fuse the candidates, join features and labels: the rows that rankers learn from and are measured on.

    Every candidate is kept of the newest ``whole_cuts`` cuts, the hold-out first (the file ``holdout``, others
    ``whole-<cut>``): there rankers are measured. Fusion weights are learned on the cuts before all of these.
    """
    source = Snapshot.open(snapshot)
    plan = cuts_of(settings, source)
    proposals = {facts_of(uri)["generator"]: open_artifact(uri) for uri in candidates}
    generators = tuple(name for name in settings.candidates.generators if name in proposals)
    made_of = Ingredients(source, open_artifact(features), proposals, generators)
    rules = {name: settings.placement(name) for name in placements}
    whole = (plan.holdout, *reversed(plan.twin))[:whole_cuts]

    def build(folder: Path) -> dict[str, Any]:
        weights = _learn_weights(settings, made_of, rules, [cut for cut in plan.twin if cut not in whole])
        in_force = {name: rule.with_weights(weights.get(name)) for name, rule in rules.items()}
        files = [(cut, cut_name(cut), False) for cut in plan.all]
        files += [(cut, whole_name(plan, cut), True) for cut in whole]
        return {
            "rows": sum(_write_rows(settings, made_of, in_force, folder, *file) for file in files),
            "snapshot": snapshot,
            "features": features,
            "candidates": {name: path.as_uri() for name, path in proposals.items()},
            "placements": placements,
            "generators": generators,
            "weights": weights,
        }

    described = {name: rule.model_dump(mode="json", exclude={"ranker", "shaping"}) for name, rule in rules.items()}
    negatives = {name: settings.ranker_of(name).negatives for name in placements}
    name = _name(source, features, sorted(candidates), described, negatives, whole_cuts, settings)
    made = _store(settings).make("ranking_sets", name, build)
    return {"ranking_set": made.uri, "rows": made.facts["rows"], "reused": made.reused}


def whole_name(plan: CutPlan, cut: datetime) -> str:
    """Return the name of the file with every candidate of a cut."""
    return HOLDOUT if cut == plan.holdout else f"whole-{cut_name(cut)}"


def _learn_weights(
    settings: Settings, made_of: Ingredients, rules: Mapping[str, PlacementSettings], cuts: Sequence[datetime]
) -> dict[str, dict[str, float]]:
    """Learn the fusion weights of the placements that want it, on cuts that are not measured."""
    learned = {}
    for placement, rule in rules.items():
        if rule.learn_weights:
            lessons = [made_of.lesson(cut, rule) for cut in cuts]
            with engine(settings) as connection:
                learned[placement] = learn_weights(connection, lessons, made_of.generators, rule, settings.seed)
    return learned


def _write_rows(
    settings: Settings,
    made_of: Ingredients,
    rules: Mapping[str, PlacementSettings],
    folder: Path,
    cut: datetime,
    name: str,
    whole: bool,
) -> int:
    """Write one cut's rows of every placement: all of them, or a draw of those that were not bought."""
    rows = 0
    with made_of.laid(settings, cut) as connection:
        for placement, rule in rules.items():
            (folder / placement).mkdir(exist_ok=True)
            rows += write_ranking_rows(
                connection,
                rule,
                made_of.files(cut, rule),
                made_of.generators,
                folder / placement / f"{name}.parquet",
                negatives=None if whole else settings.ranker_of(placement).negatives,
                seed=settings.seed,
            )
    return rows


@within_home
def train_rankers(settings: Settings, *, ranking_set: str) -> Result:
    """Train the evaluation twin and the release of every placement in the ranking set.

    Simpler models learn from the twin's cuts too, and their scores of the hold-out's candidates are kept.
    """
    facts = facts_of(ranking_set)
    source = Snapshot.open(facts["snapshot"])
    plan = cuts_of(settings, source)
    rows = open_artifact(ranking_set)

    def build(folder: Path) -> dict[str, Any]:
        for placement in facts["placements"]:
            for kind, cuts in (("twin", plan.twin), ("release", plan.release)):
                learned_from = RankingSet.read([rows / placement / f"{cut_name(cut)}.parquet" for cut in cuts])
                learned = train_ranker(learned_from, settings, settings.ranker_of(placement))
                target = folder / placement / kind
                target.mkdir(parents=True)
                learned.save(target)
                save_importance(learned, target / "importance.json")
                if kind == "twin":
                    measured = RankingSet.read([rows / placement / f"{HOLDOUT}.parquet"])
                    scores = score_baselines(learned_from, measured, settings)
                    write_scores(measured, scores, folder / placement / SCORES_FILE)
        return {"ranking_set": ranking_set, "placements": facts["placements"], "weights": facts["weights"]}

    learners = {name: settings.ranker_of(name).model_dump(mode="json") for name in facts["placements"]}
    name = fingerprint(rows.name, learners, settings.seed, code_hash())
    made = _store(settings).make("rankers", name, build)
    return {"rankers": made.uri, "placements": len(facts["placements"]), "reused": made.reused}


def _store(settings: Settings) -> ArtifactStore:
    return ArtifactStore(settings.resolved_home)


def _name(source: Snapshot, *parts: object) -> str:
    """Return a stage's name from the snapshot, its own parts and the settings every training stage shares."""
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
