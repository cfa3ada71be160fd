"""The way back: what is live is withdrawn, and the publication before it is live again."""

from datetime import datetime

from recsys import ledger
from recsys.errors import ConflictError, NotFoundError, RefusedError
from recsys.publication.live_files import export_live
from recsys.publication.records import (
    WITHDRAWN,
    Pointer,
    PublicationRecord,
    find_publication,
    list_publications,
    read_pointer,
    rollback_target,
)
from recsys.publication.statements import run
from recsys.settings import Settings
from recsys.warehouse import Warehouse


def rollback(
    warehouse: Warehouse,
    settings: Settings,
    placement: str,
    *,
    decided_by: str,
    channel: str,
    reason: str,
    now: datetime,
    withdraw: str | None = None,
) -> PublicationRecord:
    """Return a placement to its previous publication, in one transaction.

    The pointer moves back, the decision is in the ledger, and the champion is the version that made the
    publication that is live again: the next scheduled publication uses it. Nothing is trained or copied.
    The files of :func:`export_live` follow.

    Args:
        warehouse: an open, migrated warehouse.
        settings: the placements there are.
        placement: where to return.
        decided_by: who wants it.
        channel: policy, airflow, mlflow or cli.
        reason: a sentence for the ledger.
        now: naive UTC.
        withdraw: the publication that is to be taken back, where the caller has seen it; None: what is live.

    Returns:
        The publication that is live now.

    Raises:
        SettingsError: if there is no such placement or channel, or nobody is named.
        NotFoundError: if nothing is live, or there is nothing to return to.
        RefusedError: if something else is live than was to be withdrawn.
        ConflictError: if something else went live meanwhile.
    """
    settings.placement(placement)
    with warehouse.transaction() as connection:
        number = ledger.next_number(connection)
        pointer = read_pointer(warehouse, placement, connection=connection)
        if withdraw is not None and pointer.publication_id != withdraw:
            raise RefusedError(
                f"{withdraw} is not live on {placement} any more, {pointer.publication_id or 'nothing'} is; nothing "
                "was rolled back. Look at it (recsys publications), then decide again."
            )
        records = list_publications(warehouse, placement, connection=connection)
        live, target = _live_and_target(placement, records, pointer)
        moved = run(
            connection,
            "move_pointer",
            placement=placement,
            publication_id=target.publication_id,
            expected=pointer.publication_id,
            fence=pointer.fence,
            now=now,
        )
        names = {"placement": placement, "publication_id": target.publication_id, "now": now}
        run(connection, "end_live", **names, status=WITHDRAWN)
        restored = run(connection, "restore_publication", publication_id=target.publication_id, now=now)
        if (moved, restored) != (1, 1):
            raise ConflictError(
                f"Something else went live on {placement} during the rollback, which did nothing. "
                "Look at it (recsys publications), then decide again."
            )
        run(connection, "drop_other_ranges", placement=placement)
        run(
            connection,
            "record_move",
            **names,
            expected=pointer.publication_id,
            fence=pointer.fence,
            cause=ledger.ROLLED_BACK,
        )
        ruling = ledger.Ruling(
            placement,
            (live.model_name, live.model_version),
            ledger.ROLLED_BACK,
            decided_by,
            channel,
            reason,
            restored=(target.model_name, target.model_version),
        )
        ledger.add_decision(warehouse, connection, ruling, now=now, number=number)
    export_live(warehouse, settings)
    return _again(warehouse, target)


def _live_and_target(
    placement: str, records: list[PublicationRecord], pointer: Pointer
) -> tuple[PublicationRecord, PublicationRecord]:
    live = next((record for record in records if record.publication_id == pointer.publication_id), None)
    if live is None:
        raise NotFoundError(f"Nothing is live on {placement}, so there is nothing to roll back. recsys run publishes.")
    target = rollback_target(records, live.publication_id)
    if target is None:
        raise NotFoundError(
            f"There is nothing to return to on {placement}: {live.publication_id}, which is live, is the "
            "first publication there, or what came before it was withdrawn."
        )
    return live, target


def _again(warehouse: Warehouse, target: PublicationRecord) -> PublicationRecord:
    record = find_publication(warehouse, target.publication_id)
    return record if record is not None else target
