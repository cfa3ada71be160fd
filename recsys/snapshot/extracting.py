"""Extracts what a snapshot is made of. Of the events only what is new or changed since the extraction before is read.

The events of the newest extraction are kept below ``extracts/``, each with a hash that the warehouse made of it.
Another one reads what is newer than those, and the last days before (``snapshot.late_days``) once more, for what comes
late. Then it lets the warehouse count its events and sum their hashes by day, and compares with what it holds; days
that differ (rows came later still, were corrected or are gone) are read anew, until none does. So it ends with the
rows that a full extraction would give, or with a full extraction: for the first time, where too many days differ, and
while they change faster than they are read. Days are those from which on a snapshot has an event, so an event that is
recorded late is new when it is recorded, however long ago it occurred.

The other tables are small beside the events, and read whole.
"""

import logging
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import duckdb

from recsys import columns as c
from recsys.assets import read_sql
from recsys.compute import ROWS_PER_GROUP, engine, write_batches
from recsys.contracts import JUDGED
from recsys.disguise import disguise
from recsys.do_not_process import leave_out
from recsys.settings import Settings
from recsys.snapshot.base import Base, find_base, forget_bases, identity_of, keep_base, salt_of
from recsys.snapshot.opening import TABLES
from recsys.warehouse import Warehouse

LOG = logging.getLogger(__name__)
VISIBLE_AT: Final = "visible_at"
VISIBLE_DAY: Final = "visible_day"
ROW_HASH: Final = "row_hash"
OWN_COLUMNS: Final = (VISIBLE_AT, VISIBLE_DAY, ROW_HASH)
"""Columns of extracted events that are no part of what the contracts judge."""
_DISTINCT: Final = (c.EVENT_ID, c.BASKET_ID, c.OCCURRED_AT, c.KNOWN_AT, VISIBLE_AT, ROW_HASH)
MOST_DAYS: Final = 200
"""Days that are read one by one; where more differ, all are read."""
ROUNDS: Final = 3
_EVERYTHING: Final = datetime(1, 1, 1)

Mode = Literal["full", "incremental"]
Days = dict[int, tuple[int, str]]
"""Of each day the number of its rows and the sum of their hashes."""


@dataclass(frozen=True)
class Extraction:
    """How the events were extracted.

    Attributes:
        mode: whether all of them were read.
        why: in words.
        rows_read: rows of events that the warehouse handed over, also those that were read more than once.
        names: the id of each pseudonym in what was read, where customers are disguised.
    """

    mode: Mode
    why: str
    rows_read: int
    names: dict[str, str] = field(default_factory=dict, repr=False)


def extract(
    settings: Settings, warehouse: Warehouse, raw: Path, *, moment: datetime, latest_allowed: datetime
) -> Extraction:
    """Write what a snapshot as of a moment is made of to Parquet files, one a table.

    Whoever must not be processed is left out, and customers stand by their pseudonyms where the settings say so.

    Args:
        settings: where earlier extractions are.
        warehouse: open; everything is read from it.
        raw: an empty folder for the files, below home.
        moment: as of which.
        latest_allowed: events later than this are extracted too, for quarantine.
    """
    for table in (*TABLES, *JUDGED):
        with warehouse.read_arrow(read_sql("snapshot", f"extract_{table}.sql"), {"as_of": moment}) as reader:
            write_batches(reader, raw / f"{table}.parquet")
    users, events = raw / f"{c.USERS}.parquet", raw / f"{c.EVENTS}.parquet"
    others = (users, raw / f"{c.CAMPAIGNS}.parquet", raw / f"{c.REDEMPTIONS}.parquet")
    names = disguise(settings, *others) if settings.privacy.pseudonymise else {}
    reading = _Reading(settings, warehouse, raw, moment, latest_allowed, salt_of(settings), names)
    if _is_incremental(settings, warehouse):
        identity = identity_of(warehouse, reading.salt, read_sql("snapshot", "hashed_events.sql"))
        base = find_base(settings, identity, raw)
        done = _extract_events(reading, base, events)
        leave_out(settings, warehouse, *others, events)
        keep_base(settings, identity, events, moment, base)
    else:
        forget_bases(settings)
        reading.whole().replace(events)
        done = reading.told("full", "nothing is compared with what was read before")
        leave_out(settings, warehouse, *others, events)
    LOG.info("%s extraction of the events (%s): %d rows read.", done.mode.capitalize(), done.why, done.rows_read)
    return done


def _is_incremental(settings: Settings, warehouse: Warehouse) -> bool:
    """Tell whether to read only what changed: by default from a server, whose rows come over a network."""
    wanted = settings.snapshot.incremental
    return warehouse.dialect != "duckdb" if wanted is None else wanted


@dataclass
class _Reading:
    """Reads events from the warehouse into files, and counts them."""

    settings: Settings
    warehouse: Warehouse
    raw: Path
    moment: datetime
    latest_allowed: datetime
    salt: str = field(repr=False)
    names: dict[str, str] = field(repr=False)
    rows: int = 0
    files: int = 0

    def whole(self) -> Path:
        """Read all events, without hashes."""
        sql = read_sql("snapshot", "extract_events.sql")
        return self._written(sql, {"as_of": self.moment, "latest_allowed": self.latest_allowed})

    def since(self, since: datetime) -> Path:
        """Read the events that a snapshot has from a moment on, and those that no clock allows."""
        asked = {"since": since, "latest_allowed": self.latest_allowed}
        return self._written(_with_hashes("recent_events.sql"), self._asked() | asked)

    def of_days(self, days: list[int]) -> Path:
        """Read the events of days."""
        listed = f",{','.join(map(str, days))},"
        return self._written(_with_hashes("events_of_days.sql"), self._asked() | {"days": listed})

    def days(self) -> Days:
        """Let the warehouse count what it has."""
        rows = self.warehouse.query(_with_hashes("event_days.sql"), self._asked())
        return {int(row[VISIBLE_DAY]): (int(row["row_count"]), str(row["row_hashes"])) for row in rows}

    def told(self, mode: Mode, why: str) -> Extraction:
        """Return what was done."""
        return Extraction(mode, why, self.rows, self.names)

    def _asked(self) -> dict[str, object]:
        return {"as_of": self.moment, "salt": self.salt}

    def _written(self, sql: str, asked: dict[str, object]) -> Path:
        self.files += 1
        path = self.raw / f"read-{self.files}.parquet"
        with self.warehouse.read_arrow(sql, asked) as reader:
            self.rows += write_batches(reader, path, distinct=_DISTINCT)
        if self.settings.privacy.pseudonymise:
            self.names |= disguise(self.settings, path)
        return path


@dataclass(frozen=True)
class _Part:
    """The rows of a file that are held, as a condition."""

    path: Path
    condition: str = "true"

    def without(self, days: list[int]) -> "_Part":
        listed = ", ".join(map(str, days))
        return replace(
            self, condition=f"{self.condition} and ({VISIBLE_DAY} is null or {VISIBLE_DAY} not in ({listed}))"
        )


def _extract_events(reading: _Reading, base: Base | None, target: Path) -> Extraction:
    """Write the events to a file, with hashes; read no more than is new where there is something to go on from."""
    why = "there is no earlier one to go on from"
    if base is not None:
        with engine(reading.settings) as bench:
            parts, why = _brought_up(bench, reading, base)
            if parts:
                held = bench.sql(_union("*", parts)).to_arrow_reader(ROWS_PER_GROUP)
                write_batches(held, target, distinct=_DISTINCT)
                return reading.told("incremental", why)
    reading.since(_EVERYTHING).replace(target)
    return reading.told("full", why)


def _brought_up(bench: duckdb.DuckDBPyConnection, reading: _Reading, base: Base) -> tuple[list[_Part], str]:
    """Return the parts that together are what the warehouse has; none if they can't be had, and why."""
    start = min(base.as_of, reading.moment) - timedelta(days=reading.settings.snapshot.late_days)
    since = start.replace(hour=0, minute=0, second=0, microsecond=0)
    parts = [_Part(base.path, _known(reading, since)), _Part(reading.since(since))]
    changed: set[int] = set()
    for _ in range(ROUNDS):
        there, held = reading.days(), _days_of(bench, parts)
        differing = sorted(day for day in there.keys() | held.keys() if there.get(day) != held.get(day))
        if not differing:
            return parts, f"since {since:%Y-%m-%d}, and {len(changed)} earlier days that had changed"
        if len(differing) > MOST_DAYS:
            return [], f"{len(differing)} days differ from the one as of {base.as_of:%Y-%m-%d %H:%M}"
        changed.update(differing)
        parts = [*(part.without(differing) for part in parts), _Part(reading.of_days(differing))]
    return [], "the events change faster than they are read"


def _known(reading: _Reading, since: datetime) -> str:
    """Return which rows of an earlier extraction can be used.

    With pseudonyms, no rows of customers whom the shop does not list: if a contract rejects those, their ids are to
    stand in the quarantine, and nothing here tells them.
    """
    condition = f"{VISIBLE_DAY} is not null and {VISIBLE_AT} < timestamp '{since.isoformat()}'"
    if not reading.settings.privacy.pseudonymise:
        return condition
    users = str(reading.raw / f"{c.USERS}.parquet").replace("'", "''")
    return f"{condition} and ({c.USER_ID} is null or {c.USER_ID} in (select {c.USER_ID} from read_parquet('{users}')))"


def _days_of(bench: duckdb.DuckDBPyConnection, parts: list[_Part]) -> Days:
    sums = f"count(*), cast(sum({ROW_HASH}) as varchar)"
    held = _union(f"{VISIBLE_DAY}, {ROW_HASH}", parts)
    rows = bench.execute(
        f"select {VISIBLE_DAY}, {sums} from ({held}) as held where {VISIBLE_DAY} is not null group by {VISIBLE_DAY}"
    ).fetchall()
    return {int(day): (int(count), str(hashes)) for day, count, hashes in rows}


def _union(columns: str, parts: list[_Part]) -> str:
    quoted = {part: str(part.path).replace("'", "''") for part in parts}
    return " union all by name ".join(
        f"(select {columns} from read_parquet('{quoted[part]}') where {part.condition})" for part in parts
    )


def _with_hashes(name: str) -> str:
    events = read_sql("snapshot", "hashed_events.sql").strip()
    return read_sql("snapshot", name).replace("{events}", events)
