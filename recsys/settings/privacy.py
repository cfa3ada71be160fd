"""How customers are named in what people and other programs see, and how long their data is kept."""

from typing import Annotated

from pydantic import Field, field_validator

from recsys.columns import EVENT_TYPES
from recsys.settings.section import Section

Days = Annotated[int, Field(ge=1)]


class PrivacySettings(Section):
    """Pseudonyms and retention; see docs/privacy.md."""

    key: str | None = Field(
        None, min_length=16, repr=False, description="what pseudonyms are made with; RECSYS_HOME/privacy/key if absent"
    )
    pseudonymise: bool = Field(
        False, description="snapshots and all that is made of them hold pseudonyms; publishing writes the ids back"
    )
    event_days: dict[str, Days] = Field(
        default_factory=dict, description="days that events are kept, by type; for ever if absent"
    )
    quarantine_days: Days | None = Field(None, description="days that rejected rows are kept; for ever if absent")
    snapshot_days: Days | None = Field(
        None,
        description="days that snapshots and what is made of them are kept, but the newest; for ever if absent",
    )

    @field_validator("event_days")
    @classmethod
    def _known(cls, days: dict[str, int]) -> dict[str, int]:
        unknown = sorted(set(days) - set(EVENT_TYPES))
        if unknown:
            raise ValueError(f"there are no events of the type {', '.join(unknown)}; known: {', '.join(EVENT_TYPES)}")
        return days
