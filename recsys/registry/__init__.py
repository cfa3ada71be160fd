"""The model registry: the only room that imports MLflow.

A training is one run (:func:`log_training`); what it learned becomes a version of the placement's
model (:func:`register_version`), made of code and plain files; the aliases follow the warehouse's
ledger (:func:`project_aliases`). A search of settings is a run with a child for each trial
(:func:`tuning_run`). What monitoring measured is a run of an experiment of its own (:func:`log_monitoring`).
"""

from recsys.addresses import pages_address
from recsys.redaction import redact
from recsys.registry.aliases import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    AliasOutcome,
    WantedAlias,
    get_alias,
    project_aliases,
    restore_alias,
    set_alias,
)
from recsys.registry.bundles import name_bundle, open_bundle
from recsys.registry.connection import connected
from recsys.registry.erasing import rewrite_text, versions_of_snapshots
from recsys.registry.models import (
    DECISION,
    ModelVersion,
    Registration,
    describe,
    download_bundle,
    get_version,
    record_gate,
    record_refusal,
    record_review,
    register_version,
)
from recsys.registry.monitoring import MonitoringRecord, evaluation_of, log_monitoring, trained_as_of
from recsys.registry.provenance import CodeState, code_state
from recsys.registry.training import LoggedTraining, TrainingRecord, log_training
from recsys.registry.tuning import LoggedTrial, LoggedTuning, log_found, log_trials, tuning_run
from recsys.registry.webhooks import ensure_webhook

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "DECISION",
    "PREVIOUS",
    "AliasOutcome",
    "CodeState",
    "LoggedTraining",
    "LoggedTrial",
    "LoggedTuning",
    "ModelVersion",
    "MonitoringRecord",
    "Registration",
    "TrainingRecord",
    "WantedAlias",
    "code_state",
    "connected",
    "describe",
    "download_bundle",
    "ensure_webhook",
    "evaluation_of",
    "get_alias",
    "get_version",
    "log_found",
    "log_monitoring",
    "log_training",
    "log_trials",
    "name_bundle",
    "open_bundle",
    "pages_address",
    "project_aliases",
    "record_gate",
    "record_refusal",
    "record_review",
    "redact",
    "register_version",
    "restore_alias",
    "rewrite_text",
    "set_alias",
    "trained_as_of",
    "tuning_run",
    "versions_of_snapshots",
]
