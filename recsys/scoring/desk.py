"""From proposals to ranked lists: what placements that share a state need for it, laid out once for many customers."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys.candidates import Generator, needs_of
from recsys.candidates.base import Proposals, propose_each
from recsys.features import FeatureTables, compute_tables
from recsys.features.assemble import feature_names
from recsys.features.tables import ITEM_SIDE, TABLES, USER_SIDE
from recsys.fusion import Candidates, Proposed, fused
from recsys.history import History, build_history
from recsys.ranking import Ranker
from recsys.ranking.pruning import first_look, survivors
from recsys.ranking.ranking_set import attach_features
from recsys.scoring.evidence import add_evidence, without
from recsys.scoring.state import FittedState
from recsys.settings import Settings
from recsys.shaping import Shaper, Taste

CHUNK = 256  # customers whose candidates a thread holds with all features at once


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


@dataclass(frozen=True)
class Desk:
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

    @cached_property
    def _columns(self) -> list[int] | None:
        """The ranker's columns among the features; None if it reads all of them in their order."""
        names = feature_names(self.scorer.settings.candidates.generators)
        wanted = self.scorer.ranker.names
        return None if tuple(names) == wanted else [names.index(name) for name in wanted]

    @classmethod
    def of(
        cls,
        scorer: Scorer,
        history: History,
        generators: Sequence[Generator],
        tables: FeatureTables,
        connection: duckdb.DuckDBPyConnection,
    ) -> "Desk":
        """Let a placement look at the history."""
        own = replace(history, placement=scorer.placement)
        return cls(scorer, own, without(own, scorer.shaper.sensitive >= 0), generators, tables, connection)

    def fuse(self, proposed: Proposed) -> Candidates:
        """Make candidates of proposals."""
        settings = self.scorer.settings
        rules = settings.placement(self.scorer.placement)
        return fused(proposed, settings.candidates.generators, rules, self.connection)

    def features(self, found: Candidates) -> NDArray[np.float32]:
        """Return (r, f) what the ranker reads of candidates."""
        features = self.tables.gather(found)
        return features if self._columns is None else features[:, self._columns]

    def score(self, found: Candidates) -> tuple[Candidates, NDArray[np.float64]]:
        """Return the candidates that the first look leaves, and their scores."""
        rules = self.scorer.settings.placement(self.scorer.placement)
        features = self.features(found)
        kept = survivors(self.scorer.first, features, found.user_idx, rules, threads=1)
        if len(kept) < len(features):
            found, features = found.take(kept), features[kept]
        return found, self.scorer.ranker.scores(features, threads=1)

    def rank(self, proposed: Proposed) -> pa.Table:
        """Fuse, score, shape: return a table with the schema ``RANKED``."""
        settings, shaper = self.scorer.settings, self.scorer.shaper
        found, scores = self.score(self.fuse(proposed))
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


@contextmanager
def open_desks(
    connection: duckdb.DuckDBPyConnection, scorers: Sequence[Scorer], user_count: int
) -> Iterator[tuple[list[Desk], NDArray[np.int32]]]:
    """Give a desk for each of some placements that share a state, and the customers that have a history.

    Args:
        connection: has the snapshot's views, and the customers' cut is laid.
        scorers: one a placement.
        user_count: of the snapshot.
    """
    settings, state = scorers[0].settings, scorers[0].state
    needs = needs_of(settings.candidates.generators, scoring=True)
    history = build_history(connection, settings, *state.eligible, user_count, state.as_of, needs=needs)
    generators = state.generators(settings)
    known = np.flatnonzero(np.diff(history.seen.indptr)).astype(np.int32)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        compute_tables(connection, work, USER_SIDE)
        attach_features(
            connection, {table: state.folder / "features" if table in ITEM_SIDE else work for table in TABLES}
        )
        tables = FeatureTables(connection)
        yield [Desk.of(scorer, history, generators, tables, connection) for scorer in scorers], known


def chunks(users: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """Cut customers into parts that are scored together."""
    return [users[first : first + CHUNK] for first in range(0, len(users), CHUNK)]


def propose_to(desks: Sequence["Desk"], users: NDArray[np.int32]) -> list[Proposed]:
    """Return what the generators propose to customers for each placement."""
    scorers, history = [desk.scorer for desk in desks], desks[0].history
    found: list[list[tuple[Proposals, int]]] = [[] for _ in scorers]
    everyone = range(len(scorers))
    names = scorers[0].settings.candidates.generators
    for generator in desks[0].generators:
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
