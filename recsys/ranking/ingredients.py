"""What the ranking sets of a training are made of, cut by cut: features, proposals, and what was bought afterwards."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from recsys.artifacts import open_artifact
from recsys.compute import engine
from recsys.cuts import cut_name, lay_items
from recsys.features.tables import TABLES
from recsys.fusion.learning import Lesson
from recsys.ranking.ranking_set import attach_features
from recsys.settings import PlacementSettings, Settings
from recsys.snapshot import Snapshot

VARIANTS = {True: "repeats", False: "novel"}  # a generator's file of proposals, by whether repeats may be shown
TRUTH = "truth.parquet"
LABELS = "labels.parquet"


@dataclass(frozen=True)
class Ingredients:
    """The artifacts of a training that ranking sets are made of.

    Attributes:
        snapshot: of the training.
        features: the folder with a folder of feature tables and the truth for each cut.
        proposals: by generator, the folder with a folder of proposals for each cut.
        generators: those that are used, in the recipe's order.
    """

    snapshot: Snapshot
    features: Path
    proposals: Mapping[str, Path]
    generators: tuple[str, ...]

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Ingredients":
        """Return what a finished ranking set was made of, from its facts."""
        return cls(
            Snapshot.open(facts["snapshot"]),
            open_artifact(facts["features"]),
            {name: open_artifact(uri) for name, uri in facts["candidates"].items()},
            tuple(facts["generators"]),
        )

    def files(self, cut: datetime, rules: PlacementSettings) -> dict[str, Path]:
        """Return each generator's proposals at a cut, those that the rules allow."""
        name = f"{VARIANTS[rules.repeats]}.parquet"
        return {generator: folder / cut_name(cut) / name for generator, folder in self.proposals.items()}

    def lesson(self, cut: datetime, rules: PlacementSettings) -> Lesson:
        """Return what fusion weights may be learned from at a cut."""
        return Lesson(self.files(cut, rules), self.features / cut_name(cut) / TRUTH)

    @contextmanager
    def laid(self, settings: Settings, cut: datetime) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a connection with the snapshot's views, and the feature views and ``labels`` of a cut."""
        at = self.features / cut_name(cut)
        with engine(settings) as connection:
            self.snapshot.attach(connection)
            lay_items(connection, cut)
            attach_features(connection, dict.fromkeys(TABLES, at))
            connection.from_parquet(str(at / LABELS)).create_view("labels")
            yield connection
