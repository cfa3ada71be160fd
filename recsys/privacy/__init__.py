"""Erasure: removes a customer from everything that the platform keeps, and keeps them out.

What can be computed again from a snapshot is deleted whole; snapshots, evaluations and live files are rewritten without
the customer. Nothing here is keyed by more than the customer's id and pseudonym.
"""

from recsys.privacy.derived import (
    DERIVED,
    evaluations_with,
    remove_derived,
    rewrite_evaluations,
    rewrite_lists,
    strip_report,
    sweep_temporary,
    tidy_store,
)
from recsys.privacy.records import BEGUN, DONE, REMOVED, Erasure, begin, erasure_name, find_erasure, save, unfinished
from recsys.privacy.retention import old_artifacts, remove_old_rows
from recsys.privacy.rows import count_rows, known_customers, remove_rows, rewrite_storage
from recsys.privacy.snapshots import names_of, remove_extracts, rewrite_snapshots, snapshots_with
from recsys.privacy.subject import Subject

__all__ = [
    "BEGUN",
    "DERIVED",
    "DONE",
    "REMOVED",
    "Erasure",
    "Subject",
    "begin",
    "count_rows",
    "erasure_name",
    "evaluations_with",
    "find_erasure",
    "known_customers",
    "names_of",
    "old_artifacts",
    "remove_derived",
    "remove_extracts",
    "remove_old_rows",
    "remove_rows",
    "rewrite_evaluations",
    "rewrite_lists",
    "rewrite_snapshots",
    "rewrite_storage",
    "save",
    "snapshots_with",
    "strip_report",
    "sweep_temporary",
    "tidy_store",
    "unfinished",
]
