"""What serves now, for the evaluation to compare with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recsys import ledger, registry
from recsys.artifacts import facts_of, open_artifact, uri_of
from recsys.cuts import CutPlan
from recsys.errors import NotFoundError, RegistryError
from recsys.evaluation.champion import Champion, champion_candidates
from recsys.evaluation.health import Timed
from recsys.evaluation.holdout import HOLDOUT
from recsys.evaluation.shaped import shape_ranking
from recsys.lists import Lists
from recsys.pipeline.training import generate_candidates
from recsys.ranking.ingredients import Ingredients
from recsys.ranking.ranker import MODEL_FILE
from recsys.scoring import Recipe
from recsys.scoring.recipe import RECIPE_FILE
from recsys.settings import Settings
from recsys.warehouse import migrate, open_warehouse

Result = dict[str, Any]
Found = Mapping[str, str]
LATEST = 2  # champions looked at: if the newest is the very model that is evaluated, the one before it is compared


def find_champions(settings: Settings, *, placements: list[str]) -> Result:
    """Fetch what serves each placement, and what did before it.

    Returns:
        ``champions``: by placement, the newest first, each with ``model``, ``version`` and the URI of its ``bundle``,
        or ``why`` that can't be had; placements without a champion are absent.

    Raises:
        RegistryError: if there is a champion and MLflow can't be reached.
    """
    with open_warehouse(settings, purpose="read the champions") as warehouse:
        migrate(warehouse)
        standing = {name: ledger.champions(ledger.list_decisions(warehouse, name)) for name in placements}
    return {
        "champions": {
            name: [_fetched(settings, *version) for version in reversed(versions[-LATEST:])]
            for name, versions in standing.items()
            if versions
        }
    }


def _fetched(settings: Settings, model: str, version: str) -> dict[str, str]:
    found = {"model": model, "version": version}
    try:
        # First what fails if MLflow is away: that is worth another try. A bundle that is gone or spoilt is not.
        registry.get_version(settings, model, version)
    except NotFoundError as error:
        return found | {"why": f"MLflow doesn't have it any more ({error})"}
    try:
        return found | {"bundle": uri_of(registry.download_bundle(settings, model, version))}
    except (NotFoundError, RegistryError) as error:
        return found | {"why": f"its files can't be used ({error})"}


def other_champion(settings: Settings, placement: str, rankers: str, found: Sequence[Found]) -> Found | None:
    """Return the newest champion that is not the very model of this training, None if there is none.

    Args:
        settings: of the training.
        placement: whose.
        rankers: URI of the trained rankers.
        found: the placement's champions, the newest first.
    """
    return next((one for one in found if not _is_this(settings, placement, rankers, one)), None)


def _is_this(settings: Settings, placement: str, rankers: str, found: Found) -> bool:
    if "bundle" not in found:
        return False
    bundle = registry.open_bundle(found["bundle"])
    recipe = Recipe.of(settings, placement, facts_of(rankers)["weights"].get(placement))
    own = open_artifact(rankers) / placement / "release" / MODEL_FILE
    is_same_recipe = recipe.as_text() == (bundle / RECIPE_FILE).read_text(encoding="utf-8")
    return is_same_recipe and own.read_bytes() == (bundle / MODEL_FILE).read_bytes()


@dataclass(frozen=True)
class Chosen:
    """What a champion would have chosen on the hold-out.

    Attributes:
        ranked: its lists.
        shown: the same as customers would have seen them.
        is_refreshed: whether the training does what made it, on newer data.
        timed: its ranker, and what its candidates are made of.
    """

    ranked: Lists
    shown: Lists
    is_refreshed: bool
    timed: Timed


def chosen_by(
    settings: Settings, placement: str, champion: Champion, plan: CutPlan, ranking_set: str, k: int
) -> Chosen:
    """Return what a champion would have chosen on the hold-out, by its own recipe.

    What the training has already made by the same recipe is used again.

    Args:
        settings: of the training.
        placement: whose champion.
        champion: opened for the hold-out.
        plan: the training's cuts.
        ranking_set: its URI.
        k: products a customer.
    """
    facts = facts_of(ranking_set)
    made_of, rows = Ingredients.of(facts), None
    own = Recipe.of(settings, placement, facts["weights"].get(placement))
    if own.state_key != champion.recipe.state_key:
        made_of = _proposed_again(settings, champion.recipe, made_of)
    elif own == champion.recipe:
        rows = open_artifact(ranking_set) / placement / f"{HOLDOUT}.parquet"
    candidates = champion_candidates(settings, champion, made_of, plan.holdout, rows)
    applied = champion.recipe.apply(settings)
    shaping = shape_ranking(applied, made_of.snapshot, placement, plan.holdout, candidates, k)
    is_refresh = champion.is_refreshed_by(own, settings.ranker_of(placement).model_dump(mode="json"))
    timed = Timed(champion.ranker, made_of, champion.recipe.rules)
    return Chosen(Lists.ranked(*candidates, k), shaping.lists, is_refresh, timed)


def _proposed_again(settings: Settings, recipe: Recipe, made_of: Ingredients) -> Ingredients:
    # The seed also draws the customers, who must be those of this training.
    applied = recipe.apply(settings).model_copy(update={"seed": settings.seed})
    proposals = {
        name: open_artifact(
            generate_candidates(applied, snapshot=made_of.snapshot.uri, generator=name, only_holdout=True)["candidates"]
        )
        for name in recipe.candidates.generators
    }
    return Ingredients(made_of.snapshot, made_of.features, proposals, tuple(recipe.candidates.generators))


def version_key(found: Found | None) -> list[str]:
    """Return what identifies a champion in the name of an evaluation."""
    return [] if found is None else [found["model"], found["version"], found.get("why", "")]
