"""What canonical rows must look like: rules, one report of all failures, and the quarantine of what was rejected.

The rules stand in ``sql/contracts/rules.toml``; they are applied to what was extracted, so they hold for every source,
also one that fills the canonical tables by its own means. ``docs/contracts.md`` tells of each.
"""

from recsys.contracts.checking import check_tables, stop_if_broken
from recsys.contracts.columns import COLUMNS, check_columns
from recsys.contracts.profiles import Base, age_in, describe
from recsys.contracts.quarantine import (
    Quarantined,
    drop,
    find_quarantined,
    one_quarantined,
    quarantine,
    quarantine_counts,
    repair,
)
from recsys.contracts.replaying import Replayed, replay
from recsys.contracts.report import Failure, Report
from recsys.contracts.rows import JUDGED, rejected_rows
from recsys.contracts.rules import Rule, rules_of, written_rules

__all__ = [
    "COLUMNS",
    "JUDGED",
    "Base",
    "Failure",
    "Quarantined",
    "Replayed",
    "Report",
    "Rule",
    "age_in",
    "check_columns",
    "check_tables",
    "describe",
    "drop",
    "find_quarantined",
    "one_quarantined",
    "quarantine",
    "quarantine_counts",
    "rejected_rows",
    "repair",
    "replay",
    "rules_of",
    "stop_if_broken",
    "written_rules",
]
