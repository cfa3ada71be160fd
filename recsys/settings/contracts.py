"""Settings of the contracts: how severe each rule is, and from where on many rows together are implausible."""

from typing import Literal

from pydantic import Field

from recsys.settings.section import Section

Severity = Literal["off", "warn", "quarantine", "stop"]


class ContractSettings(Section):
    """What canonical rows are measured by; the rules stand in ``sql/contracts/rules.toml``.

    What compares new events with the last good snapshot judges none below ``min_rows``.
    """

    severities: dict[str, Severity] = Field(
        default_factory=dict, description="severity of a rule by its id, other than sql/contracts/rules.toml says"
    )
    examples: int = Field(3, ge=0, le=20, description="examples of each failure in the report")
    max_user_events_a_day: int = Field(
        5000, ge=10, description="events of one customer on one day above which the day's are quarantined"
    )
    period_days: int = Field(28, ge=1, description="days of a period in which repeated events are counted")
    max_period_events: int = Field(
        1000, ge=10, description="events of one customer in a period above which all of theirs may be quarantined"
    )
    flood_factor: float = Field(
        20.0, ge=1, description="times what all but a twentieth of the customers have in a period, which they may have"
    )
    max_repeats: int = Field(
        40, ge=2, description="events of a type that a customer may have with one product in a period, at least"
    )
    repeat_factor: float = Field(
        8.0, ge=1, description="times what all but a thousandth of the customers have, which they may have at least"
    )
    pushed_customers: int = Field(3, ge=2, description="customers who have to push a product together, at least")
    pushed_repeats: int = Field(5, ge=2, description="events with it of each of them in a period, at least")
    pushed_share: float = Field(
        0.2, gt=0, le=1, description="share of all that each of them did in the period, at least"
    )
    max_doubled_share: float = Field(
        0.3, gt=0, le=1, description="share of a day's rows that may stand there before under other ids"
    )
    min_day_rows: int = Field(100, ge=1, description="rows of a day below which it isn't judged for doubled rows")
    min_rows: int = Field(200, ge=1, description="rows on either side below which nothing is compared")
    recent_days: int = Field(
        28, ge=1, description="last days of the last good snapshot that new events are compared with"
    )
    min_kept_share: float = Field(
        0.8, ge=0, le=1, description="share of the last good snapshot's rows that must still be there"
    )
    max_rejected_share: float = Field(0.5, ge=0, le=1, description="share of new events that may be unusable")
    max_missing_growth: float = Field(
        0.3, ge=0, le=1, description="growth of a column's share of missing values among new events"
    )
    max_median_ratio: float = Field(8.0, gt=1, description="times which the median of amounts may grow or shrink")
    max_day_ratio: float = Field(4.0, gt=1, description="times which the events a day may grow or shrink")
    max_mix_change: float = Field(0.4, ge=0, le=1, description="change of an event type's share of the events")
    min_hour_match: float = Field(
        0.8, ge=0, le=1, description="correlation of the hours of new events with those before that is no shift"
    )
    min_hour_gain: float = Field(
        0.2, ge=0, le=2, description="correlation that a shift by hours must gain, to be told as one"
    )
    max_delay_hours: float | None = Field(
        168.0, gt=0, description="hours that the newest event may be older than it was; no limit if absent"
    )
