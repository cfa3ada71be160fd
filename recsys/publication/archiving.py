"""Archived publications: what would have been published on a past day, kept to be read, never live."""

from dataclasses import replace
from datetime import datetime

from recsys.errors import ConflictError
from recsys.publication.documents import to_json
from recsys.publication.publishing import prepare
from recsys.publication.records import ARCHIVE, ARCHIVED, NewPublication, PublicationRecord, find_publication
from recsys.publication.statements import run
from recsys.settings import Settings
from recsys.warehouse import Warehouse


def archive(
    warehouse: Warehouse,
    settings: Settings,
    publication: NewPublication,
    *,
    now: datetime,
    decision_id: str | None = None,
) -> PublicationRecord:
    """Stage, audit and keep the lists of a publication: no pointer moves, and the live files stay as they are.

    Its rows can be read in ``recsys.published_rows``. Pruning leaves them. The same publication again is a skip.

    Args:
        warehouse: an open, migrated warehouse.
        settings: items shown, the share of customers that must be covered.
        publication: the lists. Its version needs no approval, since nobody is shown them.
        now: naive UTC.
        decision_id: the decision by which its version was the champion then; None if there was none.

    Returns:
        The archived publication; ``is_skipped`` if it was archived before.

    Raises:
        SettingsError: if there is no such placement.
        ContractError: if a file lacks columns or holds values of the wrong kind.
        AuditError: if the audit failed (all failures listed).
        ConflictError: if the id is that of a publication of another kind, or another attempt took it over.
    """
    settings.placement(publication.placement)
    kept = _kept(warehouse, publication.publication_id)
    if kept is not None:
        return replace(kept, is_skipped=True)
    attempt, found = prepare(warehouse, settings, publication, now=now, kind=ARCHIVE)
    with warehouse.transaction() as connection:
        changed = run(
            connection,
            "keep_archive",
            publication_id=publication.publication_id,
            attempt=attempt,
            decision_id=decision_id,
            audit=to_json(found.document),
            now=now,
        )
    kept = _kept(warehouse, publication.publication_id)
    if kept is None:
        raise ConflictError(
            f"Another attempt took the publication {publication.publication_id} over while this one audited it. Run it "
            "again: it is a skip if the other attempt finished."
        )
    return replace(kept, is_skipped=changed == 0)


def _kept(warehouse: Warehouse, publication_id: str) -> PublicationRecord | None:
    record = find_publication(warehouse, publication_id)
    return record if record is not None and (record.kind, record.status) == (ARCHIVE, ARCHIVED) else None
