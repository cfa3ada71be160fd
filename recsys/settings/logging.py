"""Settings of the log lines."""

from typing import Literal

from pydantic import Field

from recsys.settings.section import Section


class LoggingSettings(Section):
    """How the command line, and stages that run in an environment of their own, write their log lines (to stderr)."""

    format: Literal["text", "json"] = Field("text", description="json: one object a line, with the ids as fields")
    level: Literal["debug", "info", "warning", "error"] | None = Field(
        None, description="the lowest that is written; by default info as JSON, warning as text"
    )

    @property
    def lowest(self) -> str:
        """The level that holds, in the spelling of :mod:`logging`."""
        return (self.level or ("info" if self.format == "json" else "warning")).upper()
