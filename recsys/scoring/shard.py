"""Scores the customers of one range of buckets: candidates, features, ranker, lists."""

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from math import ceil
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recsys import columns as c
from recsys.artifacts import fingerprint
from recsys.assets import read_sql
from recsys.candidates import Generator, needs_of
from recsys.candidates.base import Proposals, propose_each
from recsys.compute import engine, fetch_columns, one_blas_thread
from recsys.cuts import lay_cut
from recsys.features import FeatureTables, compute_tables
from recsys.features.tables import ITEM_SIDE, TABLES
from recsys.fusion import Proposed, fused
from recsys.history import History, build_history
from recsys.ranking import Ranker
from recsys.ranking.pruning import first_look, survivors
from recsys.ranking.ranking_set import attach_features
from recsys.scoring.evidence import RANKED, add_evidence, without
from recsys.scoring.state import FittedState
from recsys.settings import Settings
from recsys.shaping import Shaper, Taste
from recsys.snapshot import Snapshot

CHUNK = 256  # customers whose candidates a thread holds with all features at once
LISTED = 65_536  # customers whose lists are held at once
USER_SIDE = tuple(name for name in TABLES if name not in ITEM_SIDE)


@dataclass(frozen=True)
class Shard:
    """Buckets [bucket_from, bucket_to)."""

    bucket_from: int
    bucket_to: int


def shard_count(settings: Settings, customers: int) -> int:
    """Return how many shards the settings ask for: so many that none has more than ``shard_customers``, at least."""
    return max(settings.shards, ceil(customers / settings.shard_customers))


def plan_shards(count: int) -> list[Shard]:
    """Cut the buckets into ``count`` ranges of nearly equal width."""
    edges = [c.BUCKETS * i // count for i in range(count + 1)]
    return [Shard(low, high) for low, high in pairwise(edges) if high > low]


@dataclass(frozen=True)
class Scorer:
    """What scores one placement: settings with its recipe applied, its ranker and its fitted state."""

    settings: Settings
    placement: str
    ranker: Ranker
    state: FittedState

    @cached_property
    def shaper(self) -> Shaper:
        """What makes lists of the ranked candidates."""
        return self.state.shaper(self.settings, self.placement)

    @cached_property
    def first(self) -> Ranker | None:
        """What looks first at all candidates."""
        return first_look(self.ranker, self.settings.placement(self.placement))


def score_shard(snapshot: Snapshot, shard: Shard, scorers: Sequence[Scorer], folder: Path) -> dict[str, int]:
    """Write ``<placement>.parquet`` with the lists of the shard's customers, for each scorer.

    Args:
        snapshot: whose customers are scored, as of its moment.
        shard: which of them.
        scorers: one a placement.
        folder: where the files go: subject_id, bucket, rank, item_id, score, source, reason, propensity.

    Returns:
        Rows by placement.
    """
    rows: dict[str, int] = {}
    with engine(scorers[0].settings) as connection:
        snapshot.attach(connection, shard.bucket_from, shard.bucket_to)
        users = fetch_columns(
            connection,
            "select user_idx from users where bucket >= $1 and bucket < $2 and is_personalised order by user_idx",
            [shard.bucket_from, shard.bucket_to],
        )[c.USER_IDX]
        lay_cut(connection, snapshot.as_of, users)
        for together in _alike(scorers):
            rows |= _write_lists(connection, together, snapshot.user_count, folder)
    return {scorer.placement: rows[scorer.placement] for scorer in scorers}


def _alike(scorers: Sequence[Scorer]) -> list[list[Scorer]]:
    """Put those together that need the same features and let the same generators propose."""
    found: dict[str, list[Scorer]] = {}
    for scorer in scorers:
        key = fingerprint(str(scorer.state.folder), scorer.settings.candidates.model_dump(mode="json"))
        found.setdefault(key, []).append(scorer)
    return list(found.values())


def _write_lists(
    connection: duckdb.DuckDBPyConnection, scorers: Sequence[Scorer], user_count: int, folder: Path
) -> dict[str, int]:
    rows = dict.fromkeys((scorer.placement for scorer in scorers), 0)
    with ExitStack() as files:
        writers: dict[str, pq.ParquetWriter] = {}
        for tables in score_together(connection, scorers, user_count):
            for name, table in zip(rows, tables, strict=True):
                if name not in writers:
                    writer = pq.ParquetWriter(folder / f"{name}.parquet", table.schema, compression="zstd")
                    writers[name] = files.enter_context(writer)
                writers[name].write_table(table)
                rows[name] += table.num_rows
    return rows


def score_customers(connection: duckdb.DuckDBPyConnection, scorer: Scorer, user_count: int) -> Iterator[pa.Table]:
    """Yield the lists of the customers whose cut is laid, some thousand customers at a time.

    Customers without an event of a product that may be recommended get none: the default lists are theirs.
    """
    for (table,) in score_together(connection, [scorer], user_count):
        yield table


def score_together(
    connection: duckdb.DuckDBPyConnection, scorers: Sequence[Scorer], user_count: int
) -> Iterator[tuple[pa.Table, ...]]:
    """Yield what :func:`score_customers` yields for several placements that share a state and their generators.

    History and features are read once, and each generator scores a customer once, whatever the number of placements.
    Each thread ranks some customers at a time: most of the work lets other threads of Python run.
    """
    settings, state = scorers[0].settings, scorers[0].state
    items, popularity = state.eligible
    history = build_history(
        connection,
        settings,
        items,
        popularity,
        user_count,
        state.as_of,
        needs=needs_of(settings.candidates.generators, scoring=True),
    )
    generators = state.generators(settings)
    known = np.flatnonzero(np.diff(history.seen.indptr)).astype(np.int32)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        compute_tables(connection, work, USER_SIDE)
        attach_features(
            connection, {table: state.folder / "features" if table in ITEM_SIDE else work for table in TABLES}
        )
        tables = FeatureTables(connection)
        desks = [_Desk.of(scorer, history, generators, tables, connection) for scorer in scorers]
        for start in range(0, max(len(known), 1), LISTED):
            asked = known[start : start + LISTED]
            chunks = [asked[first : first + CHUNK] for first in range(0, len(asked), CHUNK)]
            with one_blas_thread(), ThreadPoolExecutor(settings.thread_count) as workers:
                ranked = list(workers.map(partial(_rank, desks, history, generators), chunks))
            yield tuple(
                _lists(connection, scorer, pa.concat_tables([RANKED.empty_table(), *(part[number] for part in ranked)]))
                for number, scorer in enumerate(scorers)
            )


def _rank(
    desks: Sequence["_Desk"], history: History, generators: Sequence[Generator], users: NDArray[np.int32]
) -> list[pa.Table]:
    """Return the rows of some customers' lists for each placement, with the evidence for their reasons."""
    proposed = _propose([desk.scorer for desk in desks], history, generators, users)
    return [desk.rank(own) for desk, own in zip(desks, proposed, strict=True)]


def _propose(
    scorers: Sequence[Scorer], history: History, generators: Sequence[Generator], users: NDArray[np.int32]
) -> list[Proposed]:
    """Return what the generators propose to customers for each placement."""
    found: list[list[tuple[Proposals, int]]] = [[] for _ in scorers]
    everyone = range(len(scorers))
    names = scorers[0].settings.candidates.generators
    for generator in generators:
        for numbers in [[number] for number in everyone] if generator.by_placement else [list(everyone)]:
            seen_by = replace(history, placement=scorers[numbers[0]].placement)
            repeats = [scorers[n].settings.placement(scorers[n].placement).repeats for n in numbers]
            keep = scorers[0].settings.candidates.per_generator
            for blocks in propose_each(generator, seen_by, users, keep, repeats):
                for number, block in zip(numbers, blocks, strict=True):
                    found[number].append((block, names.index(generator.name)))
    return [_together(parts) for parts in found]


def _together(parts: Sequence[tuple[Proposals, int]]) -> Proposed:
    """Return proposals, each part of the generator of that number, as one."""
    blocks = [block for block, _ in parts]
    return Proposed(
        np.concatenate([block.user_idx for block in blocks]),
        np.concatenate([block.item_idx for block in blocks]),
        np.concatenate([block.score for block in blocks]),
        np.concatenate([block.rank for block in blocks]),
        np.repeat([number for _, number in parts], [len(block.rank) for block in blocks]),
    )


@dataclass(frozen=True)
class _Desk:
    """Where proposals become ranked lists: all that one placement needs for it.

    Attributes:
        scorer: of the placement.
        history: of the customers, as the placement sees it.
        told: what of it reasons may tell.
        generators: fitted.
        tables: the features.
        connection: that fusion may ask about customers.
    """

    scorer: Scorer
    history: History
    told: History
    generators: Sequence[Generator]
    tables: FeatureTables
    connection: duckdb.DuckDBPyConnection

    @classmethod
    def of(
        cls,
        scorer: Scorer,
        history: History,
        generators: Sequence[Generator],
        tables: FeatureTables,
        connection: duckdb.DuckDBPyConnection,
    ) -> "_Desk":
        """Let a placement look at the history."""
        own = replace(history, placement=scorer.placement)
        return cls(scorer, own, without(own, scorer.shaper.sensitive >= 0), generators, tables, connection)

    def rank(self, proposed: Proposed) -> pa.Table:
        """Fuse, look up, score, shape: return a table with the schema ``RANKED``."""
        settings, shaper = self.scorer.settings, self.scorer.shaper
        rules = settings.placement(self.scorer.placement)
        found = fused(proposed, settings.candidates.generators, rules, self.connection)
        features = self.tables.gather(found)
        kept = survivors(self.scorer.first, features, found.user_idx, rules, threads=1)
        if len(kept) < len(features):
            found, features = found.take(kept), features[kept]
        scores = self.scorer.ranker.scores(features, threads=1)
        shaped = shaper.shape(
            found.user_idx,
            found.item_idx,
            scores,
            Taste.of(self.history),
            visible=settings.publication.items,
            kept=settings.publication.items + settings.publication.spare,
        )
        rows, sensitive = shaped.rows, shaper.sensitive >= 0
        return add_evidence(
            found.take(rows), scores[rows], shaped, sensitive, self.history, self.told, self.generators, settings
        )


def _lists(connection: duckdb.DuckDBPyConnection, scorer: Scorer, ranked: pa.Table) -> pa.Table:
    connection.register("ranked", ranked)
    try:
        return connection.sql(
            read_sql("scoring", "lists.sql"),
            params={"recent_days": scorer.settings.candidates.popularity_days},
        ).to_arrow_table()
    finally:
        connection.unregister("ranked")
