"""What a load did, for a person and for programs."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class CleaningRow:
    """One class of rows that was changed, marked or left out: its rule, why, and how many rows."""

    rule: str
    reason: str
    row_count: int


@dataclass(frozen=True)
class LoadReport:
    """What a load did.

    Attributes:
        source: name of the source.
        load_id: the same for the same files, mapping and options.
        skipped: the warehouse already held this very load; nothing was done.
        until: only what was known before this time was loaded; None: everything.
        rows: rows of each canonical table.
        cleaning: what was cleaned.
        seconds: how long each step took.
    """

    source: str
    load_id: str
    skipped: bool
    until: datetime | None
    rows: dict[str, int]
    cleaning: tuple[CleaningRow, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
