"""What a publication is: as a caller hands it in, and as the warehouse holds it."""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from recsys.assets import read_sql
from recsys.errors import SettingsError
from recsys.warehouse import Warehouse

STAGED: Final = "staged"
LIVE: Final = "live"
SUPERSEDED: Final = "superseded"
WITHDRAWN: Final = "withdrawn"
FAILED: Final = "failed"
ARCHIVED: Final = "archived"
STORED: Final = (LIVE, SUPERSEDED, WITHDRAWN)
"""Of publications whose lists are there, and that customers saw or see."""

MAIN: Final = "main"
CANARY: Final = "canary"
ARCHIVE: Final = "archive"

DEFAULT_BUCKET: Final = -1
"""The bucket of default lists, below those of customers."""

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True)
class NewPublication:
    """Lists that are to go live.

    Attributes:
        publication_id: the same for the same state and placement: a repeated stage finds its own work.
        placement: where the lists are shown.
        as_of: the moment (naive UTC) up to which the lists know the shop.
        model_name: the registered model; its version must be the placement's champion.
        model_version: its version.
        state_id: what was fitted from the snapshot by the version's recipe.
        run_id: the run that made the lists.
        snapshot_id: the snapshot they were made from.
        code_commit: the Git commit of the code, or "unknown".
        lists: Parquet files with subject_id (text), bucket (int16), rank (int16, from 1), item_id (text),
            score (double), source (text), reason (text), propensity (double, null unless drawn). Default lists,
            with subject_id ``*`` and ``segment:<name>``, are among them, with bucket -1.
            With a base, the lists that differ from it: those of all subjects that have none there, or another one.
        expected_customers: how many customers should have a list.
        known_items: a Parquet file with item_id (text) and recommendable (bool).
        base: the publication whose lists count for subjects of whom this one has none: one of the same version on the
            same placement that has no base itself. None: ``lists`` are those of all customers.
    """

    publication_id: str
    placement: str
    as_of: datetime
    model_name: str
    model_version: str
    state_id: str
    run_id: str
    snapshot_id: str
    code_commit: str
    lists: tuple[Path, ...]
    expected_customers: int
    known_items: Path
    base: str | None = None

    def __post_init__(self) -> None:
        """Refuse an id that could not be a folder's name.

        Raises:
            SettingsError: naming the id.
        """
        if not _SAFE_NAME.fullmatch(self.publication_id):
            raise SettingsError(
                f"The publication id {self.publication_id!r} can't be used, since it names a folder: "
                "use letters, digits, '.', '_' and '-'."
            )


@dataclass(frozen=True)
class PublicationRecord:
    """A publication as the warehouse holds it.

    ``kind`` is main, canary (shown to a share of the customers, or none) or archive (never live). For customers of whom
    it carries no list those of ``base_publication_id`` count: ``user_count`` and ``row_count`` are of all lists that
    count, ``own_row_count`` of those that it carries. ``decision_id`` is what allowed it to be shown. ``is_skipped``
    says that it was live already and nothing was done. ``audit`` has the counts, the share of expected customers with a
    list, lists that are shorter than what is shown, and what failed.
    """

    publication_id: str
    placement: str
    as_of: datetime
    model_name: str
    model_version: str
    state_id: str
    run_id: str
    snapshot_id: str
    code_commit: str
    status: str
    user_count: int
    row_count: int
    checksum: str
    created_at: datetime
    live_at: datetime | None
    ended_at: datetime | None
    items_shown: int
    attempt: str
    previous_publication_id: str | None
    kind: str
    decision_id: str | None
    base_publication_id: str | None
    own_row_count: int
    audit: dict[str, Any] = field(default_factory=dict)
    is_skipped: bool = False


@dataclass(frozen=True)
class Pointer:
    """What is live on a placement, and how often that changed: the fence of a compare-and-set."""

    placement: str
    publication_id: str | None
    fence: int


def list_publications(
    warehouse: Warehouse, placement: str | None = None, *, connection: Connection | None = None
) -> list[PublicationRecord]:
    """Return the publications of one placement or of all, newest first."""
    return _read(warehouse, placement, None, connection)


def find_publication(
    warehouse: Warehouse, publication_id: str, *, connection: Connection | None = None
) -> PublicationRecord | None:
    """Return one publication, or None."""
    found = _read(warehouse, None, publication_id, connection)
    return found[0] if found else None


def live_publication(
    warehouse: Warehouse, placement: str, *, connection: Connection | None = None
) -> PublicationRecord | None:
    """Return what the pointer of a placement names, or None while nothing is live."""
    pointer = read_pointer(warehouse, placement, connection=connection)
    if pointer.publication_id is None:
        return None
    return find_publication(warehouse, pointer.publication_id, connection=connection)


def read_pointer(warehouse: Warehouse, placement: str, *, connection: Connection | None = None) -> Pointer:
    """Return the pointer of a placement; publication None and fence 0 while nothing was ever live."""
    rows = warehouse.query(read_sql("publication", "pointer.sql"), {"placement": placement}, connection=connection)
    return Pointer(**rows[0]) if rows else Pointer(placement, None, 0)


def rollback_target(records: list[PublicationRecord], live_id: str | None) -> PublicationRecord | None:
    """Return what a rollback of one placement would bring back, or None.

    That is what was live before, or, where that was itself withdrawn, what was live before that one.
    """
    by_id = {record.publication_id: record for record in records}
    seen = {live_id}
    current = by_id.get(live_id or "")
    while current is not None and current.previous_publication_id not in seen:
        seen.add(current.previous_publication_id)
        current = by_id.get(current.previous_publication_id or "")
        if current is not None and current.status == SUPERSEDED:
            return current
    return None


def _read(
    warehouse: Warehouse, placement: str | None, publication_id: str | None, connection: Connection | None
) -> list[PublicationRecord]:
    rows = warehouse.query(
        read_sql("publication", "publications.sql"),
        {"placement": placement, "publication_id": publication_id},
        connection=connection,
    )
    return [PublicationRecord(**{**row, "audit": json.loads(row["audit"] or "{}")}) for row in rows]
