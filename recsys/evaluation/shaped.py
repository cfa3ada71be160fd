"""The lists as customers would see them, beside the pure ranking: what shaping does, and what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys import columns as c
from recsys.compute import engine, fetch_columns
from recsys.cuts import lay_cut
from recsys.evaluation.roles import RANKER, SHAPED, K
from recsys.histories import history_at
from recsys.knowledge import read_rules
from recsys.lists import Lists
from recsys.settings import Settings
from recsys.shaping import Bans, Shaper, Taste, cap_exposure, has_caps, read_products
from recsys.snapshot import Snapshot

Candidates: TypeAlias = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]  # user_idx, item_idx, score
SENSITIVE = "sensitive_share"
CHUNK = 2048  # customers whose lists are shaped at once


@dataclass(frozen=True)
class Shaping:
    """What shaping makes of a ranking: the lists, and figures of both kinds of lists."""

    lists: Lists
    figures: Mapping[str, Any]


def shape_ranking(
    settings: Settings,
    snapshot: Snapshot,
    placement: str,
    cut_at: datetime,
    candidates: Candidates,
    k: int,
) -> Shaping:
    """Shape a ranker's candidates at a cut as those of a publication are shaped.

    Args:
        settings: in force.
        snapshot: that knows the cut.
        placement: whose rules.
        cut_at: the moment.
        candidates: (r,) user_idx, item_idx and score.
        k: rows of a list that are looked at, at least K.
    """
    history = history_at(settings, snapshot, cut_at)
    with engine(settings) as connection:
        snapshot.attach(connection)
        lay_cut(connection, cut_at)
        products = read_products(connection, history.items)
        bans = Bans.of(read_rules(connection, cut_at), products, placement)
    shaper = Shaper.of(products, settings.placement(placement).shaping, settings.seed, bans)
    lists = _capped(_shape(settings, shaper, Taste.of(history), candidates, k), products, shaper, settings)
    both = {RANKER: Lists.ranked(*candidates, K), SHAPED: lists}
    return Shaping(lists, {SENSITIVE: {name: _sensitive(one, shaper) for name, one in both.items()}})


def _shape(
    settings: Settings,
    shaper: Shaper,
    taste: Taste,
    candidates: Candidates,
    k: int,
) -> Lists:
    by_user = np.argsort(candidates[0], kind="stable")
    user, item, score = candidates[0][by_user], candidates[1][by_user], candidates[2][by_user]
    customers = np.unique(user)
    edges = np.append(np.searchsorted(user, customers[::CHUNK]), len(user))
    found = []
    for start, stop in pairwise(edges):
        block = slice(start, stop)
        visible, spare = settings.publication.items, settings.publication.spare
        kept = max(visible + spare, k)
        shaped = shaper.shape(user[block], item[block], score[block], taste, visible=visible, kept=kept)
        found.append((user[block][shaped.rows], item[block][shaped.rows], shaped.rank))
    none = np.empty(0, np.int32)
    return Lists(*(np.concatenate([none, *parts]) for parts in zip((none,) * 3, *found, strict=True)))


def _capped(lists: Lists, products: pa.Table, shaper: Shaper, settings: Settings) -> Lists:
    if not has_caps(shaper.settings):
        return lists
    brands = products[c.BRAND].take(shaper.columns(lists.item_idx))
    listed = {"subject_id": lists.user_idx, c.RANK: lists.rank, c.ITEM_ID: lists.item_idx.astype(str), c.BRAND: brands}
    with engine(settings) as connection:
        connection.register("lists", pa.table(listed))
        connection.execute(
            "create temp view listed as select subject_id, rank, item_id, brand, null::double as propensity from lists"
        )
        cap_exposure(connection, shaper.settings, shown=settings.publication.items)
        rows = fetch_columns(
            connection,
            "select capped.subject_id, cast(lists.item_id as integer) as item_idx, capped.rank::integer as rank from "
            "capped inner join lists on capped.subject_id = lists.subject_id and capped.former_rank = lists.rank "
            "order by capped.subject_id, capped.rank",
        )
    return Lists(rows["subject_id"], rows[c.ITEM_IDX], rows[c.RANK])


def _sensitive(lists: Lists, shaper: Shaper) -> float:
    """Return the share of sensitive rows among the first K of all lists."""
    column = shaper.columns(lists.item_idx[lists.rank <= K])
    return float((shaper.sensitive[column] >= 0).mean()) if len(column) else 0.0
