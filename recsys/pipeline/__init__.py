"""The stages: plain functions from settings and URIs to URIs, called by the command line and by the DAGs.

Each takes ``settings`` and JSON-able keywords and returns a small JSON-able dict. A stage that is run twice
for the same inputs gives the same output; ``reused`` says that nothing had to be done.
"""

from recsys.monitoring.retraining import retraining_needed
from recsys.pipeline.backfilling import archive_lists, fetch_past_models, find_past_champions, fit_past_models
from recsys.pipeline.chain import evaluate_only, run_chain
from recsys.pipeline.comparing import find_champions
from recsys.pipeline.deciding import apply_gate, promote, register_models
from recsys.pipeline.dividing import (
    join_ranking_set,
    make_ingredients,
    make_ranking_rows,
    plan_cuts,
    plan_ingredients,
)
from recsys.pipeline.erasing import erase, retain
from recsys.pipeline.evaluating import evaluate_models
from recsys.pipeline.learning import train_rankers
from recsys.pipeline.monitoring import check_measured, monitor
from recsys.pipeline.reconciling import reconcile
from recsys.pipeline.returning import roll_back
from recsys.pipeline.reviewing import answer_review, decide, request_review
from recsys.pipeline.rolling import evaluate_cuts
from recsys.pipeline.rows import build_ranking_set
from recsys.pipeline.serving import fit_state, measure_published, publish_lists, score_shard
from recsys.pipeline.training import (
    build_features,
    generate_candidates,
    take_snapshot,
)
from recsys.pipeline.trying import (
    fit_canaries,
    fit_version,
    make_canary_lists,
    measure_canary,
    move_canary,
    refresh_canaries,
    refresh_canary,
    renew_canaries,
    start_canary,
    try_version,
)
from recsys.pipeline.tuning import Budget, Watcher, tune_ranker
from recsys.pipeline.withholding import set_consent, suppress, unsuppress

__all__ = [
    "Budget",
    "Watcher",
    "answer_review",
    "apply_gate",
    "archive_lists",
    "build_features",
    "build_ranking_set",
    "check_measured",
    "decide",
    "erase",
    "evaluate_cuts",
    "evaluate_models",
    "evaluate_only",
    "fetch_past_models",
    "find_champions",
    "find_past_champions",
    "fit_canaries",
    "fit_past_models",
    "fit_state",
    "fit_version",
    "generate_candidates",
    "join_ranking_set",
    "make_canary_lists",
    "make_ingredients",
    "make_ranking_rows",
    "measure_canary",
    "measure_published",
    "monitor",
    "move_canary",
    "plan_cuts",
    "plan_ingredients",
    "promote",
    "publish_lists",
    "reconcile",
    "refresh_canaries",
    "refresh_canary",
    "register_models",
    "renew_canaries",
    "request_review",
    "retain",
    "retraining_needed",
    "roll_back",
    "run_chain",
    "score_shard",
    "set_consent",
    "start_canary",
    "suppress",
    "take_snapshot",
    "train_rankers",
    "try_version",
    "tune_ranker",
    "unsuppress",
]
