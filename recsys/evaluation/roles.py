"""The names that models have in an evaluation, and what part each plays in it."""

from collections.abc import Iterable
from typing import Final

K: Final = 10  # what a reader sees of a list, and the k of the headline
HEADLINE: Final = f"ndcg@{K}"

RANKER: Final = "ranker"
SHAPED: Final = "shaped"
CHAMPION: Final = "champion"
FUSED: Final = "fused"
BASELINES: Final = ("popularity", "repurchase")  # what a shop would show without any model

NEW: Final = "new model"
SHAPING: Final = "new model, shaped"
LIVE: Final = "model now live"
BASELINE_RANKER: Final = "baseline ranker"
FUSION: Final = "fusion"
SINGLE: Final = "single generator"
ROLES: Final = (NEW, SHAPING, LIVE, BASELINE_RANKER, FUSION, SINGLE)  # in the order of a table

_BASELINE_RANKERS: Final = frozenset({"logistic", "tree", "forest"})


def role_of(model: str) -> str:
    """Return the part that a model plays; what isn't known by its name is a single generator."""
    named = {RANKER: NEW, SHAPED: SHAPING, CHAMPION: LIVE}
    if model in named:
        return named[model]
    if model in _BASELINE_RANKERS:
        return BASELINE_RANKER
    return FUSION if model == FUSED or model.startswith(f"{FUSED}_") else SINGLE


def singles_of(models: Iterable[str]) -> list[str]:
    """Return the single generators among models, in their order."""
    return [name for name in models if role_of(name) == SINGLE]
