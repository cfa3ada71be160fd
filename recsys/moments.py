"""Moments in time: how a person writes ``as_of``, and the clock's place (only at entry points)."""

from datetime import UTC, date, datetime, time

from recsys.errors import SettingsError

LATEST = "latest"


def parse_moment(text: str) -> datetime | None:
    """Return the naive UTC moment that ``text`` names, or None for ``latest``.

    A date is its first instant; a time with an offset is turned into UTC.

    Raises:
        SettingsError: if it is neither ``latest``, a date nor a time.
    """
    if text.strip().lower() == LATEST:
        return None
    try:
        if len(text.strip()) == 10:
            return datetime.combine(date.fromisoformat(text.strip()), time())
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise SettingsError(
            f"as_of {text!r} is neither 'latest', a date such as 2017-12-05 nor a time such as 2017-12-05T06:00."
        ) from error
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def clock() -> datetime:
    """Return the current moment as naive UTC. Only entry points call this, once."""
    return datetime.now(UTC).replace(tzinfo=None)
