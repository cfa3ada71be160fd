"""A training as tasks: the features of a cut, a generator's proposals at a cut, the rows of a cut, and each ranker.

A task costs seconds. So one makes all of a kind where there are no more customers than one shard has. With more, each
cut and each ranker is a task of its own, and with more shards than cuts each generator at each cut. Either way every
piece is an artifact of its own, and whole ones are joined of pieces that are there.
"""

from math import ceil
from typing import Any

from recsys.artifacts import within_home
from recsys.cuts import cut_name
from recsys.pipeline import training
from recsys.pipeline.rows import RankingRows, build_ranking_set
from recsys.pipeline.training import (
    LEARNED,
    build_features,
    candidates_at,
    cuts_of,
    features_at,
    generate_candidates,
    propose_ahead,
)
from recsys.settings import Settings
from recsys.snapshot import Snapshot

Result = dict[str, Any]


@within_home
def plan_training(settings: Settings, *, snapshot: str, placements: list[str]) -> Result:
    """Divide a training, into more parts where there are more customers.

    Returns:
        Three lists of what one task does each; all have a ``name``. ``parts``: the names of ``cuts``, ``generators``,
        and whether ``features`` are computed. ``rows``: the names of ``cuts``. ``learners``: pairs of placement and
        what is learned for it, as ``learned``. The newest cuts, which have the most history, come first.
    """
    source = Snapshot.open(snapshot)
    cuts = [cut_name(cut) for cut in reversed(cuts_of(settings, source).all)]
    shards = ceil(source.user_count / settings.shard_customers)
    pairs = [[placement, what] for placement in placements for what in LEARNED]
    if shards <= 1:
        rows, learners = [{"name": "all", "cuts": cuts}], [{"name": "all", "learned": pairs}]
    else:
        rows = [{"name": cut, "cuts": [cut]} for cut in cuts]
        learners = [{"name": " ".join(pair), "learned": [pair]} for pair in pairs]
    return {"parts": _parts(cuts, list(settings.candidates.generators), shards), "rows": rows, "learners": learners}


def _parts(cuts: list[str], generators: list[str], shards: int) -> list[dict[str, Any]]:
    if shards <= 1:
        return [_part("all", cuts, generators, features=True)]
    if shards <= len(cuts):
        return [_part(cut, [cut], generators, features=True) for cut in cuts]
    parts = []
    for cut in cuts:
        parts.append(_part(f"features {cut}", [cut], [], features=True))
        parts += [_part(f"{generator} {cut}", [cut], [generator], features=False) for generator in generators]
    return parts


def _part(name: str, cuts: list[str], generators: list[str], *, features: bool) -> dict[str, Any]:
    return {"name": name, "cuts": cuts, "generators": generators, "features": features}


@within_home
def make_ingredients(
    settings: Settings, *, snapshot: str, cuts: list[str], generators: list[str], features: bool
) -> Result:
    """Make one of the ``parts`` of :func:`plan_training`."""
    source = Snapshot.open(snapshot)
    chosen = [cut for cut in cuts_of(settings, source).all if cut_name(cut) in cuts]
    made = features_at(settings, source, chosen) if features else []
    propose_ahead(settings, source, chosen, generators)
    made += [candidates_at(settings, source, cut, generator) for generator in generators for cut in chosen]
    return {"artifacts": len(made), "reused": all(one.reused for one in made)}


@within_home
def make_ranking_rows(settings: Settings, *, snapshot: str, placements: list[str], cuts: list[str]) -> Result:
    """Make the ``rows`` of some cuts of :func:`plan_training`, from its parts."""
    rows = RankingRows.of(settings, snapshot, *_joined(settings, snapshot), placements)
    made = rows.at([cut for cut in rows.plan.all if cut_name(cut) in cuts])
    return {"rows": sum(one.facts["rows"] for one in made), "reused": all(one.reused for one in made)}


@within_home
def learn_rankers(settings: Settings, *, snapshot: str, placements: list[str], learned: list[list[str]]) -> Result:
    """Learn what one of the ``learners`` of :func:`plan_training` names, from the rows of all cuts."""
    ranking_set = _ranking_set(settings, snapshot, placements)
    training.learn_ahead(settings, ranking_set, learned)
    made = [training.learned(settings, ranking_set, placement, what) for placement, what in learned]
    return {"learned": len(made), "reused": all(one.reused for one in made)}


@within_home
def join_training(settings: Settings, *, snapshot: str, placements: list[str]) -> Result:
    """Return the ``ranking_set`` and the ``rankers`` of what the tasks made; a piece that is missing is made here."""
    ranking_set = _ranking_set(settings, snapshot, placements)
    rankers = training.train_rankers(settings, ranking_set=ranking_set)["rankers"]
    return {"ranking_set": ranking_set, "rankers": rankers}


def _ranking_set(settings: Settings, snapshot: str, placements: list[str]) -> str:
    features, candidates = _joined(settings, snapshot)
    made = build_ranking_set(
        settings, snapshot=snapshot, features=features, candidates=candidates, placements=placements
    )
    return str(made["ranking_set"])


def _joined(settings: Settings, snapshot: str) -> tuple[str, list[str]]:
    """Return the URIs of features and candidates, made of their parts."""
    generators = settings.candidates.generators
    features = build_features(settings, snapshot=snapshot)["features"]
    made = [generate_candidates(settings, snapshot=snapshot, generator=name) for name in generators]
    return features, [one["candidates"] for one in made]
