"""A training's work as tasks: features at a cut, the proposals of a generator at a cut, the rows of a cut.

A task costs seconds. So one makes all of them where there are no more customers than one shard has. With more, each cut
is a task of its own, and with more shards than cuts each generator at each cut. Either way every piece is an artifact
of its own, which what gives them to the ranking set only joins.
"""

from math import ceil
from typing import Any

from recsys.artifacts import within_home
from recsys.cuts import cut_name
from recsys.pipeline.rows import RankingRows, build_ranking_set
from recsys.pipeline.training import (
    build_features,
    candidates_at,
    cuts_of,
    features_at,
    generate_candidates,
)
from recsys.settings import Settings
from recsys.snapshot import Snapshot

Result = dict[str, Any]


@within_home
def plan_ingredients(settings: Settings, *, snapshot: str) -> Result:
    """Divide what a training's ranking set is made of, into more parts where there are more customers.

    Returns:
        ``parts``: of each a ``name``, the names of its ``cuts``, its ``generators``, and ``features`` (whether it
        computes them).
    """
    source = Snapshot.open(snapshot)
    cuts, shards = _names(settings, source), _shards(settings, source)
    generators = list(settings.candidates.generators)
    if shards <= 1:
        return {"parts": [_part("all", cuts, generators, features=True)]}
    if shards <= len(cuts):
        return {"parts": [_part(cut, [cut], generators, features=True) for cut in cuts]}
    parts = []
    for cut in cuts:
        parts.append(_part(f"features {cut}", [cut], [], features=True))
        parts += [_part(f"{generator} {cut}", [cut], [generator], features=False) for generator in generators]
    return {"parts": parts}


def _part(name: str, cuts: list[str], generators: list[str], *, features: bool) -> dict[str, Any]:
    return {"name": name, "cuts": cuts, "generators": generators, "features": features}


@within_home
def plan_cuts(settings: Settings, *, snapshot: str) -> Result:
    """Divide the rows of a training's ranking set.

    Returns:
        ``groups``: lists of names of cuts. It is one group where there are few customers, else each cut is one.
    """
    source = Snapshot.open(snapshot)
    cuts = _names(settings, source)
    return {"groups": [cuts] if _shards(settings, source) <= 1 else [[cut] for cut in cuts]}


@within_home
def make_ingredients(
    settings: Settings, *, snapshot: str, cuts: list[str], generators: list[str], features: bool
) -> Result:
    """Make one part of :func:`plan_ingredients`."""
    source = Snapshot.open(snapshot)
    chosen = [cut for cut in cuts_of(settings, source).all if cut_name(cut) in cuts]
    made = features_at(settings, source, chosen) if features else []
    for generator in generators:
        made += candidates_at(settings, source, chosen, generator)
    return {"artifacts": len(made), "reused": all(one.reused for one in made)}


@within_home
def make_ranking_rows(settings: Settings, *, snapshot: str, placements: list[str], cuts: list[str]) -> Result:
    """Make the rows of one group of :func:`plan_cuts`, from the parts that :func:`make_ingredients` made."""
    rows = RankingRows.of(settings, snapshot, *_joined(settings, snapshot), placements)
    made = rows.at([cut for cut in rows.plan.all if cut_name(cut) in cuts])
    return {"rows": sum(one.facts["rows"] for one in made), "reused": all(one.reused for one in made)}


@within_home
def join_ranking_set(settings: Settings, *, snapshot: str, placements: list[str]) -> Result:
    """Build the ranking set of what the tasks made; a piece that is missing is made here."""
    features, candidates = _joined(settings, snapshot)
    return build_ranking_set(
        settings, snapshot=snapshot, features=features, candidates=candidates, placements=placements
    )


def _joined(settings: Settings, snapshot: str) -> tuple[str, list[str]]:
    """Return the URIs of features and candidates, made of their parts."""
    generators = settings.candidates.generators
    features = build_features(settings, snapshot=snapshot)["features"]
    made = [generate_candidates(settings, snapshot=snapshot, generator=name) for name in generators]
    return features, [one["candidates"] for one in made]


def _names(settings: Settings, source: Snapshot) -> list[str]:
    """Return the names of the cuts, the newest, which have the most history, first."""
    return [cut_name(cut) for cut in reversed(cuts_of(settings, source).all)]


def _shards(settings: Settings, source: Snapshot) -> int:
    return ceil(source.user_count / settings.shard_customers)
