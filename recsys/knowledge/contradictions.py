"""Rules that undo each other: where each of two products replaces the other, both would be hidden."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from recsys import columns as c
from recsys.knowledge.rules import REPLACES, Period

Row = dict[str, Any]
Side = tuple[str | None, ...]
LEFT: Final = (c.ITEM_ID, c.BRAND, c.CATEGORY)
RIGHT: Final = (c.OTHER_ITEM_ID, c.OTHER_BRAND, c.OTHER_CATEGORY)
_LEAP_YEAR: Final = [datetime(2024, 1, 1) + timedelta(days=n) for n in range(366)]


def contradictions(rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Yield the places, the later one first, of every two rules that replace each other's side at the same time.

    Args:
        rows: of ``shop.item_rules``.
    """
    seen: dict[tuple[Side, Side], list[int]] = {}
    for place, row in enumerate(rows):
        if row[c.KIND] != REPLACES:
            continue
        left, right = (tuple(row[name] for name in side) for side in (LEFT, RIGHT))
        for other in seen.get((right, left), ()):
            if _meet(row, rows[other]):
                yield place, other
        seen.setdefault((left, right), []).append(place)


def _meet(row: Row, other: Row) -> bool:
    """Tell whether two rules ever count in the same placement at the same time."""
    places = {one[c.PLACEMENT] for one in (row, other)}
    starts = max(one[c.STARTS_AT] or datetime.min for one in (row, other))
    ends = min(one[c.ENDS_AT] or datetime.max for one in (row, other))
    periods = [Period(None, None, one[c.SEASON_FROM], one[c.SEASON_TO]) for one in (row, other)]
    return (
        (None in places or len(places) == 1)
        and starts < ends
        and any(all(period.holds(day) for period in periods) for day in _LEAP_YEAR)
    )
