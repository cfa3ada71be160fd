"""The stage that makes ranking sets: the rows that rankers learn from and are measured on."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

from recsys.artifacts import Artifact, facts_of, open_artifact, uri_of, within_home
from recsys.compute import engine
from recsys.cuts import CutPlan, cut_name
from recsys.engine import Piece, run_ahead
from recsys.evaluation.holdout import HOLDOUT
from recsys.fusion.learning import learn_weights
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
            "candidates": {name: uri_of(path) for name, path in rows.made_of.proposals.items()},
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
        given: dict[str, Any] = {"snapshot": snapshot, "features": features, "candidates": candidates}
        given |= {"placements": placements, "whole_cuts": whole_cuts}
        return cls(settings, given, made_of, rules, plan, (plan.holdout, *reversed(plan.twin))[:whole_cuts], name)

    def at(self, cuts: Collection[datetime]) -> list[Artifact]:
        """Return the rows of some cuts, one artifact a file, and make those that are not there."""
        rules = {name: rule.with_weights(self.weights.get(name)) for name, rule in self.rules.items()}
        pieces = [Piece(f"rows {cut_name(cut)}", make_rows, {**self.given, "cut": cut.isoformat()}) for cut in cuts]
        run_ahead(self.settings, pieces)
        files = [(cut, cut_name(cut), False) for cut in cuts]
        files += [(cut, whole_name(self.plan, cut), True) for cut in cuts if cut in self.whole]
        store = store_of(self.settings)
        return [store.make(KIND, f"{self.name}-{file[1]}", partial(self._write, rules, *file)) for file in files]

    @cached_property
    def weights(self) -> dict[str, dict[str, float]]:
        """The fusion weights of the placements that want to learn them, from cuts that are not measured."""
        return dict(store_of(self.settings).make(KIND, f"{self.name}-weights", self._learn).facts)

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

    def _write(
        self, rules: dict[str, PlacementSettings], cut: datetime, name: str, whole: bool, folder: Path
    ) -> dict[str, Any]:
        """Write one cut's rows of every placement: all of them, or a draw of those that were not bought."""
        rows = 0
        with self.made_of.laid(self.settings, cut) as connection:
            for placement, rule in rules.items():
                (folder / placement).mkdir()
                rows += write_ranking_rows(
                    connection,
                    rule,
                    self.made_of.files(cut, rule),
                    self.made_of.generators,
                    folder / placement / f"{name}.parquet",
                    negatives=None if whole else self.settings.ranker_of(placement).negatives,
                    seed=self.settings.seed,
                )
        return {"rows": rows}


def make_rows(settings: Settings, *, cut: str, **given: Any) -> Result:
    """Do the piece of :meth:`RankingRows.at` for one cut."""
    made = RankingRows.of(settings, **given).at([datetime.fromisoformat(cut)])
    return {"rows": sum(one.facts["rows"] for one in made)}


def whole_name(plan: CutPlan, cut: datetime) -> str:
    """Return the name of the file with every candidate of a cut."""
    return HOLDOUT if cut == plan.holdout else f"whole-{cut_name(cut)}"
