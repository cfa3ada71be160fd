"""The plain files that a model is made of, laid out from what a training learned."""

import shutil
from pathlib import Path

from recsys.artifacts import facts_of, open_artifact
from recsys.cuts import plan_cuts
from recsys.evaluation.champion import RELEASE, TWIN, save_twin
from recsys.pipeline.fitting import fit_recipe
from recsys.ranking.ranker import MODEL_FILE
from recsys.scoring import FittedState, Recipe
from recsys.settings import Settings
from recsys.snapshot import Snapshot


def lay_out_bundle(settings: Settings, source: Snapshot, rankers: str, placement: str, bundle: Path) -> Path:
    """Lay out a model's plain files: recipe, ranker with its twin, and the item side of the state at training.

    Args:
        settings: of the training.
        source: its snapshot.
        rankers: URI of what it learned.
        placement: whose model.
        bundle: the folder to make.
    """
    recipe = Recipe.of(settings, placement, facts_of(rankers)["weights"].get(placement))
    state = FittedState(open_artifact(fit_recipe(settings, source, recipe)["state"]))
    bundle.mkdir()
    recipe.save(bundle)
    shutil.copy2(open_artifact(rankers) / placement / RELEASE / MODEL_FILE, bundle / MODEL_FILE)
    plan = plan_cuts(settings, source.as_of, source.first_event)
    twin = open_artifact(rankers) / placement / TWIN / MODEL_FILE
    learner = settings.ranker_of(placement).model_dump(mode="json")
    save_twin(bundle, twin, as_of=plan.as_of, learned_until=plan.holdout, learner=learner)
    state.copy_item_side(bundle / "state")
    return bundle
