"""Hyper-parameter search: settings of the ranker that do better on earlier months, found by Optuna."""

from recsys.tuning.search import Study, Trial
from recsys.tuning.validation import Fold, Validation

__all__ = ["Fold", "Study", "Trial", "Validation"]
