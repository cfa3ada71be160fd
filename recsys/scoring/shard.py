"""Scores the customers of one range of buckets: candidates, features, ranker, lists."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import ceil
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recsys import columns as c
from recsys.artifacts import fingerprint
from recsys.assets import read_sql
from recsys.compute import engine, fetch_columns, one_blas_thread
from recsys.cuts import lay_cut
from recsys.scoring.desk import Desk, chunks, open_desks, propose_to
from recsys.scoring.desk import Scorer as Scorer
from recsys.scoring.evidence import RANKED
from recsys.settings import Settings
from recsys.snapshot import Snapshot

LISTED = 65_536  # customers whose lists are held at once


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


def score_shard(
    snapshot: Snapshot, shard: Shard, scorers: Sequence[Scorer], folder: Path, asked: Mapping[str, Path] = {}
) -> dict[str, int]:
    """Write ``<placement>.parquet`` with the lists of the shard's customers, for each scorer.

    Args:
        snapshot: whose customers are scored, as of its moment.
        shard: which of them.
        scorers: one a placement.
        folder: where the files go: subject_id, bucket, rank, item_id, score, source, reason, propensity.
        asked: by placement a file with the user_id of the customers who get a list; of all if it has none.

    Returns:
        Rows by placement.
    """
    rows: dict[str, int] = {}
    with engine(scorers[0].settings) as connection:
        snapshot.attach(connection, shard.bucket_from, shard.bucket_to)
        lay_cut(connection, snapshot.as_of, _users(connection, shard, [asked.get(one.placement) for one in scorers]))
        for together in _alike(scorers):
            rows |= _write_lists(connection, together, snapshot.user_count, folder, asked)
    return {scorer.placement: rows[scorer.placement] for scorer in scorers}


def _users(connection: duckdb.DuckDBPyConnection, shard: Shard, asked: Sequence[Path | None]) -> NDArray[np.int32]:
    """Return the customers of a shard who get a list on any placement, ascending."""
    chosen = "true"
    files = [str(path) for path in asked if path is not None]
    if len(files) == len(asked):
        connection.read_parquet(files).create_view("asked")
        chosen = "user_id in (select user_id from asked)"
    query = f"select user_idx from users where bucket >= $1 and bucket < $2 and is_personalised and {chosen}"
    return fetch_columns(connection, f"{query} order by user_idx", [shard.bucket_from, shard.bucket_to])[c.USER_IDX]


def _alike(scorers: Sequence[Scorer]) -> list[list[Scorer]]:
    """Put those together that need the same features and let the same generators propose."""
    found: dict[str, list[Scorer]] = {}
    for scorer in scorers:
        key = fingerprint(str(scorer.state.folder), scorer.settings.candidates.model_dump(mode="json"))
        found.setdefault(key, []).append(scorer)
    return list(found.values())


def _write_lists(
    connection: duckdb.DuckDBPyConnection,
    scorers: Sequence[Scorer],
    user_count: int,
    folder: Path,
    asked: Mapping[str, Path],
) -> dict[str, int]:
    rows = dict.fromkeys((scorer.placement for scorer in scorers), 0)
    # Each placement has its own, and the customers of any are scored for all.
    own = {name: pq.read_table(asked[name])[c.USER_ID].combine_chunks() for name in rows if name in asked}
    with ExitStack() as files:
        writers: dict[str, pq.ParquetWriter] = {}
        for tables in score_together(connection, scorers, user_count):
            for name, scored in zip(rows, tables, strict=True):
                table = scored
                if name in own:
                    table = scored.filter(pc.is_in(scored[c.SUBJECT_ID], value_set=own[name]))
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
    with open_desks(connection, scorers, user_count) as (desks, known):
        for start in range(0, max(len(known), 1), LISTED):
            asked = known[start : start + LISTED]
            with one_blas_thread(), ThreadPoolExecutor(scorers[0].settings.thread_count) as workers:
                ranked = list(workers.map(partial(_rank, desks), chunks(asked)))
            yield tuple(
                _lists(connection, scorer, pa.concat_tables([RANKED.empty_table(), *(part[number] for part in ranked)]))
                for number, scorer in enumerate(scorers)
            )


def _rank(desks: Sequence[Desk], users: NDArray[np.int32]) -> list[pa.Table]:
    """Return the rows of some customers' lists for each placement, with the evidence for their reasons."""
    return [desk.rank(own) for desk, own in zip(desks, propose_to(desks, users), strict=True)]


def _lists(connection: duckdb.DuckDBPyConnection, scorer: Scorer, ranked: pa.Table) -> pa.Table:
    connection.register("ranked", ranked)
    try:
        return connection.sql(
            read_sql("scoring", "lists.sql"),
            params={"recent_days": scorer.settings.candidates.popularity_days},
        ).to_arrow_table()
    finally:
        connection.unregister("ranked")
