"""From a champion's recipe and a fresh snapshot to every customer's list."""

from recsys.scoring.finishing import finish_lists
from recsys.scoring.recipe import Recipe
from recsys.scoring.recommender import Recommender, load_recommender
from recsys.scoring.shard import plan_shards, score_shard, shard_count
from recsys.scoring.state import FittedState, fit_state

__all__ = [
    "FittedState",
    "Recipe",
    "Recommender",
    "finish_lists",
    "fit_state",
    "load_recommender",
    "plan_shards",
    "score_shard",
    "shard_count",
]
