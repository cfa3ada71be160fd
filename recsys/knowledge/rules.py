"""Rules of a snapshot, and which of them hold at a moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import duckdb
import pyarrow as pa

from recsys import columns as c

GOES_WITH: Final = "goes_with"
REPLACES: Final = "replaces"
NEVER_TOGETHER: Final = "never_together"
BOOST: Final = "boost"
KINDS: Final = (GOES_WITH, REPLACES, NEVER_TOGETHER, BOOST)
_YEARLESS: Final = "%m-%d"


@dataclass(frozen=True)
class Period:
    """When a rule holds: from a moment to before another, and each year from a day to a day.

    Attributes:
        starts_at: the first moment, None for always.
        ends_at: the moment from which on it holds no more, None for never.
        season_from: the first day, as MM-DD; None for the whole year.
        season_to: the last day, as MM-DD; a season that ends before it begins wraps over New Year.
    """

    starts_at: datetime | None = None
    ends_at: datetime | None = None
    season_from: str | None = None
    season_to: str | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Period":
        """Take it from a row of the warehouse or of a snapshot."""
        return cls(row[c.STARTS_AT], row[c.ENDS_AT], row[c.SEASON_FROM], row[c.SEASON_TO])

    @property
    def is_seasonal(self) -> bool:
        """Whether it is a part of each year."""
        return self.season_from is not None and self.season_to is not None

    def holds(self, at: datetime) -> bool:
        """Tell whether a moment lies in it."""
        begun = self.starts_at is None or self.starts_at <= at
        return begun and (self.ends_at is None or at < self.ends_at) and self._in_season(f"{at:{_YEARLESS}}")

    def _in_season(self, day: str) -> bool:
        if self.season_from is None or self.season_to is None:
            return True
        if self.season_from <= self.season_to:
            return self.season_from <= day <= self.season_to
        return day >= self.season_from or day <= self.season_to


@dataclass(frozen=True)
class Side:
    """One side of a rule: a product, a brand, or a category with all below it. Nothing at all matches nothing."""

    item_idx: int | None = None
    brand: str | None = None
    category: str | None = None


@dataclass(frozen=True)
class Rule:
    """One rule about products.

    Attributes:
        rule_id: its name.
        kind: one of ``KINDS``.
        left: what it is about.
        right: the other side; of a boost, nothing.
        weight: above zero.
        placement: the only one where it counts, None for everywhere.
        period: when it holds.
        known_at: it is used only from after this moment on.
    """

    rule_id: str
    kind: str
    left: Side
    right: Side = Side()
    weight: float = 1.0
    placement: str | None = None
    period: Period = Period()
    known_at: datetime = datetime.min

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Rule":
        """Take it from a row of a snapshot."""
        return cls(
            rule_id=row[c.RULE_ID],
            kind=row[c.KIND],
            left=Side(row[c.ITEM_IDX], row[c.BRAND], row[c.CATEGORY]),
            right=Side(row[c.OTHER_ITEM_IDX], row[c.OTHER_BRAND], row[c.OTHER_CATEGORY]),
            weight=row[c.WEIGHT],
            placement=row[c.PLACEMENT],
            period=Period.of(row),
            known_at=row[c.KNOWN_AT],
        )

    def counts_in(self, placement: str | None) -> bool:
        """Tell whether it counts in a placement; with None, whether it counts in all of them."""
        return self.placement is None or self.placement == placement


def rules_in(table: pa.Table, at: datetime) -> list[Rule]:
    """Return the rules of a snapshot's table that were known before a moment and hold at it, in the table's order."""
    rules = (Rule.of(row) for row in table.to_pylist())
    return [rule for rule in rules if rule.known_at < at and rule.period.holds(at)]


def read_rules(connection: duckdb.DuckDBPyConnection, at: datetime) -> list[Rule]:
    """Return the rules that were known before a moment and hold at it.

    Args:
        connection: has the snapshot's view ``item_rules``.
        at: the moment.
    """
    return rules_in(connection.table(c.ITEM_RULES).to_arrow_table(), at)
