"""Canary and shadow: a version on trial for a share of the customers, or for nobody.

Its lists are staged and audited like any others. They are shown to the customers in its share; all others, and the
default lists, stay with the placement's own publication, which goes on being published. Each move is one transaction
that compares and sets, with its decision in the ledger. A rejection of the version, or a rollback of the placement,
ends the canary as well (:func:`recsys.ledger.add_decision`), so nothing is shown that is not approved.
"""

from dataclasses import asdict, replace
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from recsys import ledger
from recsys.errors import AuditError, ConflictError, NotFoundError
from recsys.publication.audit import Audit
from recsys.publication.canary_records import (
    RUNNING,
    Canary,
    highest_hash,
    list_canaries,
    require_running,
    running_canary,
)
from recsys.publication.canary_steps import (
    canary_ruling,
    check_share_and_reason,
    move_canary,
    record_canary_move,
    require_one,
)
from recsys.publication.documents import to_json
from recsys.publication.live_files import export_live
from recsys.publication.pruning import prune
from recsys.publication.publishing import prepare
from recsys.publication.records import CANARY, LIVE, STAGED, NewPublication, read_pointer
from recsys.publication.statements import run
from recsys.settings import Settings
from recsys.warehouse import Warehouse


def start_canary(
    warehouse: Warehouse,
    settings: Settings,
    publication: NewPublication,
    *,
    share: float,
    decided_by: str,
    channel: str,
    reason: str,
    now: datetime,
) -> Canary:
    """Show the lists of a version to a share of the customers; to nobody with a share of 0.

    The same version with the same share, while its canary runs, is not started twice.

    Args:
        warehouse: an open, migrated warehouse.
        settings: as for :func:`recsys.publication.publish`.
        publication: its lists.
        share: of all customers, 0 to 1.
        decided_by: who wants it.
        channel: policy, airflow, mlflow or cli.
        reason: why, for the ledger.
        now: naive UTC.

    Raises:
        SettingsError: if the share, the placement, the reason or the name can't be used.
        NotFoundError: if nothing is live beside which it could be tried.
        ContractError: if a file lacks columns or holds values of the wrong kind.
        AuditError: if the version is the champion, or the audit failed.
        ConflictError: if another canary runs, or something was decided meanwhile.
    """
    settings.placement(publication.placement)
    check_share_and_reason(share, reason)
    version = (publication.model_name, publication.model_version)
    before = running_canary(warehouse, publication.placement)
    if before is None or not _is_same(before, version, share):
        require_place(warehouse, publication.placement, version)
        attempt, found = prepare(warehouse, settings, publication, now=now, kind=CANARY)
        with warehouse.transaction() as connection:
            number = ledger.next_number(connection)
            require_place(warehouse, publication.placement, version, connection=connection)
            ruling = canary_ruling(publication.placement, version, share, decided_by, channel, reason)
            decision_id = ledger.add_decision(warehouse, connection, ruling, now=now, number=number)
            begun = _begin(warehouse, connection, publication, share, now=now)
            _raise(connection, publication, found, begun, attempt=attempt, decision_id=decision_id, now=now)
            record_canary_move(connection, begun, "started", decision_id=decision_id, now=now)
    export_live(warehouse, settings)
    return require_running(warehouse, publication.placement)


def refresh_canary(
    warehouse: Warehouse,
    settings: Settings,
    publication: NewPublication,
    *,
    now: datetime,
    canary_id: str | None = None,
) -> Canary:
    """Show newer lists of the version that is on trial, to the same customers.

    Args:
        warehouse: an open, migrated warehouse.
        settings: as for :func:`recsys.publication.publish`.
        publication: the lists; a skip if they are shown already.
        now: naive UTC.
        canary_id: which canary is meant; whichever runs if None.

    Raises:
        NotFoundError: if no canary runs, or another one.
        ContractError: if a file lacks columns or holds values of the wrong kind.
        AuditError: if it is of another version, or the audit failed.
        ConflictError: if the canary was moved or ended meanwhile.
    """
    placement = publication.placement
    before = require_running(warehouse, placement, canary_id=canary_id)
    if (before.model_name, before.model_version) != (publication.model_name, publication.model_version):
        raise AuditError(
            f"Version {publication.model_version} of {publication.model_name} is not on trial on {placement}: the "
            f"canary {before.canary_id} is of version {before.model_version} of {before.model_name}."
        )
    if before.publication_id != publication.publication_id:
        attempt, found = prepare(warehouse, settings, publication, now=now, kind=CANARY)
        with warehouse.transaction() as connection:
            decision_id = _allowing(warehouse, connection, before)
            moved = move_canary(connection, replace(before, publication_id=publication.publication_id))
            run(connection, "replace_canary_lists", publication_id=before.publication_id, now=now)
            _raise(connection, publication, found, moved, attempt=attempt, decision_id=decision_id, now=now)
            record_canary_move(connection, moved, "refreshed", decision_id=None, now=now)
        prune(warehouse, settings, placement, now=now)
    export_live(warehouse, settings)
    return require_running(warehouse, placement)


def _is_same(canary: Canary, version: ledger.Version, share: float) -> bool:
    return (canary.model_name, canary.model_version) == version and canary.share == share


def require_place(
    warehouse: Warehouse, placement: str, version: ledger.Version, *, connection: Connection | None = None
) -> None:
    """Refuse a canary of the champion, beside another one, or beside nothing.

    Args:
        warehouse: an open, migrated warehouse.
        placement: where.
        version: what is to be tried.
        connection: a transaction to read in.

    Raises:
        ConflictError: if a canary runs there.
        NotFoundError: if nothing is live there.
        AuditError: if the version is the champion.
    """
    running = running_canary(warehouse, placement, connection=connection)
    if running is not None:
        raise ConflictError(
            f"The canary {running.canary_id} runs on {placement} already, of version {running.model_version} of "
            f"{running.model_name} for {running.share:.2%} of the customers. Widen it or end it first."
        )
    champion = ledger.champion(warehouse, placement, connection=connection)
    if champion is None or read_pointer(warehouse, placement, connection=connection).publication_id is None:
        raise NotFoundError(
            f"Nothing is live on {placement}, so there is nothing to try a version beside. Approve one and publish it."
        )
    if (champion.model_name, champion.model_version) == version:
        raise AuditError(
            f"Version {champion.model_version} of {champion.model_name} is the champion of {placement} (decision "
            f"{champion.decision_id}); a canary is for another version."
        )


def _begin(
    warehouse: Warehouse, connection: Connection, publication: NewPublication, share: float, *, now: datetime
) -> Canary:
    placement = publication.placement
    numbers = [canary.canary_number for canary in list_canaries(warehouse, placement, connection=connection)]
    number = max(numbers, default=0) + 1
    canary_id = f"{placement}-canary-{number:04d}"
    begun = Canary(
        placement=placement,
        canary_number=number,
        canary_id=canary_id,
        model_name=publication.model_name,
        model_version=publication.model_version,
        publication_id=publication.publication_id,
        salt=canary_id,
        share=share,
        highest_hash=highest_hash(share),
        status=RUNNING,
        fence=1,
        started_at=now,
        ended_at=None,
    )
    try:
        run(connection, "add_canary", **asdict(begun))
    except IntegrityError as error:
        raise ConflictError(
            f"Another canary was started on {placement} at this moment. Look at it: recsys canary status"
        ) from error
    return begun


def _raise(
    connection: Connection,
    publication: NewPublication,
    found: Audit,
    canary: Canary,
    *,
    attempt: str,
    decision_id: str,
    now: datetime,
) -> None:
    raised = run(
        connection,
        "raise_canary",
        publication_id=publication.publication_id,
        attempt=attempt,
        status=STAGED if canary.is_shadow else LIVE,
        decision_id=decision_id,
        audit=to_json(found.document),
        now=now,
    )
    require_one(raised, canary)


def _allowing(warehouse: Warehouse, connection: Connection, canary: Canary) -> str:
    """Return the newest decision that allows a canary."""
    history = ledger.list_decisions(warehouse, canary.placement, connection=connection)
    about = ledger.decisions_about(history, (canary.model_name, canary.model_version))
    return next(entry.decision_id for entry in reversed(about) if entry.verdict == ledger.CANARY)
