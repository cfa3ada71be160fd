"""The training stages: from a snapshot to rankers."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from recsys import snapshot as snapshots
from recsys.artifacts import Artifact, ArtifactStore, facts_of, fingerprint, open_artifact, within_home
from recsys.assets import code_hash
from recsys.candidates import make_generator
from recsys.candidates.base import propose_each, write_proposals
from recsys.compute import engine
from recsys.cuts import CutPlan, cut_name, keep_events_of, lay_cut, plan_cuts
from recsys.engine import Peers, Piece, run_ahead, run_together
from recsys.errors import SettingsError
from recsys.evaluation.holdout import HOLDOUT
from recsys.features import compute_tables
from recsys.features.tables import ITEM_SIDE, USER_SIDE
from recsys.histories import history_at
from recsys.history import choose_items, count_items
from recsys.ranking import RankingSet, train_ranker, write_labels, write_truth
from recsys.ranking.baselines import SCORES_FILE, score_baselines, write_scores
from recsys.ranking.ingredients import LABELS, TRUTH, VARIANTS
from recsys.ranking.ranker import Ranker, save_importance, train_share
from recsys.ranking.ranking_set import sample_customers
from recsys.settings import Settings
from recsys.snapshot import Snapshot

Result = dict[str, Any]
RELEASE: Final = "release"
BASELINES: Final = "baselines"
LEARNED: Final = ("twin", RELEASE, BASELINES)
"""What is learned for a placement: the ranker that is measured, the one that may serve, and simpler models."""


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
    given = {cut_name(cut): {"snapshot": source.uri, "cut": cut.isoformat()} for cut in cuts}
    run_ahead(settings, [Piece(f"features {name}", make_features, one) for name, one in given.items()])
    store = store_of(settings)
    names = {cut: f"{_features_name(settings, source)}-{cut_name(cut)}" for cut in cuts}
    found = {cut: store.find("features", name) for cut, name in names.items()}
    if missing := [cut for cut in cuts if found[cut] is None]:
        with store.draft("features") as draft:
            _write_features(settings, source, missing, draft)
            for cut in missing:
                found[cut] = store.adopt(draft / cut_name(cut), "features", names[cut], {"cut": cut.isoformat()})
    return [one for one in found.values() if one is not None]


def make_features(settings: Settings, *, snapshot: str, cut: str) -> Result:
    """Do the piece of :func:`features_at` for one cut."""
    [made] = features_at(settings, Snapshot.open(snapshot), [datetime.fromisoformat(cut)])
    return {"features": made.uri}


def _write_features(settings: Settings, source: Snapshot, cuts: Sequence[datetime], folder: Path) -> None:
    customers = sample_customers(source.user_count, settings)
    with engine(settings) as connection:
        source.attach(connection)
        shown = {cut: _write_item_side(connection, settings, cut, folder) for cut in cuts}
        keep_events_of(connection, customers)
        for cut in cuts:
            _write_user_side(connection, settings, cut, customers, shown[cut], folder / cut_name(cut))


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
    compute_tables(connection, at, USER_SIDE)
    write_truth(connection, settings, products[0], at / TRUTH)
    write_labels(connection, settings, products[1], at / LABELS)


def _features_name(settings: Settings, source: Snapshot) -> str:
    return stage_name(source, settings.candidates.half_life_days, settings)


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
        propose_ahead(settings, source, cuts, [generator])
        for cut in cuts:
            candidates_at(settings, source, cut, generator).link(folder / cut_name(cut))
        return {"generator": generator}

    name = stage_name(source, generator, settings.candidates.model_dump(mode="json"), only_holdout, settings)
    made = store_of(settings).make("candidates", f"{generator}-{name}", build)
    return {"candidates": made.uri, "generator": generator, "reused": made.reused}


def propose_ahead(settings: Settings, source: Snapshot, cuts: Sequence[datetime], generators: Sequence[str]) -> None:
    """Let a cluster make what :func:`candidates_at` is asked for next: each generator at each cut."""
    pieces = [
        Piece(
            f"candidates {generator} {cut_name(cut)}",
            make_candidates,
            {"snapshot": source.uri, "cut": cut.isoformat(), "generator": generator},
        )
        for generator in generators
        for cut in cuts
    ]
    run_ahead(settings, pieces)


def make_candidates(settings: Settings, *, snapshot: str, cut: str, generator: str) -> Result:
    """Do the piece of :func:`candidates_at`."""
    made = candidates_at(settings, Snapshot.open(snapshot), datetime.fromisoformat(cut), generator)
    return {"candidates": made.uri}


def candidates_at(settings: Settings, source: Snapshot, cut: datetime, generator: str) -> Artifact:
    """Let one generator propose at one cut."""
    customers = sample_customers(source.user_count, settings)
    keep = settings.candidates.per_generator
    fitted = make_generator(generator)

    def build(at: Path) -> dict[str, Any]:
        history = history_at(settings, source, cut, fitted.needs)
        fitted.fit(replace(history, asked=customers), settings)
        blocks = list(propose_each(fitted, history, customers, keep, tuple(VARIANTS)))
        for position, variant in enumerate(VARIANTS.values()):
            write_proposals((block[position] for block in blocks), at / f"{variant}.parquet")
        return {"generator": generator, "cut": cut.isoformat()}

    name = stage_name(source, generator, settings.candidates.model_dump(mode="json"), settings)
    return store_of(settings).make("candidates", f"{generator}-{name}-{cut_name(cut)}", build)


@within_home
def train_rankers(settings: Settings, *, ranking_set: str) -> Result:
    """Train the evaluation twin and the release of every placement in the ranking set.

    Simpler models learn from the twin's cuts too, and their scores of the hold-out's candidates are kept.
    """
    facts = facts_of(ranking_set)

    def build(folder: Path) -> dict[str, Any]:
        wanted = [(placement, what) for placement in facts["placements"] for what in LEARNED]
        learn_ahead(settings, ranking_set, wanted)
        for placement, what in wanted:
            learned(settings, ranking_set, placement, what).link(folder)
        return {"ranking_set": ranking_set, "placements": facts["placements"], "weights": facts["weights"]}

    made = store_of(settings).make("rankers", _rankers_name(settings, ranking_set), build)
    return {"rankers": made.uri, "placements": len(facts["placements"]), "reused": made.reused}


def learn_ahead(settings: Settings, ranking_set: str, wanted: Sequence[Sequence[str]]) -> None:
    """Let a cluster make what :func:`learned` is asked for next, but for rankers that several machines train."""
    pieces = [
        Piece(
            f"ranker {placement} {what}",
            make_learned,
            {"ranking_set": ranking_set, "placement": placement, "what": what},
        )
        for placement, what in wanted
        if what == BASELINES or settings.ranker_of(placement).machines == 1
    ]
    run_ahead(settings, pieces)


def make_learned(settings: Settings, *, ranking_set: str, placement: str, what: str) -> Result:
    """Do the piece of :func:`learned`."""
    return {"learned": learned(settings, ranking_set, placement, what).uri}


def learned(settings: Settings, ranking_set: str, placement: str, what: str) -> Artifact:
    """Learn one of ``LEARNED`` for a placement.

    Raises:
        SettingsError: if there is no such placement, or nothing of that name is learned.
    """
    settings.placement(placement)
    if what not in LEARNED:
        raise SettingsError(f"{what!r} isn't learned for a placement; there are: {', '.join(LEARNED)}.")
    rows, facts = open_artifact(ranking_set), facts_of(ranking_set)
    plan = cuts_of(settings, Snapshot.open(facts["snapshot"]))
    cuts = plan.release if what == RELEASE else plan.twin
    files = [rows / placement / f"{cut_name(cut)}.parquet" for cut in cuts]
    machines = settings.ranker_of(placement).machines

    def build(folder: Path) -> dict[str, Any]:
        target = folder / placement / ("" if what == BASELINES else what)
        target.mkdir(parents=True)
        if what != BASELINES and machines > 1:
            given = {"files": [str(path) for path in files], "placement": placement, "folder": str(target)}
            run_together(settings, f"ranker {placement} {what}", write_share, machines, given)
            return {}
        learned_from = RankingSet.read(files)
        if what == BASELINES:
            measured = RankingSet.read([rows / placement / f"{HOLDOUT}.parquet"])
            write_scores(measured, score_baselines(learned_from, measured, settings), target / SCORES_FILE)
        else:
            _save(train_ranker(learned_from, settings, settings.ranker_of(placement)), target)
        return {}

    return store_of(settings).make("rankers", f"{_rankers_name(settings, ranking_set)}-{placement}-{what}", build)


def write_share(settings: Settings, *, files: list[str], placement: str, folder: str, peers: Peers) -> Result:
    """Train one ranker together with others; the first of them writes it."""
    ranker = train_share([Path(path) for path in files], settings, settings.ranker_of(placement), peers)
    if peers.rank == 0:
        _save(ranker, Path(folder))
    return {}


def _save(ranker: Ranker, folder: Path) -> None:
    ranker.save(folder)
    save_importance(ranker, folder / "importance.json")


def _rankers_name(settings: Settings, ranking_set: str) -> str:
    learners = {name: settings.ranker_of(name).model_dump(mode="json") for name in facts_of(ranking_set)["placements"]}
    return fingerprint(open_artifact(ranking_set).name, learners, settings.seed, code_hash())


def store_of(settings: Settings) -> ArtifactStore:
    """Return where stages keep what they make."""
    return ArtifactStore.of(settings)


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
