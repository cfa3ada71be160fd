"""Publications that make only the lists of customers of whom something is new, over a base with those of all.

The base is the newest whole publication: what is live, or what that is built on itself. It serves as one for
``whole_every_days`` days, as long as the same state would be made of its snapshot: by the same version, rows and code.
"""

import logging
from pathlib import Path
from typing import Any

from recsys import ledger, publication
from recsys.artifacts import ArtifactStore, fingerprint, open_artifact
from recsys.assets import code_hash
from recsys.errors import NotFoundError
from recsys.publication import PublicationRecord
from recsys.scoring.recipe import Recipe
from recsys.scoring.refreshing import Refreshed, write_changed, write_refreshed
from recsys.scoring.state import FittedState, state_name
from recsys.settings import Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import Warehouse, open_warehouse

KIND = "plans"
CHANGED_FILE = "changed.parquet"
LOG = logging.getLogger(__name__)


def find_base(
    warehouse: Warehouse, settings: Settings, source: Snapshot, placement: str, version: ledger.Version
) -> PublicationRecord | None:
    """Return the publication that one of a snapshot may be built on; None if all lists are to be made.

    While a version is on trial, all are: what customers with and without it see must be as fresh.
    """
    if settings.whole_every_days == 1:
        return None
    base = publication.live_publication(warehouse, placement)
    if base is not None and base.base_publication_id is not None:
        base = publication.find_publication(warehouse, base.base_publication_id)
    why = "nothing is live" if base is None else _unfit(warehouse, settings, source, base, version)
    if why:
        _tell_whole(placement, why)
        return None
    return base


def _unfit(
    warehouse: Warehouse, settings: Settings, source: Snapshot, base: PublicationRecord, version: ledger.Version
) -> str:
    """Return why a publication can't be a base; empty if it can."""
    name, days = base.publication_id, (source.as_of.date() - base.as_of.date()).days
    if (base.model_name, base.model_version) != version:
        return f"{name} is of another version"
    if base.as_of >= source.as_of:
        return f"{name} is as new"
    if days >= settings.whole_every_days:
        return f"{name} is {days} days older (RECSYS_WHOLE_EVERY_DAYS)"
    if publication.running_canary(warehouse, base.placement) is not None:
        return "a version is on trial"
    return ""


def refresh_over(
    settings: Settings, source: Snapshot, recipe: Recipe, state: str, base: PublicationRecord, name: str
) -> str | None:
    """Choose the customers whose lists are made over a base; None if all are to be made.

    Args:
        settings: of this machine.
        source: the snapshot.
        recipe: the version's.
        state: URI of the state that was fitted to the snapshot.
        base: of :func:`find_base`.
        name: of what this makes: another one for another snapshot, base, version or number of rows shown.

    Returns:
        The URI of what :meth:`Refreshed.open` opens.
    """
    applied = recipe.apply(settings)
    before, why = _snapshot_of(base, source)
    made_of = (state_name(applied, base.snapshot_id, recipe.state_key), applied.publication.items)
    if made_of != (base.state_id, base.items_shown):
        why = f"{base.publication_id} was made by other code or settings"
    if before is None or why:
        _tell_whole(recipe.placement, why)
        return None

    store = ArtifactStore.of(settings)
    changed = _changed(settings, store, source, before)

    def build(folder: Path) -> dict[str, Any]:
        rows = folder / "base.parquet"
        with open_warehouse(settings, purpose=f"read the lists of {base.publication_id}") as warehouse:
            found = publication.base_rows(warehouse, settings, base.publication_id, rows)
        fitted = FittedState(open_artifact(state))
        facts = write_refreshed(applied, source, before, fitted, changed, found, folder)
        rows.unlink(missing_ok=True)
        return facts

    made = store.make(KIND, f"refreshed-{name}", build)
    refreshed = Refreshed.open(made.uri)
    if refreshed.why_not:
        _tell_whole(recipe.placement, refreshed.why_not)
        return None
    LOG.info("%s: %d lists are made over those of %s.", recipe.placement, refreshed.count, base.publication_id)
    return made.uri


def _changed(settings: Settings, store: ArtifactStore, source: Snapshot, before: Snapshot) -> Path:
    """Return the file of ``write_changed``, which placements with the same base share."""

    def build(folder: Path) -> dict[str, Any]:
        return {"customers": write_changed(settings, source, before, folder / CHANGED_FILE)}

    name = fingerprint(source.snapshot_id, before.snapshot_id, code_hash())
    return store.make(KIND, f"changed-{name}", build).path / CHANGED_FILE


def _snapshot_of(base: PublicationRecord, source: Snapshot) -> tuple[Snapshot | None, str]:
    """Return the snapshot that a base was made of, or None and why it can't be compared with the new one."""
    try:
        before = Snapshot.open(f"{source.uri.rpartition('/')[0]}/{base.snapshot_id}")
    except NotFoundError:
        return None, f"the snapshot {base.snapshot_id} of {base.publication_id} is gone"
    if before.is_pseudonymised != source.is_pseudonymised:
        return None, "pseudonyms were turned on or off"
    return before, ""


def _tell_whole(placement: str, why: str) -> None:
    LOG.info("%s: the lists of all customers are made, since %s.", placement, why)
