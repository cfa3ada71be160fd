"""The events of the newest extraction, kept so that the next one reads only what is new: ``extracts/<id>``.

There is one below a home. It holds what snapshots hold: nobody who must not be processed, and pseudonyms where the
settings say so. An erasure deletes it where it holds the customer, and nothing is lost by deleting it: the next
extraction reads everything.
"""

import os
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from recsys.artifacts import Artifact, ArtifactStore, fingerprint
from recsys.pseudonyms import Pseudonyms
from recsys.settings import Settings
from recsys.warehouse import Warehouse

EXTRACTS: Final = "extracts"
EXTRACTED_EVENTS: Final = "events.parquet"


@dataclass(frozen=True)
class Base:
    """An earlier extraction to go on from.

    Attributes:
        path: its events; a link of the reader's own, which stays if another extraction replaces it meanwhile.
        as_of: its moment.
    """

    path: Path
    as_of: datetime


def salt_of(settings: Settings) -> str:
    """Return what the hashes of events are made with.

    Where customers stand by pseudonyms, a hash must not let anybody try ids who lacks the key.
    """
    return Pseudonyms.of(settings).mark("events of an extraction") if settings.privacy.pseudonymise else ""


def identity_of(warehouse: Warehouse, salt: str, sql: str) -> str:
    """Return the name of what extractions can go on from: the same warehouse, and hashes made in the same way."""
    return fingerprint(warehouse.name, salt, sql)


def find_base(settings: Settings, identity: str, folder: Path) -> Base | None:
    """Return the newest extraction of that identity, linked into a folder; None if there is none that is whole."""
    store = ArtifactStore.of(settings)
    found = [one for one in _kept(store) if one.facts["identity"] == identity]
    if not found:
        return None
    newest = max(found, key=lambda one: str(one.facts["as_of"]))
    link = folder / "base.parquet"
    try:
        os.link(newest.path / EXTRACTED_EVENTS, link)
    except FileNotFoundError:
        return None  # another extraction has just replaced it
    return Base(link, datetime.fromisoformat(newest.facts["as_of"]))


def keep_base(settings: Settings, identity: str, events: Path, moment: datetime, before: Base | None) -> None:
    """Keep extracted events for the next extraction, unless those before are of a later moment.

    Args:
        settings: where.
        identity: see :func:`identity_of`.
        events: with hashes, nobody in it who must not be; it must not be written to afterwards.
        moment: as of which.
        before: what they were made from.
    """
    if before is not None and before.as_of > moment:
        return
    store = ArtifactStore.of(settings)
    with store.draft(EXTRACTS) as draft:
        os.link(events, draft / EXTRACTED_EVENTS)
        name = f"{moment:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}"
        store.adopt(draft, EXTRACTS, name, {"as_of": moment.isoformat(), "identity": identity})
    forget_bases(settings, but=name)


def forget_bases(settings: Settings, *, but: str | None = None) -> None:
    """Delete the extractions that are kept.

    Args:
        settings: where they are.
        but: the name of one that stays.
    """
    store = ArtifactStore.of(settings)
    for name in store.names(EXTRACTS):
        if name != but:
            store.discard(EXTRACTS, name)


def _kept(store: ArtifactStore) -> list[Artifact]:
    found = (store.find(EXTRACTS, name) for name in store.names(EXTRACTS))
    return [one for one in found if one is not None]
