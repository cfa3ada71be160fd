"""One typed ``Settings`` object, read from ``RECSYS_*`` variables and ``recsys.toml``."""

from recsys.settings.candidates import DEFAULT_GENERATORS, GENERATORS, CandidateSettings, Similarity
from recsys.settings.contracts import ContractSettings, Severity
from recsys.settings.gate import GateSettings, ReviewSettings
from recsys.settings.monitoring import MonitoringSettings, RetrainingSettings
from recsys.settings.placements import (
    FusionRule,
    FusionRules,
    FusionSwitch,
    LearnerSettings,
    Objective,
    PlacementSettings,
    RankerSettings,
)
from recsys.settings.privacy import PrivacySettings
from recsys.settings.settings import AirflowSettings, EvaluationSettings, PublicationSettings, Settings, load_settings
from recsys.settings.shaping import ShapingSettings
from recsys.settings.snapshot import SnapshotSettings
from recsys.settings.variables import unknown_variables

__all__ = [
    "DEFAULT_GENERATORS",
    "GENERATORS",
    "AirflowSettings",
    "CandidateSettings",
    "ContractSettings",
    "EvaluationSettings",
    "FusionRule",
    "FusionRules",
    "FusionSwitch",
    "GateSettings",
    "LearnerSettings",
    "MonitoringSettings",
    "Objective",
    "PlacementSettings",
    "PrivacySettings",
    "PublicationSettings",
    "RankerSettings",
    "RetrainingSettings",
    "ReviewSettings",
    "Settings",
    "Severity",
    "ShapingSettings",
    "Similarity",
    "SnapshotSettings",
    "load_settings",
    "unknown_variables",
]
