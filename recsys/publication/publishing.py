"""Publishing: stage, audit, go live, tidy up."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from recsys import canaries, erasures, ledger
from recsys.artifacts import ArtifactStore
from recsys.assets import read_sql
from recsys.disguise import real_names
from recsys.errors import AuditError, ConflictError, ErasedMeanwhileError, NotFoundError
from recsys.homes import Home
from recsys.publication.audit import Audit, audit, failed, reject
from recsys.publication.documents import to_json
from recsys.publication.live_files import export_live
from recsys.publication.parts import Stored
from recsys.publication.pruning import prune
from recsys.publication.records import (
    LIVE,
    MAIN,
    SUPERSEDED,
    WITHDRAWN,
    NewPublication,
    Pointer,
    PublicationRecord,
    find_publication,
    read_pointer,
)
from recsys.publication.staging import hash_lists, open_lists, stage
from recsys.publication.statements import run
from recsys.settings import Settings
from recsys.warehouse import Warehouse, retried


def publish(
    warehouse: Warehouse, settings: Settings, publication: NewPublication, *, now: datetime
) -> PublicationRecord:
    """Bring the lists of a publication live, if they pass the audit.

    A publication that is live already is a skip; what a killed attempt staged is replaced; one that was live
    once and is still stored goes live again without being copied. The files of :func:`export_live` follow.

    Args:
        warehouse: an open, migrated warehouse.
        settings: items shown, the share of customers that must be covered, publications kept.
        publication: the lists and where they come from.
        now: naive UTC.

    Returns:
        The live publication; ``is_skipped`` if it was live before.

    Raises:
        SettingsError: if there is no such placement.
        ContractError: if a file lacks columns or holds values of the wrong kind.
        AuditError: if the version is not the placement's champion, the publication was rolled back and its
            version not approved since, or the audit failed (all failures listed).
        ConflictError: if something else went live meanwhile.
    """
    settings.placement(publication.placement)
    is_skipped = _is_live(warehouse, publication)
    with _room_for_rows(settings) as path:
        if not is_skipped:
            try:
                # A repeated attempt takes over what the one before has staged.
                retried(lambda: _bring_live(warehouse, settings, publication, path, now=now))
            except ConflictError:
                # An overlapping attempt of the same task may have finished the work; anything else is an error.
                is_skipped = _is_live(warehouse, publication)
                if not is_skipped:
                    raise
        # After a skip as well: the attempt that went live may have been killed before it came to this. What others have
        # staged since stays then: unlike after a move of the pointer, it can still go live.
        retried(lambda: prune(warehouse, settings, publication.placement, now=now, and_staged=not is_skipped))
        export_live(warehouse, settings, audited={} if is_skipped else {publication.publication_id: path})
    return replace(_found(warehouse, publication.publication_id), is_skipped=is_skipped)


def prepare(
    warehouse: Warehouse,
    settings: Settings,
    publication: NewPublication,
    *,
    now: datetime,
    kind: str = MAIN,
    path: Path | None = None,
) -> tuple[str, Audit]:
    """Stage and audit a publication: everything up to going live.

    Args:
        warehouse: an open, migrated warehouse.
        settings: items shown, the share of customers that must be covered.
        publication: the lists.
        now: naive UTC.
        kind: main, canary or archive.
        path: where the stored rows, as the audit reads them back, are kept for the caller: Parquet.

    Returns:
        The fencing token of this attempt, and the audit that it passed.

    Raises:
        ContractError: if a file lacks columns or holds values of the wrong kind.
        AuditError: listing all failures.
        ConflictError: if another attempt took the publication over, or its id is that of another kind.
        ErasedMeanwhileError: if a customer was erased while it was staged; nothing of it is stored.
    """
    if path is None:
        with _room_for_rows(settings) as own:
            return prepare(warehouse, settings, publication, now=now, kind=kind, path=own)
    attempt = uuid.uuid4().hex
    watch = erasures.Watch.of(Home.of(settings))
    with open_lists(settings, publication, lambda: real_names(settings, warehouse)) as bench:
        counted = hash_lists(bench)
        is_stored, stored = _claim(warehouse, publication, attempt, kind), Stored()
        if not is_stored:
            items = settings.publication.items
            stored = stage(
                warehouse, bench, publication, counted, attempt=attempt, items_shown=items, kind=kind, now=now
            )
        found = audit(warehouse, settings, bench, publication, counted, path=path, stored=stored)
    # Rows that are stored now are found by an erasure that begins from here on.
    is_late = watch.is_late
    if not is_stored and (found.failures or is_late):
        reject(warehouse, publication, found, attempt=attempt, now=now)
    if is_late:
        raise ErasedMeanwhileError(erasures.LATE)
    if found.failures:
        raise failed(publication, found)
    return attempt, found


def go_live(
    warehouse: Warehouse,
    publication: NewPublication,
    found: Audit,
    *,
    attempt: str,
    expected: Pointer,
    now: datetime,
) -> None:
    """Move the pointer to a prepared publication, in one transaction.

    Args:
        warehouse: an open warehouse.
        publication: which was prepared.
        found: its audit.
        attempt: the fencing token of the attempt that prepared it.
        expected: the pointer as it was before the preparation.
        now: naive UTC.

    Raises:
        AuditError: if its version is no longer the champion, or was not approved since a rollback.
        ConflictError: if the pointer has moved, or another attempt took the publication over.
    """
    names = {"placement": publication.placement, "publication_id": publication.publication_id, "now": now}
    before = {"expected": expected.publication_id, "fence": expected.fence}
    with warehouse.transaction() as connection:
        champion = _require_approval(warehouse, publication, connection)
        if run(connection, "move_pointer", **names, **before) != 1:
            raise ConflictError(_moved(publication, expected))
        run(connection, "end_live", **names, status=SUPERSEDED)
        raised = run(
            connection,
            "raise_publication",
            publication_id=publication.publication_id,
            expected=expected.publication_id,
            attempt=attempt,
            decision_id=champion.decision_id,
            audit=to_json(found.document),
            now=now,
        )
        if raised != 1:
            raise ConflictError(
                f"Another attempt took the publication {publication.publication_id} over while this one "
                "audited it. What is live did not change; run the publication again."
            )
        run(connection, "drop_other_ranges", placement=publication.placement)
        run(connection, "record_move", **names, **before, cause="published")
        # A version that is live for everybody is on trial no more.
        version = (publication.model_name, publication.model_version)
        canaries.end_canary(
            connection,
            publication.placement,
            version,
            move=canaries.PROMOTED,
            decision_id=champion.decision_id,
            now=now,
        )


@contextmanager
def _room_for_rows(settings: Settings) -> Iterator[Path]:
    """Give the path of a file for the rows that an audit reads back; it goes with the block, unless it was moved."""
    # A draft that is never adopted: what a killed process left goes with the next one.
    with ArtifactStore.of(settings).draft("tmp") as folder:
        yield folder / "stored.parquet"


def _is_live(warehouse: Warehouse, publication: NewPublication) -> bool:
    return read_pointer(warehouse, publication.placement).publication_id == publication.publication_id


def _bring_live(
    warehouse: Warehouse, settings: Settings, publication: NewPublication, path: Path, *, now: datetime
) -> None:
    # Read first: whatever moves the pointer from here on makes this attempt fail.
    expected = read_pointer(warehouse, publication.placement)
    _require_approval(warehouse, publication)
    attempt, found = prepare(warehouse, settings, publication, now=now, path=path)
    go_live(warehouse, publication, found, attempt=attempt, expected=expected, now=now)


def _claim(warehouse: Warehouse, publication: NewPublication, attempt: str, kind: str) -> bool:
    """Take over an earlier publication that is still stored; return whether there is one."""
    record = find_publication(warehouse, publication.publication_id)
    if record is not None and record.kind != kind:
        raise ConflictError(
            f"The publication id {publication.publication_id} is that of a publication of the kind {record.kind!r}, so "
            f"it can't be one of the kind {kind!r} too. Choose another id."
        )
    if record is None or record.status not in (SUPERSEDED, WITHDRAWN, LIVE):
        return False
    if record.status == LIVE:
        raise ConflictError(
            f"The publication {publication.publication_id} went live while this attempt began. "
            "Run the publication again: it is a skip."
        )
    with warehouse.transaction() as connection:
        chosen = {"publication_id": record.publication_id, "kind": kind, "attempt": attempt}
        return run(connection, "claim_publication", **chosen) == 1


def _require_approval(
    warehouse: Warehouse, publication: NewPublication, connection: Connection | None = None
) -> ledger.Champion:
    """Refuse a version that nobody approved, or that another one has replaced; and what was rolled back."""
    champion = ledger.champion(warehouse, publication.placement, connection=connection)
    version = f"version {publication.model_version} of {publication.model_name}"
    if champion is None:
        raise AuditError(
            f"{version} can't go live on {publication.placement}: no version has been approved there. Approve it first."
        )
    if (champion.model_name, champion.model_version) != (publication.model_name, publication.model_version):
        raise AuditError(
            f"{version} can't go live on {publication.placement}: the approved one is version "
            f"{champion.model_version} of {champion.model_name} (decision {champion.decision_id}). "
            "Approve the new one, or make lists with the approved one."
        )
    _refuse_withdrawn(warehouse, publication, connection)
    return champion


def _refuse_withdrawn(warehouse: Warehouse, publication: NewPublication, connection: Connection | None) -> None:
    """Refuse lists that a rollback took away, until a newer approval of their version brings them back."""
    # Not the record's status: an archived publication still is one that was rolled back.
    query, withdrawn = read_sql("publication", "last_move_away.sql"), []
    for name, publication_id in (
        ("it", publication.publication_id),
        (f"its base {publication.base}", publication.base),
    ):
        names = {"placement": publication.placement, "publication_id": publication_id}
        moves = warehouse.query(query, names, connection=connection)
        withdrawn += [(move["moved_at"], name) for move in moves if move["cause"] == ledger.ROLLED_BACK]
    if not withdrawn:
        return
    moment, name = max(withdrawn)
    history = ledger.list_decisions(warehouse, publication.placement, connection=connection)
    about = ledger.decisions_about(history, (publication.model_name, publication.model_version))
    if not any(entry.verdict == ledger.APPROVED and entry.decided_at > moment for entry in about):
        raise AuditError(
            f"The publication {publication.publication_id} can't go live on {publication.placement} again: {name} "
            f"was rolled back at {moment:%Y-%m-%d %H:%M} UTC, and its version {publication.model_version} of "
            f"{publication.model_name} was not approved since. What is live stays live. To bring it back: recsys "
            f"approve {publication.model_name} {publication.model_version} --reason WHY; lists from newer data "
            "need no approval."
        )


def _moved(publication: NewPublication, expected: Pointer) -> str:
    before = expected.publication_id or "nothing"
    return (
        f"The publication {publication.publication_id} did not go live: when it was prepared {before} was "
        f"live on {publication.placement}, and that has changed since. Look at it (recsys publications), "
        "then publish again."
    )


def _found(warehouse: Warehouse, publication_id: str) -> PublicationRecord:
    record = find_publication(warehouse, publication_id)
    if record is None:
        raise NotFoundError(f"There is no publication {publication_id}; recsys publications lists them.")
    return record
