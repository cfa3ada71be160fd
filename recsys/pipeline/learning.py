"""The stage that trains rankers on a ranking set."""

from pathlib import Path
from typing import Any, Final

from recsys.artifacts import Artifact, facts_of, fingerprint, open_artifact, within_home
from recsys.assets import code_hash
from recsys.cuts import cut_name
from recsys.engine import Peers, Piece, run_together
from recsys.evaluation.champion import RELEASE, TWIN
from recsys.evaluation.holdout import HOLDOUT
from recsys.pipeline.parts import make_parts
from recsys.pipeline.training import cuts_of, store_of
from recsys.ranking import RankingSet, train_ranker
from recsys.ranking.baselines import SCORES_FILE, score_baselines, write_scores
from recsys.ranking.ranker import Ranker, save_importance, train_share
from recsys.settings import Settings
from recsys.snapshot import Snapshot

Result = dict[str, Any]
KIND: Final = "rankers"
SIMPLER: Final = "simpler"


@within_home
def train_rankers(settings: Settings, *, ranking_set: str) -> Result:
    """Train the evaluation twin and the release of every placement in the ranking set.

    Simpler models learn from the twin's cuts too, and their scores of the hold-out's candidates are kept.
    """
    facts = facts_of(ranking_set)
    wanted = [(placement, kind) for placement in facts["placements"] for kind in (TWIN, RELEASE, SIMPLER)]

    def build(folder: Path) -> dict[str, Any]:
        for (placement, _), part in zip(wanted, _parts(settings, ranking_set, wanted), strict=True):
            part.link(folder / placement)
        return {"ranking_set": ranking_set, "placements": facts["placements"], "weights": facts["weights"]}

    learners = {name: settings.ranker_of(name).model_dump(mode="json") for name in facts["placements"]}
    name = fingerprint(open_artifact(ranking_set).name, learners, settings.seed, code_hash())
    made = store_of(settings).make(KIND, name, build)
    return {"rankers": made.uri, "placements": len(facts["placements"]), "reused": made.reused}


def _parts(settings: Settings, ranking_set: str, wanted: list[tuple[str, str]]) -> list[Artifact]:
    pieces = {}
    for placement, kind in wanted:
        given = {"ranking_set": ranking_set, "placement": placement, "kind": kind}
        if kind != SIMPLER and settings.ranker_of(placement).machines > 1:
            _train_together(settings, given)
        pieces[_name(settings, **given)] = Piece(f"ranker {placement} {kind}", write_ranker, given)
    return make_parts(settings, KIND, pieces)


def _train_together(settings: Settings, given: dict[str, str]) -> None:
    """Train one ranker on several machines, unless it is there."""
    if store_of(settings).find(KIND, _name(settings, **given)) is None:
        name = f"ranker {given['placement']} {given['kind']}"
        run_together(settings, name, write_share, settings.ranker_of(given["placement"]).machines, given)


def write_ranker(settings: Settings, *, ranking_set: str, placement: str, kind: str) -> Result:
    """Do the piece of :func:`train_rankers` for the twin, the release or the simpler models of one placement."""

    def build(folder: Path) -> dict[str, Any]:
        files = _files(settings, ranking_set, placement, kind)
        learned_from = RankingSet.read(files)
        if kind == SIMPLER:
            measured = RankingSet.read([files[0].with_name(f"{HOLDOUT}.parquet")])
            write_scores(measured, score_baselines(learned_from, measured, settings), folder / SCORES_FILE)
        else:
            _save(train_ranker(learned_from, settings, settings.ranker_of(placement)), folder / kind)
        return {}

    made = store_of(settings).make(KIND, _name(settings, ranking_set, placement, kind), build)
    return {"ranker": made.uri}


def write_share(settings: Settings, *, ranking_set: str, placement: str, kind: str, peers: Peers) -> Result:
    """Train one ranker together with others; the first of them writes it."""
    files = _files(settings, ranking_set, placement, kind)
    learned = train_share(files, settings, settings.ranker_of(placement), peers)
    if peers.rank:
        return {}

    def build(folder: Path) -> dict[str, Any]:
        _save(learned, folder / kind)
        return {}

    made = store_of(settings).make(KIND, _name(settings, ranking_set, placement, kind), build)
    return {"ranker": made.uri}


def _files(settings: Settings, ranking_set: str, placement: str, kind: str) -> list[Path]:
    """Return what a ranker learns from, a file a cut, the oldest first."""
    plan = cuts_of(settings, Snapshot.open(facts_of(ranking_set)["snapshot"]))
    cuts = plan.release if kind == RELEASE else plan.twin
    return [open_artifact(ranking_set) / placement / f"{cut_name(cut)}.parquet" for cut in cuts]


def _save(learned: Ranker, folder: Path) -> None:
    folder.mkdir()
    learned.save(folder)
    save_importance(learned, folder / "importance.json")


def _name(settings: Settings, ranking_set: str, placement: str, kind: str) -> str:
    learner = settings.ranker_of(placement).model_dump(mode="json")
    return f"{fingerprint(open_artifact(ranking_set).name, learner, settings.seed, code_hash())}-{placement}-{kind}"
