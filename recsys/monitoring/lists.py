"""What customers get: how old it is, how many have a list of their own, and how many fall back to a default one."""

from datetime import datetime, timedelta
from typing import Any

from recsys import columns as c
from recsys.assets import read_sql
from recsys.ledger import Champion
from recsys.monitoring.records import BREACH, OK, WARN, Measurement, Status, at_most
from recsys.publication import PublicationRecord
from recsys.settings import Settings
from recsys.warehouse import Warehouse

AGE = "publication_age_hours"
UNPUBLISHED = "unpublished_hours"
COVERAGE = "coverage_share"
FALLBACK = "fallback_share"
HOUR = timedelta(hours=1)
_AGAIN = "Run the DAG of publication and read its failed task, or recsys run; recsys publications says what failed."


def nothing_live(settings: Settings, placement: str, champion: Champion | None, now: datetime) -> list[Measurement]:
    """Say that a placement has no lists: a breach if one was approved long enough ago."""
    limit = settings.monitoring.max_unpublished_hours
    if champion is None:
        message = "Nothing is live, and no version was approved: train one (recsys run, or the DAG of training)."
        return [Measurement(name=AGE, placement=placement, value=None, status=WARN, message=message)]
    waited = (now - champion.decided_at) / HOUR
    status: Status = BREACH if waited > limit else WARN
    message = f"Nothing is live, though version {champion.model_version} was approved {waited:,.1f} hours ago. {_AGAIN}"
    return [
        Measurement(name=UNPUBLISHED, placement=placement, value=waited, limit=limit, status=status, message=message)
    ]


def ages(settings: Settings, live: PublicationRecord, newest: datetime, now: datetime) -> list[Measurement]:
    """Measure how long lists have been live, and how long newer events have gone unpublished.

    A shop without new events has nothing to publish, so only the second is judged by default: the hours since the
    lists went live, or by which the data has moved on since, whichever is less.
    """
    limits, since = settings.monitoring, live.live_at or live.created_at
    age = max((now - since) / HOUR, 0.0)
    behind = min(age, max((newest - live.as_of) / HOUR, 0.0))
    is_old = at_most(age, breach=limits.max_publication_age_hours)
    is_behind = at_most(behind, breach=limits.max_unpublished_hours)
    details = {c.PUBLICATION_ID: live.publication_id, c.AS_OF: live.as_of.isoformat()}
    return [
        Measurement(
            name=AGE,
            placement=live.placement,
            value=age,
            limit=limits.max_publication_age_hours,
            status=is_old,
            message=f"{live.publication_id} has been live for {age:,.1f} hours." + _told(is_old, _AGAIN),
            details=details,
        ),
        Measurement(
            name=UNPUBLISHED,
            placement=live.placement,
            value=behind,
            limit=limits.max_unpublished_hours,
            status=is_behind,
            message=f"Lists are as of {live.as_of:%Y-%m-%d %H:%M}, the newest event of {newest:%Y-%m-%d %H:%M} UTC: "
            f"{behind:,.1f} hours without what is new." + _told(is_behind, _AGAIN),
            details=details,
        ),
    ]


def reach(warehouse: Warehouse, settings: Settings, placement: str, newest: datetime) -> list[Measurement]:
    """Measure who has a list: of all customers with a history, and of those who were active lately."""
    limits = settings.monitoring
    names = {"placement": placement, "as_of": newest, "active_since": newest - timedelta(days=limits.active_days)}
    counts: dict[str, Any] = warehouse.query(read_sql("monitoring", "customers.sql"), names)[0]
    return [_coverage(settings, placement, counts), _fallback(settings, placement, counts)]


def _coverage(settings: Settings, placement: str, counts: dict[str, Any]) -> Measurement:
    customers, served, limit = counts["customers"], counts["served"], settings.monitoring.min_coverage
    share = served / customers if customers else None
    status: Status = BREACH if share is not None and share < limit else OK
    do = f"Below {limit:.0%} is a breach. Publish again; if that doesn't help, see which customers lack candidates."
    return Measurement(
        name=COVERAGE,
        placement=placement,
        value=share,
        limit=limit,
        status=status,
        message=f"{served:,} of {customers:,} customers with a history have a list." + _told(status, do),
        details=dict(counts),
    )


def _fallback(settings: Settings, placement: str, counts: dict[str, Any]) -> Measurement:
    active, limit, days = counts["active"], settings.monitoring.max_fallback, settings.monitoring.active_days
    without = active - counts["active_served"]
    share = without / active if active else None
    status: Status = OK if share is None else at_most(share, warn=limit / 2, breach=limit)
    do = f"More than {limit:.0%} is a breach. Publish from newer data: these customers came after the lists were made."
    return Measurement(
        name=FALLBACK,
        placement=placement,
        value=share,
        limit=limit,
        status=status,
        message=f"{without:,} of {active:,} customers active in the last {days} days get default lists only."
        + _told(status, do),
        details=dict(counts),
    )


def _told(status: Status, do: str) -> str:
    return f" {do}" if status == BREACH else ""
