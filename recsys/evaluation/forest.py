"""Where intervals stand on one common axis: a forest plot that HTML draws by itself, at any width."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MARGIN = 0.06  # of the span, on both sides


@dataclass(frozen=True)
class Axis:
    """An axis from ``low`` to ``high`` that holds zero."""

    low: float
    high: float

    @classmethod
    def around(cls, found: Iterable[Mapping[str, Any] | None]) -> "Axis":
        """Return the axis that holds zero and all intervals (those without bounds: their difference)."""
        ends = [0.0]
        for one in found:
            if one is not None:
                ends += [one["difference"], *(one[name] for name in ("low", "high") if one[name] is not None)]
        span = max(ends) - min(ends) or 1.0
        return cls(min(ends) - MARGIN * span, max(ends) + MARGIN * span)

    def place(self, value: float) -> float:
        """Return where a value stands, in percent of the width."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)

    def mark(self, found: Mapping[str, Any] | None) -> dict[str, float] | None:
        """Return what is drawn of an interval: ``zero``, ``left``, ``width`` and ``middle``, in percent."""
        if found is None or found["low"] is None:
            return None
        left = self.place(found["low"])
        return {
            "zero": self.place(0.0),
            "left": left,
            "width": round(self.place(found["high"]) - left, 2),
            "middle": self.place(found["difference"]),
        }
