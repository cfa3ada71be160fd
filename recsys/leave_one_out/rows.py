"""The rows that the ranker sees: fused candidates with the generators' scores, and features of the sequence of events.

Everything is made for one block of customers at a time, so memory does not grow with their number.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from recsys import columns as c
from recsys.assets import read_sql
from recsys.features import TABLES, compute_tables
from recsys.features.tables import make_item_groups, meanings_of
from recsys.fusion import fuse
from recsys.leave_one_out.holding import Labels, Stand
from recsys.leave_one_out.interactions import ROOM, Interactions
from recsys.leave_one_out.proposing import Block
from recsys.lists import group_sizes
from recsys.ranking.ranking_set import RankingSet
from recsys.settings import PlacementSettings

WINDOW: Final = 10  # events between two products that still count as related
REACH: Final = 20  # last events of a customer that candidates are related to
# Of a block's candidates, or of everything that is known: when a table is made.
_AT_STAND: Final = {"product": ("item_idx",), "customer": ("user_idx",), "own": ("user_idx", "item_idx")}
_AT_BLOCK: Final = {"sequence": ("user_idx", "item_idx"), "moment": ("user_idx", "item_idx")}
_SHOP_TABLES: Final = {"timed": ("user",), "attributes": ("user_category", "user_family", "user_brand")}


class RowMaker:
    """Makes the ranker's rows at one stand."""

    def __init__(self, stand: Stand, interactions: Interactions, folder: Path, *, repeats: bool) -> None:
        """Compute what does not depend on candidates.

        Args:
            stand: what is known.
            interactions: says which features there can be.
            folder: for the feature tables.
            repeats: whether candidates can be products that the customer had before.
        """
        self._connection = stand.connection
        self._tables: dict[str, tuple[str, ...]] = {}
        self._names: list[str] = []
        self._make_related()
        for name, keys in _AT_STAND.items():
            if name != "own" or repeats:
                self._add(name, keys)
        for name, keys in _AT_BLOCK.items():
            if name != "moment" or interactions.is_timed:
                self._note(name, keys, ROOM)
        kinds = {"timed": interactions.is_timed, "attributes": interactions.has_attributes}
        self._add_shop_tables([name for kind, names in _SHOP_TABLES.items() if kinds[kind] for name in names], folder)

    def _make_related(self) -> None:
        self._connection.execute(
            f"create or replace temp table related as {read_sql(ROOM, 'related.sql')}", {"window": WINDOW}
        )
        self._connection.execute(
            f"create or replace temp table recent as {read_sql(ROOM, 'recent.sql')}", {"reach": REACH}
        )

    def _add(self, name: str, keys: tuple[str, ...]) -> None:
        self._connection.execute(f"create or replace temp table features_{name} as {read_sql(ROOM, f'{name}.sql')}")
        self._note(name, keys, ROOM)

    def _note(self, name: str, keys: tuple[str, ...], folder: str) -> None:
        self._tables[name] = keys
        self._names += meanings_of(read_sql(folder, f"{name}.sql"))

    def _add_shop_tables(self, names: Sequence[str], folder: Path) -> None:
        make_item_groups(self._connection)
        compute_tables(self._connection, folder, tuple(names))
        for name in names:
            view = self._connection.from_parquet(str(folder / f"{name}.parquet"))
            view.create_view(f"features_{name}", replace=True)
            self._note(name, TABLES[name], "features")

    def rows(
        self,
        block: Block,
        placement: PlacementSettings,
        labels: Labels | None,
        *,
        negatives: int | None = None,
        seed: int = 0,
    ) -> RankingSet:
        """Return the rows of the customers of one block, by customer and fused rank.

        Args:
            block: the customers and the generators' proposals.
            placement: how they are fused, and how many candidates remain.
            labels: what is asked for; a candidate that is it is labelled 1. Nothing is if None.
            negatives: other candidates that are kept of a customer, drawn with ``seed``; customers whose label is
                no candidate are then left out. All rows if None.
            seed: of the draw.
        """
        connection = self._connection
        generators = tuple(block.proposals)
        fuse(connection, block.proposals, generators, placement)
        none = np.empty(0, np.int32)
        users, items = (none, none) if labels is None else (labels.users, labels.items)
        asked = pa.table({c.USER_IDX: users, c.ITEM_IDX: items})
        connection.register("asked_for", asked)
        connection.execute("create or replace temp table labels as select *, 1 as level from asked_for")
        connection.unregister("asked_for")
        if negatives is not None:
            connection.execute(read_sql("features", "draw_negatives.sql"), {"negatives": negatives, "seed": seed})
        for name in _AT_BLOCK:
            if name in self._tables:
                self._connection.execute(
                    f"create or replace temp table features_{name} as {read_sql(ROOM, f'{name}.sql')}"
                )
        names = self.names(generators)
        return _ranking_set(connection.sql(self._query(names)).to_arrow_table(), names)

    def names(self, generators: Sequence[str]) -> tuple[str, ...]:
        """Return the features, in the order of the ranker's columns."""
        own = [f"{name}_{kind}" for name in generators for kind in ("score", "rank")]
        return (*own, "fused_score", "fused_rank", *self._names)

    def _query(self, names: Sequence[str]) -> str:
        joins = [
            f"left join features_{name} on " + " and ".join(f"pairs.{key} = features_{name}.{key}" for key in keys)
            for name, keys in self._tables.items()
        ]
        chosen = ", ".join(f"cast({name} as float) as {name}" for name in names)
        return f"""
            with pairs as (
                select candidates.*, item_groups.category_no, item_groups.family_no, item_groups.brand_no
                from candidates inner join item_groups using (item_idx)
            )
            select pairs.user_idx, pairs.item_idx, {chosen}, coalesce(labels.level, 0) as label
            from pairs
            {" ".join(joins)}
            left join labels on pairs.user_idx = labels.user_idx and pairs.item_idx = labels.item_idx
            order by pairs.user_idx, pairs.fused_rank
        """


def _ranking_set(table: pa.Table, names: tuple[str, ...]) -> RankingSet:
    features = np.empty((table.num_rows, len(names)), np.float32)
    for position, name in enumerate(names):
        features[:, position] = table[name].to_numpy()
    users = table[c.USER_IDX].to_numpy().astype(np.int32)
    return RankingSet(
        features=features,
        labels=table[c.LABEL].to_numpy().astype(np.int8),
        user_idx=users,
        item_idx=table[c.ITEM_IDX].to_numpy().astype(np.int32),
        groups=group_sizes(users),
        names=names,
    )


def joined(parts: Iterable[RankingSet]) -> RankingSet:
    """Return several sets of rows as one."""
    kept = list(parts)
    return RankingSet(
        features=np.concatenate([part.features for part in kept]),
        labels=np.concatenate([part.labels for part in kept]),
        user_idx=np.concatenate([part.user_idx for part in kept]),
        item_idx=np.concatenate([part.item_idx for part in kept]),
        groups=np.concatenate([part.groups for part in kept]),
        names=kept[0].names,
    )
