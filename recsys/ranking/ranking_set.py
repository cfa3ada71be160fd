"""The ranking set: candidates with features and labels at the cuts of a training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recsys import columns as c
from recsys.assets import read_sql
from recsys.compute import write_parquet
from recsys.errors import ContractError
from recsys.features import assemble
from recsys.features.tables import TABLES, make_item_groups
from recsys.fusion import fuse
from recsys.lists import group_sizes
from recsys.settings import PlacementSettings, Settings


@dataclass(frozen=True)
class RankingSet:
    """Rows of the ranking set of one placement, grouped by cut and customer.

    Attributes:
        features: (r, f) float32, NaN where unknown.
        labels: (r,) 1 if bought within the horizon, else 0; see ``recsys.ranking.labels`` for other levels.
        user_idx: (r,) customers.
        item_idx: (r,) products.
        groups: (g,) rows of each cut and customer, in order.
        names: (f,) feature names.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int8]
    user_idx: NDArray[np.int32]
    item_idx: NDArray[np.int32]
    groups: NDArray[np.int32]
    names: tuple[str, ...]

    @classmethod
    def read(cls, files: Sequence[Path]) -> "RankingSet":
        """Read the rows of several cuts, one Parquet file each, oldest first."""
        return cls._of([_read_part(pq.read_table(path)) for path in files], files)

    @classmethod
    def read_share(cls, files: Sequence[Path], rank: int, count: int) -> "RankingSet":
        """Read one of ``count`` shares of the rows of several cuts, of about equal size; no group is cut in two.

        Raises:
            ContractError: if there are not enough groups for so many shares.
        """
        keys = [pq.read_table(path, columns=[c.USER_IDX])[c.USER_IDX].to_numpy() for path in files]
        ends = np.cumsum(np.concatenate([group_sizes(users) for users in keys]))
        edges = [0, *(ends[np.searchsorted(ends, ends[-1] * part // count)] for part in range(1, count)), ends[-1]]
        if min(np.diff(edges)) < 1:
            raise ContractError(
                f"There are too few customers to learn from for {count} shares: set RECSYS_RANKER__MACHINES lower."
            )
        low, high, before, parts = edges[rank], edges[rank + 1], 0, []
        for path, users in zip(files, keys, strict=True):
            start, stop = max(low - before, 0), min(high - before, len(users))
            if start < stop:
                parts.append(_read_part(pq.read_table(path).slice(start, stop - start)))
            before += len(users)
        return cls._of(parts, files)

    @classmethod
    def _of(cls, parts: Sequence["Part"], files: Sequence[Path]) -> "RankingSet":
        names = tuple(name for name in pq.read_schema(files[0]).names if name not in NOT_FEATURES)
        return cls(
            features=np.concatenate([part[0] for part in parts]),
            labels=np.concatenate([part[1] for part in parts]),
            user_idx=np.concatenate([part[2] for part in parts]),
            item_idx=np.concatenate([part[3] for part in parts]),
            groups=np.concatenate([group_sizes(part[2]) for part in parts]),
            names=names,
        )


NOT_FEATURES = (c.USER_IDX, c.ITEM_IDX, c.LABEL)
Part = tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.int32], NDArray[np.int32]]


def _read_part(table: pa.Table) -> Part:
    names = [name for name in table.column_names if name not in NOT_FEATURES]
    features = np.empty((table.num_rows, len(names)), np.float32)
    for position, name in enumerate(names):
        features[:, position] = table[name].to_numpy()
    labels = table[c.LABEL].to_numpy().astype(np.int8)
    users, items = (table[name].to_numpy().astype(np.int32) for name in (c.USER_IDX, c.ITEM_IDX))
    return features, labels, users, items


def attach_features(connection: duckdb.DuckDBPyConnection, folders: Mapping[str, Path]) -> None:
    """Make the ``features_<table>`` views and ``item_groups`` that candidates are joined with.

    The connection has ``items_at_cut`` (see ``recsys.cuts.lay_cut`` and ``lay_items``).
    """
    make_item_groups(connection)
    for name in TABLES:
        connection.from_parquet(str(folders[name] / f"{name}.parquet")).create_view(f"features_{name}", replace=True)


def write_ranking_rows(
    connection: duckdb.DuckDBPyConnection,
    placement: PlacementSettings,
    proposals: Mapping[str, Path],
    generators: tuple[str, ...],
    path: Path,
    *,
    negatives: int | None,
    seed: int,
) -> int:
    """Fuse proposals, join features and labels, and write one placement's rows of one cut.

    Args:
        connection: has the feature views and ``labels`` (user_idx, item_idx, level).
        placement: its rules.
        proposals: each generator's file.
        generators: the recipe's.
        path: the Parquet file.
        negatives: candidates without a label that are kept of a customer, drawn with ``seed``; customers with
            no other teach a ranker nothing and are then left out. All rows if None.
        seed: of the draw.
    """
    fuse(connection, proposals, generators, placement)
    if negatives is not None:
        connection.execute(read_sql("features", "draw_negatives.sql"), {"negatives": negatives, "seed": seed})
    query = f"""
        select features.*, cast(coalesce(labels.level, 0) as tinyint) as label
        from ({assemble(generators)}) as features
        left join labels using (user_idx, item_idx)
        order by features.user_idx, features.fused_rank
    """
    return write_parquet(connection, query, path)


def sample_customers(user_count: int, settings: Settings) -> NDArray[np.int32]:
    """Return the customers of the ranking set, ascending: all, or a seeded draw if there are too many."""
    most = settings.ranker.max_customers
    if user_count <= most:
        return np.arange(user_count, dtype=np.int32)
    draw = np.random.default_rng(settings.seed).choice(user_count, most, replace=False)
    return np.sort(draw).astype(np.int32)
