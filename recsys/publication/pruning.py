"""Removes what nobody returns to any more."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from recsys import ledger
from recsys.assets import read_sql
from recsys.publication.parts import drop_unused, remove_lists
from recsys.publication.records import (
    ARCHIVE,
    MAIN,
    STAGED,
    STORED,
    SUPERSEDED,
    WITHDRAWN,
    PublicationRecord,
    list_publications,
    read_pointer,
    rollback_target,
)
from recsys.publication.statements import lock_storage, run
from recsys.settings import Settings
from recsys.warehouse import Warehouse

MEASURABLE: Final = timedelta(days=28)
"""How long after its end a canary can be measured; the shop's purchases may reach the warehouse late."""


def prune(
    warehouse: Warehouse, settings: Settings, placement: str, *, now: datetime, and_staged: bool = True
) -> list[str]:
    """Archive the publications of a placement that are no longer kept: their lists go, their rows stay.

    Kept are what is live, what a rollback returns to, the newest publication of the champion before, the
    ``settings.publication.keep`` that ended last, and those that ended within ``settings.publication.keep_days``. What
    was shown in either arm while the newest canary ran is kept too, up to ``MEASURABLE`` after its end: its arms are
    measured by it. So are the bases of all of these. Publications of the kind ``archive`` are nobody's way back and
    stay. Readers go on meanwhile; on a server, a part of the rows that one of them holds is dropped the next time.

    Args:
        warehouse: an open, migrated warehouse.
        settings: what is kept.
        placement: whose publications.
        now: naive UTC.
        and_staged: remove what an attempt staged and left, too. The pointer has to have moved since it was staged, so
            that it could not go live any more.

    Returns:
        The ids of what was archived.
    """
    with warehouse.transaction() as connection:
        lock_storage(connection, placement)
        records = list_publications(warehouse, placement, connection=connection)
        kept = _kept(warehouse, connection, settings, placement, records, now)
        removable = (STAGED, SUPERSEDED, WITHDRAWN) if and_staged else (SUPERSEDED, WITHDRAWN)
        removed = {
            record.publication_id: record.base_publication_id
            for record in records
            if record.status in removable and record.kind != ARCHIVE and record.publication_id not in kept
        }
        gone = _without_bases(records, removed)
        remove_lists(warehouse, connection, placement, gone)
        for publication_id in gone:
            run(connection, "archive_publication", publication_id=publication_id, now=now)
    drop_unused(warehouse, placement)
    return list(gone)


def _without_bases(records: list[PublicationRecord], removed: dict[str, str | None]) -> dict[str, str | None]:
    """Return what is to be removed but for what a publication that stays is built on."""
    stay = [one for one in records if one.status in (STAGED, *STORED) and one.publication_id not in removed]
    needed = {one.base_publication_id for one in stay}
    return {publication_id: base for publication_id, base in removed.items() if publication_id not in needed}


def _kept(
    warehouse: Warehouse,
    connection: Connection,
    settings: Settings,
    placement: str,
    records: list[PublicationRecord],
    now: datetime,
) -> set[str]:
    ended = [record for record in records if record.status in (SUPERSEDED, WITHDRAWN) and record.kind == MAIN]
    ended.sort(key=lambda record: (record.ended_at or record.created_at, record.publication_id), reverse=True)
    oldest = now - timedelta(days=settings.publication.keep_days)
    kept = {record.publication_id for record in ended[: settings.publication.keep]}
    kept |= {record.publication_id for record in ended if (record.ended_at or record.created_at) > oldest}
    live = read_pointer(warehouse, placement, connection=connection).publication_id
    target = rollback_target(records, live)
    kept |= {live or ""} | ({target.publication_id} if target else set())
    trial = read_sql("publication", "canary_publications.sql")
    named = {"placement": placement, "ended_after": now - MEASURABLE}
    shown = warehouse.query(trial, named, connection=connection)
    kept |= {row["publication_id"] for row in shown}
    before = ledger.previous_champion(warehouse, placement, connection=connection)
    if before is not None:
        served = [
            record.publication_id
            for record in ended
            if (record.model_name, record.model_version) == (before.model_name, before.model_version)
        ]
        kept |= set(served[:1])
    return kept
