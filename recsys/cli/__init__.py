"""The command line: ``recsys --help``.

Each command reads the clock once, opens the warehouse for as short as it can, and imports what is heavy only
when it runs, so that help and completion are quick.
"""

from recsys.cli import (
    canary,
    chain,
    decisions,
    doctor,
    evaluation,
    lists,
    monitoring,
    privacy,
    quarantine,
    rules,
    shop,
    tuning,
    withholding,
)
from recsys.cli.app import app

__all__ = [
    "app",
    "canary",
    "chain",
    "decisions",
    "doctor",
    "evaluation",
    "lists",
    "monitoring",
    "privacy",
    "quarantine",
    "rules",
    "shop",
    "tuning",
    "withholding",
]
