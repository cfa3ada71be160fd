"""What monitoring says: measurements, and the batch of them that one look at the shop gives."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

Status = Literal["ok", "warn", "breach"]
OK: Final = "ok"
WARN: Final = "warn"
BREACH: Final = "breach"
MODEL_AGE: Final = "model_age_days"
FEATURE_DRIFT: Final = "feature_drift"
SCORE_DRIFT: Final = "score_drift"
REALISED_NDCG: Final = "realised_ndcg"
RANKED: Final[tuple[Status, ...]] = (OK, WARN, BREACH)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One figure and what to make of it.

    Attributes:
        name: what was measured; its unit is the end of the name (``_hours``, ``_share``), none for a ratio.
        value: the figure, None where nothing could be measured.
        limit: what it was judged by, None where it is only shown.
        status: ok, warn or breach.
        message: a sentence for a person; for a breach it says what to do.
        placement: None for what concerns the whole shop.
        part: an event type, a column, a feature or a publication; None for the whole.
        details: further JSON-able figures.
    """

    name: str
    value: float | None
    message: str
    limit: float | None = None
    status: Status = OK
    placement: str | None = None
    part: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name with placement and part, as a person reads it."""
        return " ".join(filter(None, (self.placement, self.name, self.part)))


@dataclass(frozen=True)
class Stamped:
    """A measurement as it is kept: with when (naive UTC) and by which run it was made."""

    measured_at: datetime
    run_id: str
    measurement: Measurement

    def as_json(self) -> dict[str, Any]:
        """Return the record as a JSON-able dict."""
        one = self.measurement
        return {
            "measured_at": self.measured_at.isoformat(),
            "run_id": self.run_id,
            "name": one.name,
            "placement": one.placement,
            "part": one.part,
            "value": one.value,
            "limit": one.limit,
            "status": one.status,
            "message": one.message,
            "details": dict(one.details),
        }

    def as_row(self) -> dict[str, Any]:
        """Return the record as a row of ``recsys.measurements``."""
        one, row = self.measurement, self.as_json()
        value = row["value"]
        return {
            "measurement_id": " | ".join(
                (row["measured_at"], self.run_id, one.placement or "", one.name, one.part or "")
            ),
            **{name: row[name] for name in ("run_id", "name", "placement", "part", "status", "message")},
            "measured_at": self.measured_at,
            "value": value if value is not None and math.isfinite(value) else None,
            "threshold": row["limit"],
            "details": json.dumps(row["details"], sort_keys=True),
        }

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> "Stamped":
        """Read a row of ``recsys.measurements``."""
        return cls(
            row["measured_at"],
            row["run_id"],
            Measurement(
                name=row["name"],
                value=row["value"],
                limit=row["threshold"],
                status=row["status"],
                message=row["message"],
                placement=row["placement"],
                part=row["part"],
                details=json.loads(row["details"]),
            ),
        )


def at_most(value: float, *, warn: float | None = None, breach: float | None) -> Status:
    """Judge a figure that should not be higher than its limits; without a limit it is ok."""
    if breach is not None and value > breach:
        return BREACH
    return WARN if warn is not None and value > warn else OK


def breaches_of(records: list[Stamped]) -> list[Stamped]:
    """Return the records that are breaches."""
    return [one for one in records if one.measurement.status == BREACH]
