"""What came from the shop: how fresh it is, how much of it there is, and how much of it is usable."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from statistics import median

from recsys.assets import read_sql
from recsys.compute import engine
from recsys.monitoring.records import BREACH, OK, WARN, Measurement, Stamped, Status, at_most
from recsys.settings import Settings
from recsys.snapshot import Snapshot

AGE = "data_age_hours"
DELAY = "data_delay_hours"
VOLUME = "event_volume"
REJECTED = "rejected_share"
MISSING = "missing_share"
USUAL = 28  # earlier looks that say what age is usual


def freshness(settings: Settings, snapshot: Snapshot, now: datetime, before: list[Stamped]) -> list[Measurement]:
    """Measure the age of the newest event, and how much older it is than it used to be.

    Args:
        settings: have the limits.
        snapshot: the newest.
        now: naive UTC.
        before: earlier measurements of the age.
    """
    limits = settings.monitoring
    newest = snapshot.as_of
    age = (now - newest) / timedelta(hours=1)
    do = "Look at the export or the load that brings events (recsys load), and at the shop's own clock."
    is_old = at_most(age, breach=limits.max_data_age_hours)
    found = [
        Measurement(
            name=AGE,
            value=age,
            limit=limits.max_data_age_hours,
            status=is_old,
            message=f"The newest event is of {newest:%Y-%m-%d %H:%M} UTC, {age:,.1f} hours ago."
            + _advice(is_old, do, limits.max_data_age_hours, "hours"),
            details={"newest": newest.isoformat()},
        )
    ]
    earlier = [one.measurement.value for one in before[-USUAL:] if one.measurement.value is not None]
    if earlier:
        delay = age - median(earlier)
        is_late = at_most(delay, breach=limits.max_delay_hours)
        found.append(
            Measurement(
                name=DELAY,
                value=delay,
                limit=limits.max_delay_hours,
                status=is_late,
                message=f"That is {delay:+,.1f} hours against the usual age of {median(earlier):,.1f} hours."
                + _advice(is_late, do, limits.max_delay_hours, "hours"),
                details={"usual": median(earlier), "looks": len(earlier)},
            )
        )
    return found


def volume(settings: Settings, snapshot: Snapshot) -> list[Measurement]:
    """Compare the events a day of the newest days with those of the days before, by event type."""
    limits = settings.monitoring
    recent_from = snapshot.as_of - timedelta(days=limits.recent_days)
    baseline_from = max(recent_from - timedelta(days=limits.baseline_days), snapshot.first_event)
    baseline_days = (recent_from - baseline_from) / timedelta(days=1)
    if baseline_days < limits.recent_days:
        return []
    with engine(settings) as connection:
        snapshot.attach(connection)
        rows = connection.execute(
            read_sql("monitoring", "volume.sql"),
            {"as_of": snapshot.as_of, "recent_from": recent_from, "baseline_from": baseline_from},
        ).fetchall()
    return [
        _volume(settings, kind, recent / limits.recent_days, earlier, baseline_days) for kind, recent, earlier in rows
    ]


def _volume(settings: Settings, kind: str, recent: float, earlier: int, baseline_days: float) -> Measurement:
    limits = settings.monitoring
    usual = earlier / baseline_days
    details = {"recent_a_day": recent, "usual_a_day": usual, "earlier": earlier}
    told = f"{recent:,.1f} events {kind} a day in the last {limits.recent_days} days, {usual:,.1f} before."
    if earlier < limits.min_events:
        few = f" Not judged: fewer than {limits.min_events} before (RECSYS_MONITORING__MIN_EVENTS)."
        value = recent / usual if usual else None
        return Measurement(name=VOLUME, part=kind, value=value, message=told + few, details=details)
    ratio = recent / usual
    if ratio < limits.min_volume:
        status: Status = BREACH
        limit = limits.min_volume
        told += (
            f" That is below {limit:g} of the usual: look whether the load brought all days and all shops; "
            "load what is missing (recsys load), or set RECSYS_MONITORING__MIN_VOLUME lower if the shop is quieter."
        )
    elif ratio > limits.max_volume:
        status, limit = BREACH, limits.max_volume
        told += (
            f" That is above {limit:g} times the usual: look for rows loaded twice or a bot; if the shop really is "
            "busier, set RECSYS_MONITORING__MAX_VOLUME higher."
        )
    else:
        status, limit = OK, limits.min_volume
    return Measurement(name=VOLUME, part=kind, value=ratio, limit=limit, status=status, message=told, details=details)


def rejected(settings: Settings, part: str, rejected_rows: int, kept_rows: int) -> Measurement:
    """Measure the share of rows that a load or a snapshot put into quarantine."""
    limit = settings.monitoring.max_rejected
    rows = rejected_rows + kept_rows
    share = rejected_rows / rows if rows else 0.0
    status = at_most(share, breach=limit)
    do = "Look at the reasons: select source_table, rule, count(*) from shop.quarantine group by 1, 2; mend the source."
    return Measurement(
        name=REJECTED,
        part=part,
        value=share,
        limit=limit,
        status=status,
        message=f"{rejected_rows:,} of {rows:,} rows of the last {part} were put into quarantine."
        + _advice(status, do, limit, "of the rows"),
        details={"rejected": rejected_rows, "rows": rows},
    )


def missing(settings: Settings, snapshot: Snapshot, before: list[Stamped]) -> list[Measurement]:
    """Measure what share of each column is missing, against the snapshot that was looked at before this one.

    Args:
        settings: have the limit.
        snapshot: the newest.
        before: earlier measurements of the same.
    """
    with engine(settings) as connection:
        snapshot.attach(connection)
        rows = connection.execute(read_sql("monitoring", "missing.sql")).fetchall()
    found = []
    for table, column, all_rows, count in rows:
        part = f"{table}.{column}"
        share = count / all_rows if all_rows else 0.0
        found.append(_missing(settings, part, share, _former(before, part, snapshot.snapshot_id), snapshot.snapshot_id))
    return found


def _missing(settings: Settings, part: str, share: float, former: float | None, snapshot_id: str) -> Measurement:
    limit = settings.monitoring.max_null_growth
    status: Status = OK if former is None else at_most(share - former, breach=limit, warn=limit / 2)
    told = f"{share:.1%} of {part} are missing" + ("." if former is None else f", {former:.1%} in the snapshot before.")
    if status in (WARN, BREACH):
        told += " Look at the source's staging SQL and at what the shop delivers for it."
    return Measurement(
        name=MISSING,
        part=part,
        value=share,
        limit=None if former is None else former + limit,
        status=status,
        message=told,
        details={"before": former, "snapshot_id": snapshot_id},
    )


def _former(before: Iterable[Stamped], part: str, snapshot_id: str) -> float | None:
    """Return the newest share that another snapshot had: a second look at the same one must find the same."""
    shares = [
        one.measurement.value
        for one in before
        if one.measurement.part == part and one.measurement.details.get("snapshot_id") != snapshot_id
    ]
    return shares[-1] if shares else None


def _advice(status: Status, do: str, limit: float | None, unit: str) -> str:
    return f" More than {limit:g} {unit} is a breach. {do}" if status == BREACH else ""
