"""Settings of how a snapshot is taken from the warehouse."""

from pydantic import Field

from recsys.settings.section import Section


class SnapshotSettings(Section):
    """What is read of the events, the largest table by far; the snapshot is the same either way."""

    incremental: bool | None = Field(
        None,
        description="read only events that are new or changed since the snapshot before; if absent, only from a "
        "server: of the embedded file all are read sooner than compared",
    )
    late_days: int = Field(
        3,
        ge=0,
        description="last days before the snapshot before that are read anew without a look at whether they changed",
    )
