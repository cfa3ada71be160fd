"""The stages: plain functions from settings and URIs to URIs, called by the command line and by the DAGs.

Each takes ``settings`` and JSON-able keywords and returns a small JSON-able dict. A stage that is run twice
for the same inputs gives the same output; ``reused`` says that nothing had to be done.
"""

from recsys.pipeline.chain import evaluate_only, run_chain
from recsys.pipeline.comparing import find_champions
from recsys.pipeline.deciding import apply_gate, promote, register_models
from recsys.pipeline.evaluating import evaluate_models
from recsys.pipeline.reconciling import reconcile
from recsys.pipeline.returning import roll_back
from recsys.pipeline.reviewing import answer_review, decide, request_review
from recsys.pipeline.rolling import evaluate_cuts
from recsys.pipeline.serving import fit_state, measure_published, publish_lists, score_shard
from recsys.pipeline.training import (
    build_features,
    build_ranking_set,
    generate_candidates,
    take_snapshot,
    train_rankers,
)
from recsys.pipeline.tuning import Budget, Watcher, tune_ranker

__all__ = [
    "Budget",
    "Watcher",
    "answer_review",
    "apply_gate",
    "build_features",
    "build_ranking_set",
    "decide",
    "evaluate_cuts",
    "evaluate_models",
    "evaluate_only",
    "find_champions",
    "fit_state",
    "generate_candidates",
    "measure_published",
    "promote",
    "publish_lists",
    "reconcile",
    "register_models",
    "request_review",
    "roll_back",
    "run_chain",
    "score_shard",
    "take_snapshot",
    "train_rankers",
    "tune_ranker",
]
