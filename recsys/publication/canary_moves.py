"""What is decided about a canary that runs: a larger share, everybody, nobody."""

from dataclasses import replace
from datetime import datetime

from recsys import canaries, ledger
from recsys.errors import SettingsError
from recsys.publication.canary_records import Canary, find_canary, highest_hash, require_running
from recsys.publication.canary_steps import (
    canary_ruling,
    check_share_and_reason,
    move_canary,
    record_canary_move,
    require_one,
)
from recsys.publication.live_files import export_live
from recsys.publication.pruning import prune
from recsys.publication.records import SUPERSEDED, read_pointer
from recsys.publication.statements import run
from recsys.settings import Settings
from recsys.warehouse import Warehouse


def widen_canary(
    warehouse: Warehouse,
    settings: Settings,
    placement: str,
    *,
    share: float,
    decided_by: str,
    channel: str,
    reason: str,
    now: datetime,
    canary_id: str | None = None,
) -> Canary:
    """Show a canary to a larger share of the customers: those who see it already go on seeing it.

    Args:
        warehouse: an open, migrated warehouse.
        settings: the placements there are.
        placement: where.
        share: of all customers, 0 to 1; the same share again changes nothing.
        decided_by: who wants it.
        channel: policy, airflow, mlflow or cli.
        reason: why, for the ledger.
        now: naive UTC.
        canary_id: which canary is meant; whichever runs if None.

    Raises:
        SettingsError: if the share, the placement, the reason or the name can't be used, or the share is smaller.
        NotFoundError: if no canary runs, or another one.
        ConflictError: if the canary was moved or ended meanwhile.
    """
    settings.placement(placement)
    check_share_and_reason(share, reason)
    with warehouse.transaction() as connection:
        number = ledger.next_number(connection)
        before = require_running(warehouse, placement, canary_id=canary_id, connection=connection)
        if share < before.share:
            raise SettingsError(
                f"The canary {before.canary_id} has a share of {before.share:.2%}, and {share:.2%} is less: some who "
                "see it would not any more. End it, and start another one with the smaller share."
            )
        if share > before.share:
            version = (before.model_name, before.model_version)
            ruling = canary_ruling(placement, version, share, decided_by, channel, reason)
            decision_id = ledger.add_decision(warehouse, connection, ruling, now=now, number=number)
            moved = move_canary(connection, replace(before, share=share, highest_hash=highest_hash(share)))
            named = {"publication_id": moved.publication_id, "decision_id": decision_id, "now": now}
            require_one(run(connection, "show_canary", **named), moved)
            record_canary_move(connection, moved, "widened", decision_id=decision_id, now=now)
    export_live(warehouse, settings)
    return require_running(warehouse, placement)


def withdraw_canary(
    warehouse: Warehouse,
    settings: Settings,
    placement: str,
    *,
    decided_by: str,
    channel: str,
    reason: str,
    now: datetime,
    canary_id: str | None = None,
) -> Canary:
    """End a canary: its customers see what the others see, and its version is rejected.

    Args:
        warehouse: an open, migrated warehouse.
        settings: the placements there are.
        placement: where.
        decided_by: who wants it.
        channel: policy, airflow, mlflow or cli.
        reason: why, for the ledger.
        now: naive UTC.
        canary_id: which canary is meant; whichever runs if None.

    Returns:
        The canary as it ended.

    Raises:
        SettingsError: if there is no such placement or channel, or nobody or no reason is named.
        NotFoundError: if no canary runs, or another one.
        ConflictError: if something was decided meanwhile.
    """
    settings.placement(placement)
    check_share_and_reason(0.0, reason)
    with warehouse.transaction() as connection:
        number = ledger.next_number(connection)
        before = require_running(warehouse, placement, canary_id=canary_id, connection=connection)
        version = (before.model_name, before.model_version)
        ruling = ledger.Ruling(placement, version, ledger.REJECTED, decided_by, channel, f"canary withdrawn: {reason}")
        # The rejection ends it.
        ledger.add_decision(warehouse, connection, ruling, now=now, number=number)
    export_live(warehouse, settings)
    return find_canary(warehouse, before.canary_id)


def promote_canary(
    warehouse: Warehouse,
    settings: Settings,
    placement: str,
    *,
    decided_by: str,
    channel: str,
    reason: str,
    now: datetime,
    canary_id: str | None = None,
) -> Canary:
    """Show a canary's lists to everybody: its version is approved and live, in one transaction.

    Args:
        warehouse: an open, migrated warehouse.
        settings: the placements there are, publications kept.
        placement: where.
        decided_by: who wants it.
        channel: policy, airflow, mlflow or cli.
        reason: why, for the ledger.
        now: naive UTC.
        canary_id: which canary is meant; whichever runs if None.

    Returns:
        The canary as it ended; a rollback returns to what was live beside it.

    Raises:
        SettingsError: if there is no such placement or channel, or nobody or no reason is named.
        NotFoundError: if no canary runs, or another one.
        ConflictError: if something was decided, or went live, meanwhile.
    """
    settings.placement(placement)
    check_share_and_reason(0.0, reason)
    with warehouse.transaction() as connection:
        number = ledger.next_number(connection)
        before = require_running(warehouse, placement, canary_id=canary_id, connection=connection)
        pointer = read_pointer(warehouse, placement, connection=connection)
        version = (before.model_name, before.model_version)
        ruling = ledger.Ruling(placement, version, ledger.APPROVED, decided_by, channel, f"canary promoted: {reason}")
        decision_id = ledger.add_decision(warehouse, connection, ruling, now=now, number=number)
        names = {"placement": placement, "publication_id": before.publication_id, "now": now}
        was = {"expected": pointer.publication_id, "fence": pointer.fence}
        require_one(run(connection, "move_pointer", **names, **was), before)
        run(connection, "end_live", **names, status=SUPERSEDED)
        raised = {"publication_id": before.publication_id, "expected": pointer.publication_id, "now": now}
        require_one(run(connection, "promote_publication", **raised, decision_id=decision_id), before)
        run(connection, "drop_other_ranges", placement=placement)
        run(connection, "record_move", **names, **was, cause="published")
        ended = canaries.end_canary(
            connection, placement, version, move=canaries.PROMOTED, decision_id=decision_id, now=now
        )
        require_one(ended, before)
    prune(warehouse, settings, placement, now=now)
    export_live(warehouse, settings)
    return find_canary(warehouse, before.canary_id)
