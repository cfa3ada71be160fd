"""The way back as one step: the warehouse at once, MLflow as soon as it answers."""

from datetime import datetime, timedelta
from typing import Any

from recsys import columns as c
from recsys import ledger, publication
from recsys.pipeline.aliases import follow_later
from recsys.settings import Settings
from recsys.warehouse import Warehouse, migrate, open_warehouse

Result = dict[str, Any]
SKEW = timedelta(minutes=5)
"""What the clocks of two machines may differ by, and what is taken for a second click."""


def roll_back(
    settings: Settings,
    *,
    placement: str,
    decided_by: str,
    channel: str,
    reason: str,
    now: datetime,
    withdraw: str = "",
    since: datetime | None = None,
) -> Result:
    """Return a placement to its previous publication: one warehouse transaction; the alias follows.

    A caller that may call again after having been killed says what it saw live (``withdraw``) or when it began
    (``since``): what was done then is not done twice.

    Args:
        settings: where the warehouse and MLflow are.
        placement: where to return.
        decided_by: who wants it.
        channel: cli or airflow.
        reason: a sentence for the ledger.
        now: naive UTC.
        withdraw: the publication to take back; empty: the one that is live.
        since: a rollback by the same person for the same reason since five minutes before this moment is this one,
            repeated.

    Returns:
        ``placement``, ``publication_id`` (live now), ``model``, ``version``, ``as_of``, ``repeated`` (whether it
        was done before), ``moved_by_person``, and ``mlflow_later``: why MLflow doesn't say so yet, empty if it does.

    Raises:
        SettingsError: if there is no such placement, or nobody is named.
        NotFoundError: if nothing is live, or there is nothing to return to.
        RefusedError: if something else is live than was to be withdrawn.
    """
    settings.placement(placement)
    with open_warehouse(settings, purpose=f"roll back {placement}") as warehouse:
        migrate(warehouse)
        record = _done_before(warehouse, placement, (decided_by, channel, reason), withdraw, since)
        repeated = record is not None
        if record is None:
            record = publication.rollback(
                warehouse,
                settings,
                placement,
                decided_by=decided_by,
                channel=channel,
                reason=reason,
                now=now,
                withdraw=withdraw or None,
            )
        else:
            # Whoever did it may have been killed before the files followed.
            publication.export_live(warehouse, settings)
    return {
        c.PLACEMENT: placement,
        "publication_id": record.publication_id,
        "model": record.model_name,
        "version": record.model_version,
        "as_of": record.as_of.isoformat(),
        "repeated": repeated,
        **follow_later(settings, now),
    }


def _done_before(
    warehouse: Warehouse, placement: str, who: tuple[str, str, str], withdraw: str, since: datetime | None
) -> publication.PublicationRecord | None:
    """Return what is live if the newest decision of the placement is this rollback already, else None."""
    history = ledger.list_decisions(warehouse, placement)
    live = publication.live_publication(warehouse, placement)
    if live is None or not history or history[-1].verdict != ledger.ROLLED_BACK:
        return None
    last = history[-1]
    if withdraw:
        taken = publication.find_publication(warehouse, withdraw)
        is_done = taken is not None and taken.status == publication.WITHDRAWN
    else:
        same = (last.decided_by, last.channel, last.reason) == who
        is_done = same and since is not None and last.decided_at >= since - SKEW
    return live if is_done else None
