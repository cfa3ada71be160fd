"""The model that serves now, measured on the new hold-out beside the one that may replace it.

A registered bundle carries two rankers of one training: the release, which learned from everything up to the
training's ``as_of``, and its evaluation twin, which had seen nothing of the window before that. Whichever is the
newest that has seen nothing of the new window is measured; if both have, there is no comparison, and it is said.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from recsys.artifacts import local_path
from recsys.errors import NotFoundError
from recsys.evaluation.metrics import NOTHING, shown_matrix
from recsys.evaluation.roles import K
from recsys.evaluation.shaped import Candidates
from recsys.features import features_hash
from recsys.lists import Lists
from recsys.ranking import Ranker, RankingSet, write_ranking_rows
from recsys.ranking.ingredients import Ingredients
from recsys.ranking.ranker import MODEL_FILE
from recsys.scoring import Recipe
from recsys.settings import Settings

TWIN: Final = "twin"  # folder of a bundle with the evaluation twin
TWIN_FILE: Final = "twin.json"
RELEASE: Final = "release"


@dataclass(frozen=True)
class Champion:
    """A champion that can be measured at a cut.

    Attributes:
        model: the registered model.
        version: its version.
        kind: which of its rankers is measured, release or twin.
        ranker: that ranker.
        recipe: how its candidates are made.
        learner: how its ranker learned; empty if a release of before registered it.
    """

    model: str
    version: str
    kind: str
    ranker: Ranker
    recipe: Recipe
    learner: Mapping[str, Any]

    def is_refreshed_by(self, recipe: Recipe, learner: Mapping[str, Any]) -> bool:
        """Tell whether a training does what made the champion, on newer data; learned weights may differ."""
        learned: dict[str, Any] = (
            {"weights": {}} if self.recipe.rules.learn_weights and recipe.rules.learn_weights else {}
        )
        mine, other = (replace(one, rules=one.rules.model_copy(update=learned)) for one in (self.recipe, recipe))
        return mine == other and self.learner == learner


@dataclass(frozen=True)
class NotCompared:
    """A champion that can't be measured, and why not."""

    model: str
    version: str
    why: str


def save_twin(
    bundle: Path, ranker: Path, *, as_of: datetime, learned_until: datetime, learner: Mapping[str, Any]
) -> None:
    """Add the evaluation twin to a bundle.

    Args:
        bundle: the folder of a model's plain files.
        ranker: the twin's file.
        as_of: what the release learned from ends here.
        learned_until: what the twin learned from ends here.
        learner: how both learned.
    """
    folder = bundle / TWIN
    folder.mkdir()
    (folder / MODEL_FILE).write_bytes(ranker.read_bytes())
    about = {"as_of": as_of.isoformat(), "learned_until": learned_until.isoformat(), "learner": dict(learner)}
    (folder / TWIN_FILE).write_text(json.dumps(about, indent=1), encoding="utf-8")


class _ObstacleError(Exception):
    """Why a champion can't be measured."""


def open_champion(found: Mapping[str, str], cut: datetime) -> Champion | NotCompared:
    """Open a champion to be measured on what happened after a cut.

    Args:
        found: its ``model`` and ``version``, and either the URI of its ``bundle`` or ``why`` there is none.
        cut: where the hold-out window begins.
    """
    try:
        if "bundle" not in found:
            raise _ObstacleError(found["why"])
        bundle = local_path(found["bundle"])
        recipe = _recipe(bundle)
        about = _about_twin(bundle)
        kind = _unknowing(about, cut)
        ranker = Ranker.load(bundle if kind == RELEASE else bundle / TWIN)
    except (NotFoundError, _ObstacleError) as error:
        return NotCompared(found["model"], found["version"], str(error))
    return Champion(found["model"], found["version"], kind, ranker, recipe, about.get("learner", {}))


def _recipe(bundle: Path) -> Recipe:
    try:
        recipe = Recipe.load(bundle)
    except (ValidationError, KeyError) as error:
        raise _ObstacleError(f"its recipe can't be read by this release ({type(error).__name__})") from error
    if recipe.features != features_hash():
        raise _ObstacleError("the feature SQL has changed since it was trained")
    return recipe


def _about_twin(bundle: Path) -> dict[str, Any]:
    path = bundle / TWIN / TWIN_FILE
    if not path.is_file():
        raise _ObstacleError("it was registered without its evaluation twin")
    about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return about


def _unknowing(about: Mapping[str, Any], cut: datetime) -> str:
    """Return which of a bundle's rankers has seen nothing of what came after a cut, the newest of them."""
    if datetime.fromisoformat(about["as_of"]) <= cut:
        return RELEASE
    if datetime.fromisoformat(about["learned_until"]) <= cut:
        return TWIN
    raise _ObstacleError(f"it has learned from days after {cut:%Y-%m-%d}, on which it would be measured")


def champion_candidates(
    settings: Settings, champion: Champion, made_of: Ingredients, cut: datetime, rows: Path | None
) -> Candidates:
    """Return (r,) user_idx, item_idx and score of what a champion would have chosen from at a cut.

    Args:
        settings: in force, for threads and memory.
        champion: whose lists.
        made_of: features, and the proposals of the champion's recipe.
        cut: the moment.
        rows: candidates with features that were made by the same recipe; made here if None.
    """
    if rows is not None:
        return _scored(settings, champion, rows)
    with tempfile.TemporaryDirectory() as work, made_of.laid(settings, cut) as connection:
        path = Path(work) / "candidates.parquet"
        rules = champion.recipe.rules
        write_ranking_rows(
            connection, rules, made_of.files(cut, rules), made_of.generators, path, negatives=None, seed=settings.seed
        )
        return _scored(settings, champion, path)


def _scored(settings: Settings, champion: Champion, rows: Path) -> Candidates:
    read = RankingSet.read([rows])
    wanted = np.array([read.names.index(name) for name in champion.ranker.names])
    scores = champion.ranker.scores(read.features[:, wanted], settings.thread_count)
    return read.user_idx, read.item_idx, scores


def describe(champion: Champion | NotCompared) -> dict[str, Any]:
    """Return what the evaluation JSON says about a champion: model, version, is_compared, measured and why."""
    if isinstance(champion, NotCompared):
        return {"model": champion.model, "version": champion.version, "is_compared": False, "why": champion.why}
    return {"model": champion.model, "version": champion.version, "is_compared": True, "measured": champion.kind}


def changes(before: Lists, after: Lists) -> dict[str, float]:
    """Return how much lists change, over all customers who have both.

    Returns:
        ``new_products``: mean number of the first K that were not among the first K before; ``same_lists``: share of
        customers who keep the same K, in any order.
    """
    users = np.intersect1d(before.user_idx, after.user_idx)
    if not len(users):
        return {}
    old, new = (shown_matrix(users, one.user_idx, one.item_idx, one.rank, K) for one in (before, after))
    known = np.zeros(new.shape, bool)
    for column in range(K):
        known |= new == old[:, column, None]
    is_new = ~known & (new != NOTHING)
    # A list that only lost a product isn't the same either.
    same = ~is_new.any(axis=1) & ((new != NOTHING).sum(axis=1) == (old != NOTHING).sum(axis=1))
    return {"new_products": float(is_new.sum(axis=1).mean()), "same_lists": float(same.mean())}
