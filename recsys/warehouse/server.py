"""How connections to a PostgreSQL server are made."""

import re
from typing import Final

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL

# What the URL says itself is left as it is. Names are libpq's: the drivers of both rooms, psycopg and ADBC, know them.
_DEFAULTS: Final = {
    "connect_timeout": "10",
    # A connection that a firewall has forgotten is noticed after a minute and a half, not after two hours.
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "15",
    "keepalives_count": "4",
}
_LONGEST_NAME: Final = 63


def server_url(url: URL, *, purpose: str, statement_seconds: float) -> URL:
    """Return a server's URL with what every connection is to have, unless it says otherwise itself.

    Args:
        url: as the settings have it.
        purpose: what the warehouse is opened for; the server's lists of activity show it.
        statement_seconds: after which the server ends a statement; 0: never.
    """
    wanted = {
        **_DEFAULTS,
        "application_name": "recsys-" + re.sub(r"[^A-Za-z0-9]+", "-", purpose)[: _LONGEST_NAME - len("recsys-")],
        # Just-in-time compilation costs half a second where the planner takes few rows for many; it gains nothing here.
        "options": f"-cstatement_timeout={int(statement_seconds * 1000)} -cjit=off",
    }
    return url.set(drivername="postgresql+psycopg").update_query_dict(
        {name: value for name, value in wanted.items() if name not in url.query}
    )


def server_engine(url: URL) -> Engine:
    """Return an engine that tries a connection before it hands it out: one that was cut meanwhile is replaced."""
    return create_engine(url, pool_pre_ping=True)
