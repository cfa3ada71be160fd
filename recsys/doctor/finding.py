"""What a check reports."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from recsys.settings import Settings

Status = Literal["ok", "note", "wrong"]
OK: Final = "ok"
NOTE: Final = "note"
WRONG: Final = "wrong"

CLOCK_SECONDS: Final = 30.0
"""How far clocks may differ: what is recorded in one place and read in another is compared to the minute."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what, in a word or two.
        status: ``ok``; ``note``: worth knowing, nothing to mend; ``wrong``: a run would fail or mislead.
        found: what is there.
        advice: how to mend it; empty if there is nothing to mend.
    """

    subject: str
    status: Status
    found: str
    advice: str = ""


@dataclass(frozen=True)
class Ground:
    """What the checks work on: the settings, and the clock of this machine (naive UTC)."""

    settings: Settings
    clock: Callable[[], datetime]


def clock_finding(subject: str, theirs: datetime, ours: datetime) -> Finding:
    """Compare a server's clock with this machine's; both are naive UTC."""
    apart = (theirs - ours).total_seconds()
    if abs(apart) <= CLOCK_SECONDS:
        return Finding(subject, OK, f"{abs(apart):.0f} s apart from this machine's")
    side = "ahead of" if apart > 0 else "behind"
    return Finding(
        subject,
        WRONG,
        f"{abs(apart):,.0f} s {side} this machine's",
        "Let both machines follow the same time servers (timedatectl, chrony); until then 'latest', freshness and the "
        "times in the ledger may mislead.",
    )
