"""A recipe's state, fitted where the engine computes."""

from typing import Any

from recsys import scoring
from recsys.engine import Piece, run_pieces
from recsys.scoring.recipe import Recipe
from recsys.settings import Settings
from recsys.snapshot import Snapshot

Result = dict[str, Any]


def fit_recipe(settings: Settings, source: Snapshot, recipe: Recipe) -> Result:
    """Fit a recipe to a snapshot.

    Returns:
        ``state``: the URI of the state; ``reused``: whether it was there before.
    """
    given = {"snapshot": source.uri, "recipe": recipe.as_json()}
    [made] = run_pieces(settings, [Piece(f"state of {recipe.placement}", write_state, given)])
    return made


def write_state(settings: Settings, *, snapshot: str, recipe: dict[str, Any]) -> Result:
    """Do the piece of :func:`fit_recipe`."""
    chosen = Recipe.of_json(recipe)
    state = scoring.fit_state(chosen.apply(settings), Snapshot.open(snapshot), chosen.state_key)
    return {"state": state.uri, "reused": state.reused}
