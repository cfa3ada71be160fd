"""Chooses on the validation item how the generators' proposals are fused: the method and the weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys import columns as c
from recsys.fusion import fuse
from recsys.fusion.learning import Lesson, learn_weights
from recsys.leave_one_out.holding import Labels, Stand
from recsys.leave_one_out.proposing import Block
from recsys.settings import PlacementSettings, Settings

METHODS: Final[tuple[Literal["rrf", "scores"], ...]] = ("rrf", "scores")
LESSONS: Final = 3  # blocks that weights are learned from


def choose_fusion(
    stand: Stand,
    settings: Settings,
    blocks: Sequence[Block],
    labels: Labels,
    begin: PlacementSettings,
    folder: Path,
) -> PlacementSettings:
    """Return the placement's settings with the method and weights that are best on the validation item.

    Args:
        stand: where the proposals were made.
        settings: give the seed.
        blocks: the generators' proposals.
        labels: the validation items.
        begin: the settings to begin with.
        folder: for what is learned from.
    """
    generators = tuple(blocks[0].proposals)
    lessons = [
        lesson
        for number, block in enumerate(blocks[:: max(1, len(blocks) // LESSONS)][:LESSONS])
        if (lesson := _lesson(stand.connection, block, labels, folder / f"lesson{number}.parquet")) is not None
    ]
    tried = []
    for method in METHODS:
        placement = begin.model_copy(update={"fusion": method})
        weights = learn_weights(stand.connection, lessons, generators, placement, settings.seed)
        placement = placement.with_weights(weights)
        figures = [_ndcg(stand.connection, lesson, generators, placement) for lesson in lessons]
        tried.append((sum(figures), placement))
    return max(tried, key=lambda one: one[0])[1]


def _lesson(connection: duckdb.DuckDBPyConnection, block: Block, labels: Labels, path: Path) -> Lesson | None:
    """Return what can be learned from a block: its customers whose item anybody proposed; the others say nothing."""
    place = np.searchsorted(labels.users, block.users)
    asked = pa.table({c.USER_IDX: block.users, c.ITEM_IDX: labels.items[place]})
    connection.register("asked_for", asked)
    found = connection.sql(
        "select user_idx, item_idx, true as is_eligible, true as is_new from asked_for semi join "
        "(select user_idx, item_idx from read_parquet($files)) as proposed using (user_idx, item_idx) "
        "order by user_idx",
        params={"files": [str(file) for file in block.proposals.values()]},
    ).to_arrow_table()
    connection.unregister("asked_for")
    if not found.num_rows:
        return None
    pq.write_table(found, path)
    return Lesson(block.proposals, path)


def _ndcg(
    connection: duckdb.DuckDBPyConnection, lesson: Lesson, generators: Sequence[str], placement: PlacementSettings
) -> float:
    """Return the sum over a lesson's customers of NDCG@10 of the fused list."""
    fuse(connection, lesson.proposals, generators, placement)
    [(figure,)] = connection.execute(
        "select coalesce(sum(cast(1 / log2(fused_rank + 1) as decimal(18, 12))), 0)::double from candidates "
        "semi join read_parquet($truth) as asked using (user_idx, item_idx) where fused_rank <= 10",
        {"truth": str(lesson.truth)},
    ).fetchall()
    return float(figure)
