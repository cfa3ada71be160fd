"""The one report of a check: all failures, for a person and as JSON.

It names no customer: an example is told by the id of its event, product or promotion, a customer not at all. Who it is
stands in the quarantine.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from recsys.columns import SHOP
from recsys.contracts.rules import STOP, Rule
from recsys.settings import Severity

_ORDER: Final[tuple[Severity, ...]] = ("stop", "quarantine", "warn")


@dataclass(frozen=True)
class Failure:
    """A rule that is broken.

    Attributes:
        rule: which.
        count: the rows that break it; None where it is about the whole table.
        detail: what was measured and what is allowed; empty for rules about rows.
        examples: some of the rows.
    """

    rule: Rule
    count: int | None = None
    detail: str = ""
    examples: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """What a person reads."""
        rule = self.rule
        where = f"{SHOP}.{rule.table}" + (f".{rule.column}" if rule.column else "")
        count = "" if self.count is None else f" ({self.count:,} rows)"
        detail = f": {self.detail}" if self.detail else ""
        examples = f" For example {'; '.join(self.examples)}." if self.examples else ""
        return f"  {rule.severity:<10} {rule.id}: {where}: {rule.says}{count}{detail}.{examples} {rule.do}"

    def as_json(self) -> dict[str, Any]:
        """Return what is kept."""
        rule = {name: value for name, value in asdict(self.rule).items() if name not in ("broken", "crowd")}
        return {**rule, "count": self.count, "detail": self.detail, "examples": list(self.examples)}


@dataclass(frozen=True)
class Report:
    """What a check of all tables found.

    Attributes:
        as_of: the moment of the snapshot that was checked.
        taken_at: when, by the caller's clock.
        newest: when the newest event occurred that is not rejected, None without any.
        base: the id of the last good snapshot, which new rows were compared with; None if there is none.
        rows: the rows looked at, by table.
        rejected: the rows that go to quarantine, by what the rule says.
        failures: every rule that is broken, the gravest first.
    """

    as_of: datetime
    taken_at: datetime
    newest: datetime | None
    base: str | None
    rows: dict[str, int]
    rejected: dict[str, int]
    failures: tuple[Failure, ...]

    @property
    def is_stopped(self) -> bool:
        """Whether no snapshot may be made of this."""
        return any(failure.rule.severity == STOP for failure in self.failures)

    @property
    def text(self) -> str:
        """All of it, for a person."""
        looked = ", ".join(f"{count:,} {table}" for table, count in self.rows.items())
        against = f"compared with {self.base}" if self.base else "with no earlier snapshot to compare with"
        head = f"Contracts as of {self.as_of}: {looked}; {against}. "
        if not self.failures:
            return head + "Nothing is wrong."
        counts = Counter(failure.rule.severity for failure in self.failures)
        told = ", ".join(f"{counts[severity]} {severity}" for severity in _ORDER if counts[severity])
        return "\n".join([f"{head}Broken rules: {told}.", *(failure.line for failure in self.failures)])

    def as_json(self) -> dict[str, Any]:
        """Return what is kept beside the snapshot."""
        return {
            "as_of": self.as_of.isoformat(),
            "taken_at": self.taken_at.isoformat(),
            "first_taken_at": self.taken_at.isoformat(),
            "newest": self.newest.isoformat() if self.newest else None,
            "base": self.base,
            "is_stopped": self.is_stopped,
            "rows": self.rows,
            "rejected": self.rejected,
            "failures": [failure.as_json() for failure in self.failures],
        }


def gravest_first(failures: list[Failure]) -> tuple[Failure, ...]:
    """Return failures by severity, within one in the order of the rules."""
    return tuple(sorted(failures, key=lambda failure: _ORDER.index(failure.rule.severity)))
