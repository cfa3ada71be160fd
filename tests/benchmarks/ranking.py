"""Features and ranker by themselves, on a sample of a state's customers: how many candidates enter in a second, and how
many of the first ten the first look keeps.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from time import monotonic
from typing import Final

import numpy as np

from recsys import columns as c
from recsys.compute import engine, fetch_columns
from recsys.cuts import lay_cut
from recsys.fusion import Candidates
from recsys.lists import Lists
from recsys.pipeline.serving import _Plan
from recsys.scoring.desk import Desk, Scorer, chunks, open_desks, propose_to
from recsys.settings import Settings
from recsys.snapshot import Snapshot

SAMPLE: Final = 2000  # customers, about
K: Final = 10
Part = tuple[Desk, Candidates]


def measure_ranking(settings: Settings, state: str) -> dict[str, float]:
    """Score a sample for every placement of a plan.

    Args:
        settings: in force.
        state: of ``recsys.pipeline.fit_state``.
    """
    plan = _Plan.read(state)
    return measure_scorers(settings, plan.snapshot, [plan.scorer(settings, name) for name in plan.placements])


def measure_scorers(settings: Settings, snapshot: Snapshot, scorers: Sequence[Scorer]) -> dict[str, float]:
    """Score a sample of a snapshot's customers.

    Returns:
        ``candidates`` of all placements together, the ``seconds`` that features and ranker took for them,
        ``candidates_a_second``, and ``kept``: the part of the whole ranker's first ten that is in the lists'.
    """
    buckets = min(c.BUCKETS, ceil(c.BUCKETS * SAMPLE / snapshot.user_count))
    with engine(settings) as connection:
        snapshot.attach(connection, 0, buckets)
        query = "select user_idx from users where bucket < $1 and is_personalised order by user_idx"
        lay_cut(connection, snapshot.as_of, fetch_columns(connection, query, [buckets])[c.USER_IDX])
        with open_desks(connection, scorers, snapshot.user_count) as (desks, known):
            proposed = [propose_to(desks, chunk) for chunk in chunks(known)]
            parts = [(desk, desk.fuse(own)) for each in proposed for desk, own in zip(desks, each, strict=True)]
            return _measured(parts, settings.thread_count)


def _measured(parts: Sequence[Part], threads: int) -> dict[str, float]:
    candidates = sum(len(found.user_idx) for _, found in parts)
    began = monotonic()
    with ThreadPoolExecutor(threads) as workers:
        scored = list(workers.map(lambda part: part[0].score(part[1]), parts))
    seconds = monotonic() - began
    kept = of = 0
    for (desk, found), (left, scores) in zip(parts, scored, strict=True):
        exact = _first(found, desk.scorer.ranker.scores(desk.features(found), 1))
        kept += len(exact & _first(left, scores))
        of += len(exact)
    return {
        "candidates": candidates,
        "seconds": seconds,
        "candidates_a_second": candidates / seconds,
        "kept": kept / of,
    }


def _first(found: Candidates, scores: np.ndarray) -> set[tuple[int, int]]:
    lists = Lists.ranked(found.user_idx, found.item_idx, scores, K)
    return set(zip(lists.user_idx.tolist(), lists.item_idx.tolist(), strict=True))
