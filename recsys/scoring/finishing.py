"""What is done once the lists of all shards are there: the default lists, and exposure caps."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys import columns as c
from recsys.assets import read_sql
from recsys.compute import engine, write_parquet
from recsys.scoring.refreshing import Refreshed
from recsys.scoring.state import DEFAULTS_FILE, FittedState
from recsys.settings import Settings
from recsys.shaping import Taste, cap_exposure, has_caps

CAPPED_FILE = "capped.parquet"
PUBLISHED = (c.SUBJECT_ID, c.BUCKET, c.RANK, c.ITEM_ID, c.SCORE, c.SOURCE, c.REASON, c.PROPENSITY)


def finish_lists(
    settings: Settings,
    placement: str,
    state: FittedState,
    lists: Sequence[Path],
    folder: Path,
    refreshed: Refreshed | None = None,
) -> bool:
    """Write the default lists, and if exposure is capped the lists of all shards anew.

    Args:
        settings: with the placement's recipe applied.
        placement: whose lists.
        state: that they were made with.
        lists: the shards' files.
        folder: where ``DEFAULTS_FILE`` and ``CAPPED_FILE`` go.
        refreshed: whose lists these are; None: all customers'. The places of the others count for the caps.

    Returns:
        Whether there is a ``CAPPED_FILE``; it takes the place of the shards' files.
    """
    defaults = default_lists(settings, placement, state)
    if refreshed is not None:
        defaults = pa.concat_tables([defaults, _bare_lists(settings, defaults, lists, refreshed)])
    pq.write_table(defaults, folder / DEFAULTS_FILE, compression="zstd")
    is_capped = has_caps(settings.placement(placement).shaping)
    if is_capped:
        _write_capped(settings, placement, state, lists, folder / CAPPED_FILE, refreshed)
    return is_capped


def default_lists(settings: Settings, placement: str, state: FittedState) -> pa.Table:
    """Return the lists for visitors and customers without history, shaped like those of customers who bought nothing.

    They are the same for many people, so nothing is explored in them.
    """
    ranked = pq.read_table(state.folder / DEFAULTS_FILE)
    subjects = ranked[c.SUBJECT_ID].combine_chunks().dictionary_encode()
    rules = settings.placement(placement).shaping.model_copy(update={"exploration": 0.0})
    shaper = state.shaper(settings, placement, rules)
    shaped = shaper.shape(
        np.asarray(subjects.indices, dtype=np.int32),
        ranked[c.ITEM_IDX].to_numpy(),
        -ranked[c.RANK].to_numpy().astype(np.float64),
        Taste.unknown(len(subjects.dictionary), len(shaper.items), state.as_of),
        visible=settings.publication.items,
        kept=settings.publication.items + settings.publication.spare,
    )
    rows = ranked.take(shaped.rows)
    rows = rows.set_column(rows.schema.get_field_index(c.RANK), c.RANK, pa.array(shaped.rank, pa.int16()))
    return rows.append_column(c.PROPENSITY, pa.nulls(len(rows), pa.float64())).select(PUBLISHED)


def _bare_lists(settings: Settings, defaults: pa.Table, lists: Sequence[Path], refreshed: Refreshed) -> pa.Table:
    """Return default lists for those whose list of the base has to go and who get none: they must not keep it."""
    with engine(settings) as connection:
        connection.register("defaults", defaults)
        connection.read_parquet(str(refreshed.asked)).create_view("asked")
        connection.read_parquet([str(file) for file in lists]).create_view("made")
        return connection.sql(read_sql("scoring", "left_bare.sql")).to_arrow_table().cast(defaults.schema)


def _write_capped(
    settings: Settings,
    placement: str,
    state: FittedState,
    lists: Sequence[Path],
    path: Path,
    refreshed: Refreshed | None,
) -> None:
    with engine(settings) as connection:
        connection.read_parquet([str(file) for file in lists]).create_view("incoming")
        connection.from_parquet(str(state.folder / "catalogue.parquet")).create_view(c.ITEMS)
        connection.execute(
            "create temp view listed as select subject_id, rank, item_id, brand, propensity "
            "from incoming left join items using (item_id)"
        )
        others = 0 if refreshed is None else refreshed.others
        if refreshed is not None:
            connection.read_parquet(str(refreshed.taken)).create_view("taken_items")
            connection.execute("create temp view taken as from taken_items left join items using (item_id)")
        shaping = settings.placement(placement).shaping
        cap_exposure(connection, shaping, shown=settings.publication.items, others=others)
        kept = ", ".join(f"incoming.{name}" for name in PUBLISHED if name != c.RANK)
        write_parquet(
            connection,
            f"select {kept}, cast(capped.rank as smallint) as rank from incoming "
            "inner join capped on incoming.subject_id = capped.subject_id and incoming.rank = capped.former_rank "
            "order by incoming.bucket, incoming.subject_id, capped.rank",
            path,
        )
