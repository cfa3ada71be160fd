"""The stage that makes ranking sets: the rows that rankers learn from and are measured on."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

from recsys.artifacts import Artifact, facts_of, open_artifact, within_home
from recsys.compute import engine
from recsys.cuts import CutPlan, cut_name
from recsys.engine import Piece
from recsys.evaluation.holdout import HOLDOUT
from recsys.fusion.learning import learn_weights
from recsys.pipeline.parts import make_parts
from recsys.pipeline.training import cuts_of, stage_name, store_of
from recsys.ranking import write_ranking_rows
from recsys.ranking.ingredients import Ingredients
from recsys.settings import PlacementSettings, Settings
from recsys.snapshot import Snapshot

Result = dict[str, Any]
KIND: Final = "ranking_sets"


@within_home
def build_ranking_set(
    settings: Settings,
    *,
    snapshot: str,
    features: str,
    candidates: list[str],
    placements: list[str],
    whole_cuts: int = 1,
) -> Result:
    """Fuse the candidates, join features and labels: the rows that rankers learn from and are measured on.

    Every candidate is kept of the newest ``whole_cuts`` cuts, the hold-out first (the file ``holdout``, others
    ``whole-<cut>``): there rankers are measured. Fusion weights are learned on the cuts before all of these.
    """
    rows = RankingRows.of(settings, snapshot, features, candidates, placements, whole_cuts)

    def build(folder: Path) -> dict[str, Any]:
        parts = rows.at(rows.plan.all)
        for part in parts:
            part.link(folder)
        return {
            "rows": sum(part.facts["rows"] for part in parts),
            "snapshot": snapshot,
            "features": features,
            "candidates": {name: path.as_uri() for name, path in rows.made_of.proposals.items()},
            "placements": placements,
            "generators": rows.made_of.generators,
            "weights": rows.weights,
        }

    made = store_of(settings).make(KIND, rows.name, build)
    return {"ranking_set": made.uri, "rows": made.facts["rows"], "reused": made.reused}


@dataclass(frozen=True)
class RankingRows:
    """The rows of a ranking set, of which each cut's are an artifact of their own.

    Attributes:
        settings: in force.
        given: what it was made with, for pieces.
        made_of: features and proposals.
        rules: by placement.
        plan: the training's cuts.
        whole: the cuts of which every candidate is kept.
        name: of the ranking set.
    """

    settings: Settings
    given: dict[str, Any]
    made_of: Ingredients
    rules: dict[str, PlacementSettings]
    plan: CutPlan
    whole: tuple[datetime, ...]
    name: str

    @classmethod
    def of(
        cls,
        settings: Settings,
        snapshot: str,
        features: str,
        candidates: list[str],
        placements: list[str],
        whole_cuts: int = 1,
    ) -> "RankingRows":
        """Return the rows that :func:`build_ranking_set` makes; nothing is made yet."""
        source = Snapshot.open(snapshot)
        plan = cuts_of(settings, source)
        proposals = {facts_of(uri)["generator"]: open_artifact(uri) for uri in candidates}
        generators = tuple(name for name in settings.candidates.generators if name in proposals)
        made_of = Ingredients(source, open_artifact(features), proposals, generators)
        rules = {name: settings.placement(name) for name in placements}
        described = {name: rule.model_dump(mode="json", exclude={"ranker", "shaping"}) for name, rule in rules.items()}
        negatives = {name: settings.ranker_of(name).negatives for name in placements}
        name = stage_name(source, features, sorted(candidates), described, negatives, whole_cuts, settings)
        given: dict[str, Any] = {
            "snapshot": snapshot,
            "features": features,
            "candidates": candidates,
            "placements": placements,
        }
        given["whole_cuts"] = whole_cuts
        return cls(settings, given, made_of, rules, plan, (plan.holdout, *reversed(plan.twin))[:whole_cuts], name)

    def at(self, cuts: Collection[datetime]) -> list[Artifact]:
        """Return the rows of some cuts, one artifact a file, and make those that are not there."""
        files = [(cut, False) for cut in cuts] + [(cut, True) for cut in cuts if cut in self.whole]
        if files:
            self.learn()  # once, before the pieces that ask for it
        pieces = {}
        for cut, is_whole in files:
            given = {"rows": self.given, "cut": cut.isoformat(), "is_whole": is_whole}
            pieces[self._part(cut, is_whole)] = Piece(f"rows {self._file(cut, is_whole)}", write_rows, given)
        return make_parts(self.settings, KIND, pieces)

    def write(self, cut: datetime, is_whole: bool) -> Artifact:
        """Make one file's artifact: all rows of a cut, or a draw of those that were not bought."""
        build = partial(self._write, cut, is_whole)
        return store_of(self.settings).make(KIND, self._part(cut, is_whole), build)

    def _part(self, cut: datetime, is_whole: bool) -> str:
        return f"{self.name}-{self._file(cut, is_whole)}"

    def _file(self, cut: datetime, is_whole: bool) -> str:
        return whole_name(self.plan, cut) if is_whole else cut_name(cut)

    @cached_property
    def weights(self) -> dict[str, dict[str, float]]:
        """The fusion weights of the placements that want to learn them, from cuts that are not measured."""
        return dict(self.learn().facts)

    def learn(self) -> Artifact:
        """Learn these weights, if nobody did before."""
        return store_of(self.settings).make(KIND, f"{self.name}-weights", self._learn)

    def _learn(self, _: Path) -> dict[str, Any]:
        learned = {}
        cuts = [cut for cut in self.plan.twin if cut not in self.whole]
        for placement, rule in self.rules.items():
            if rule.learn_weights:
                lessons = [self.made_of.lesson(cut, rule) for cut in cuts]
                with engine(self.settings) as connection:
                    learned[placement] = learn_weights(
                        connection, lessons, self.made_of.generators, rule, self.settings.seed
                    )
        return learned

    def _write(self, cut: datetime, is_whole: bool, folder: Path) -> dict[str, Any]:
        rows = 0
        with self.made_of.laid(self.settings, cut) as connection:
            for placement, rule in self.rules.items():
                in_force = rule.with_weights(self.weights.get(placement))
                (folder / placement).mkdir()
                rows += write_ranking_rows(
                    connection,
                    in_force,
                    self.made_of.files(cut, in_force),
                    self.made_of.generators,
                    folder / placement / f"{self._file(cut, is_whole)}.parquet",
                    negatives=None if is_whole else self.settings.ranker_of(placement).negatives,
                    seed=self.settings.seed,
                )
        return {"rows": rows}


def write_rows(settings: Settings, *, rows: dict[str, Any], cut: str, is_whole: bool) -> Result:
    """Do the piece of :meth:`RankingRows.at` for one file."""
    made = RankingRows.of(settings, **rows).write(datetime.fromisoformat(cut), is_whole)
    return {"rows": made.facts["rows"]}


def whole_name(plan: CutPlan, cut: datetime) -> str:
    """Return the name of the file with every candidate of a cut."""
    return HOLDOUT if cut == plan.holdout else f"whole-{cut_name(cut)}"
