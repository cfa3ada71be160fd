"""Removes what is older than the settings keep."""

from datetime import datetime, timedelta

from sqlalchemy import text

from recsys.artifacts import ArtifactStore
from recsys.assets import read_sql
from recsys.privacy.derived import DERIVED
from recsys.settings import Settings
from recsys.snapshot import EXTRACTS, KIND
from recsys.warehouse import Warehouse


def remove_old_rows(warehouse: Warehouse, settings: Settings, now: datetime) -> dict[str, int]:
    """Remove events and rejected rows that are older than they are kept, in one transaction.

    Returns:
        The number of rows removed by what they are; what lost none is left out.
    """
    removed: dict[str, int] = {}
    privacy = settings.privacy
    with warehouse.transaction() as connection:
        for kind, days in sorted(privacy.event_days.items()):
            sql, asked = read_sql("privacy", "old_events.sql"), {"kind": kind, "before": now - timedelta(days=days)}
            removed[f"events: {kind}"] = int(connection.execute(text(sql), asked).rowcount)
        if privacy.quarantine_days is not None:
            before = now - timedelta(days=privacy.quarantine_days)
            sql = read_sql("privacy", "old_quarantine.sql")
            removed["quarantine"] = int(connection.execute(text(sql), {"before": before}).rowcount)
    return {name: count for name, count in removed.items() if count}


def old_artifacts(settings: Settings, now: datetime) -> dict[str, int]:
    """Delete snapshots, and what is made of them, that were made too long ago; the newest snapshot stays.

    The events kept for the next snapshot go as well: that one reads all events then.

    Returns:
        The number of artifacts deleted by kind; kinds without any are left out.
    """
    days = settings.privacy.snapshot_days
    if days is None:
        return {}
    store = ArtifactStore.of(settings)
    removed: dict[str, int] = {}
    for kind in (KIND, EXTRACTS, *DERIVED):
        made = sorted(store.made(kind).items(), key=lambda one: one[::-1])
        kept = made[-1:] if kind == KIND else []
        old = [name for name, at in made if (name, at) not in kept and at < now.timestamp() - days * 86_400]
        for name in old:
            store.discard(kind, name)
        removed |= {kind: len(old)} if old else {}
    return removed
