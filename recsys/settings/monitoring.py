"""Settings of what is watched between decisions, whom it is told, and when a scheduled training is worth it."""

from typing import Literal

from pydantic import Field, model_validator

from recsys.settings.section import Section

Channel = Literal["log", "email", "slack", "webhook"]


class MonitoringSettings(Section):
    """What the daily monitoring measures, from where on it is a breach, and who is told.

    A limit of None shows the figure without judging it.
    """

    recent_days: int = Field(7, ge=1, description="days whose events a day are compared with those before")
    baseline_days: int = Field(28, ge=1, description="days before those that they are compared with")
    min_events: int = Field(100, ge=1, description="events of a type in the days before, below which it isn't judged")
    min_volume: float = Field(0.5, ge=0, description="events a day against the days before, at least")
    max_volume: float = Field(2.0, gt=0, description="events a day against the days before, at most")
    max_data_age_hours: float | None = Field(None, gt=0, description="age of the newest event; no limit if absent")
    max_delay_hours: float | None = Field(
        None, gt=0, description="hours that the newest event may be older than usual; no limit if absent"
    )
    max_rejected: float = Field(0.02, ge=0, le=1, description="share of rows that a load or snapshot quarantines")
    max_null_growth: float = Field(0.05, ge=0, le=1, description="growth of a column's share of nulls")
    sample: int = Field(5000, ge=100, description="customers, about, whose features, scores and lists are looked at")
    min_sample: int = Field(200, ge=2, description="values on either side below which drift isn't judged")
    psi_warn: float = Field(0.1, gt=0, description="population stability index from which on drift is a warning")
    psi_breach: float = Field(0.25, gt=0, description="population stability index from which on drift is a breach")
    growing_features: tuple[str, ...] = Field(
        (
            *("user_lines", "user_baskets", "user_items", "user_days_since_first", "user_repeat_share"),
            *("item_lines", "item_buyers", "item_lines_per_buyer", "item_repeat_share", "item_interval"),
            *("item_age", "item_days_since_last"),
        ),
        description="features that grow with the length of the history: their drift is shown, not judged",
    )
    max_unpublished_hours: float = Field(48, gt=0, description="hours for which newer events may go unpublished")
    max_publication_age_hours: float | None = Field(
        None, gt=0, description="hours since lists went live, whatever the data; no limit if absent"
    )
    min_coverage: float = Field(0.8, ge=0, le=1, description="share of customers with a history who have a list")
    active_days: int = Field(28, ge=1, description="days in which a customer with an event counts as active")
    max_fallback: float = Field(0.2, ge=0, le=1, description="share of active customers who get default lists alone")
    max_realised_drop: float = Field(
        0.3, ge=0, le=1, description="part of the expected NDCG that published lists may surely miss"
    )
    notify: tuple[Channel, ...] = Field(("log",), description="where a breach or a late publication is told")
    notify_connection: str = Field(
        "recsys_notify", description="Airflow connection with the address of slack or webhook; the URL is its password"
    )
    email_to: tuple[str, ...] = Field((), description="addresses for email; the sender is the SMTP connection's")
    smtp_connection: str = Field("smtp_default", description="Airflow connection of the mail server")
    publish_within_hours: float | None = Field(
        3.0, gt=0, description="hours after its start in which a publication has to be done; no alert if absent"
    )

    @model_validator(mode="after")
    def _usable(self) -> "MonitoringSettings":
        if self.min_volume >= self.max_volume:
            raise ValueError("min_volume must lie below max_volume")
        if self.psi_warn > self.psi_breach:
            raise ValueError("psi_warn must not lie above psi_breach")
        if "email" in self.notify and not self.email_to:
            raise ValueError("notify has email: set email_to, the addresses that it goes to")
        return self


class RetrainingSettings(Section):
    """When a scheduled training is worth it; one that a person starts always is."""

    min_new_events: int = Field(1000, ge=0, description="events since the champion's snapshot, at least")
    min_new_share: float = Field(0.01, ge=0, le=1, description="their share of all events, at least; both must hold")
    max_age_days: float = Field(
        35, gt=0, description="days of the shop's data that the champion may lie behind, however few events they hold"
    )
    on_drift: bool = Field(True, description="train when the newest monitoring found a breach of drift or quality")
