"""What a person takes away from customers' lists or gives back, at once: suppressions and consent."""

from datetime import datetime
from typing import Any

from recsys import publication
from recsys.moments import parse_moment
from recsys.pseudonyms import Pseudonyms
from recsys.settings import Settings
from recsys.warehouse import migrate, open_warehouse

Result = dict[str, Any]


def suppress(
    settings: Settings,
    *,
    by: str,
    reason: str,
    now: datetime,
    item: str | None = None,
    brand: str | None = None,
    category: str | None = None,
    placement: str | None = None,
    starts: str | None = None,
    until: str | None = None,
) -> Result:
    """Take products out of all live lists; see :func:`recsys.publication.suppress`.

    Args:
        settings: where the warehouse is.
        by: who wants it.
        reason: why.
        now: naive UTC.
        item: a product's id.
        brand: a brand.
        category: a category's path, or its beginning.
        placement: where; everywhere if absent.
        starts: a date or time; now if absent.
        until: a date or time; until it is ended if absent.
    """
    rule = publication.Rule(
        starts_at=(parse_moment(starts) if starts else None) or now,
        item_id=item or None,
        brand=brand or None,
        category=category or None,
        placement=placement or None,
        ends_at=parse_moment(until) if until else None,
    )
    with open_warehouse(settings, purpose="suppress products") as warehouse:
        migrate(warehouse)
        return _told(publication.suppress(warehouse, settings, rule, by=by, reason=reason, now=now))


def unsuppress(settings: Settings, *, suppression_id: str, by: str, reason: str, now: datetime) -> Result:
    """End a rule; see :func:`recsys.publication.unsuppress`."""
    with open_warehouse(settings, purpose="end a suppression") as warehouse:
        migrate(warehouse)
        return _told(publication.unsuppress(warehouse, settings, suppression_id, by=by, reason=reason, now=now))


def set_consent(settings: Settings, *, user_id: str, is_granted: bool, by: str, reason: str, now: datetime) -> Result:
    """Withdraw or grant a customer's consent; see :func:`recsys.publication.set_consent`.

    The customer may be named by their pseudonym; so does the result, since schedulers keep both.
    """
    with open_warehouse(settings, purpose="change a consent") as warehouse:
        migrate(warehouse)
        who = publication.resolved(warehouse.query, settings, user_id)
        done = publication.set_consent(warehouse, settings, who, is_granted=is_granted, by=by, reason=reason, now=now)
    return {
        "customer": Pseudonyms.of(settings).name(done.user_id),
        "is_granted": done.is_granted,
        "skipped": done.is_skipped,
    }


def _told(rule: publication.Suppression) -> Result:
    return {
        "suppression_id": rule.suppression_id,
        "what": rule.what,
        "placement": rule.placement,
        "starts_at": rule.starts_at.isoformat(),
        "ends_at": rule.ends_at.isoformat() if rule.ends_at else None,
        "items": rule.item_count,
    }
