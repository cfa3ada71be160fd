"""Erasing a customer, and removing what is kept no longer.

An erasure can be killed at any moment and run again: each step looks for what is still there, and what the steps before
removed stands in ``recsys.erasures``. The do-not-process list comes first, so that nothing brings the customer back
meanwhile; the customer's id stands in the erasure's row until their last file is rewritten, and nowhere after.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock

from recsys import erasures, privacy, publication, registry
from recsys.artifacts import replace_json, room_on_disk
from recsys.do_not_process import DoNotProcess, list_mark
from recsys.errors import NotFoundError, RegistryError, SettingsError
from recsys.evaluation.report import REPORT
from recsys.evaluation.sheets import list_sheets
from recsys.homes import Home
from recsys.privacy import Erasure, Subject
from recsys.pseudonyms import is_pseudonym
from recsys.settings import Settings
from recsys.warehouse import Warehouse, compact, migrate, open_warehouse

Result = dict[str, Any]
PROOFS = "erasures"  # folder below home
LONGEST_UPLOAD = timedelta(days=1)


def erase(settings: Settings, *, user: str, by: str, reason: str, now: datetime) -> Result:
    """Remove a customer from everything that is kept here, and keep them out.

    Args:
        settings: where everything is.
        user: the customer's id or, as long as the shop's tables know them, their pseudonym.
        by: who wants it.
        reason: why, such as the request's number; it is kept, so it should not name the customer.
        now: naive UTC.

    Returns:
        ``erasure_id``, ``status``, ``skipped`` (it was done before and nothing was found since) and ``proof``: what was
        removed where, and which model versions had learned from snapshots with the customer.

    Raises:
        SettingsError: if who or why is missing, or the text for why names the customer.
        NotFoundError: if nobody here has that pseudonym.
        DiskFullError: if there is no room; run it again when there is.
    """
    with room_on_disk(settings.resolved_home), _one_at_a_time(settings):
        return _erase(settings, user, by, reason, now)


def _erase(settings: Settings, user: str, by: str, reason: str, now: datetime) -> Result:
    with open_warehouse(settings, purpose="erase a customer") as warehouse:
        migrate(warehouse)
        subject, erasure = _begun(settings, warehouse, user, by, reason, now)
        before = erasure.status
        if subject is not None:
            erasures.count_erasure(Home.of(settings), erasure.erasure_id)
            erasure = _remove(settings, warehouse, subject, erasure)
    if erasure.status == privacy.REMOVED:
        erasure = _finish(settings, erasure, now)
    return {
        "erasure_id": erasure.erasure_id,
        "status": erasure.status,
        "skipped": before == privacy.DONE and erasure.finished_at != now,
        "proof": erasure.proof,
    }


def retain(settings: Settings, *, by: str, now: datetime) -> Result:
    """Remove what is older than the settings keep, end erasures that were killed, and erase who came back.

    Somebody on the do-not-process list comes back with a back-up that was restored, or with a shop's own ETL.

    Returns:
        ``rows`` and ``artifacts`` removed for their age, and ``erasures``: the ids of those that were run.
    """
    with open_warehouse(settings, purpose="remove what is kept no longer") as warehouse:
        migrate(warehouse)
        again = [one.user_id or "" for one in privacy.unfinished(warehouse) if one.status == privacy.BEGUN]
        listed = DoNotProcess.synced(settings, warehouse)
        again += listed.among(privacy.known_customers(warehouse)) if listed.marks else []
        rows = privacy.remove_old_rows(warehouse, settings, now)
    ran = [erase(settings, user=user, by=by, reason="came back", now=now) for user in dict.fromkeys(again) if user]
    with open_warehouse(settings, purpose="end erasures") as warehouse:
        left = [one for one in privacy.unfinished(warehouse) if one.status == privacy.REMOVED]
    for one in left:
        _finish(settings, one, now)
    artifacts = privacy.old_artifacts(settings, now)
    privacy.tidy_store(settings, now.replace(tzinfo=UTC) - LONGEST_UPLOAD)
    return {"rows": rows, "artifacts": artifacts, "erasures": [one["erasure_id"] for one in ran]}


@contextmanager
def _one_at_a_time(settings: Settings) -> Iterator[None]:
    """Let other erasures below the same home wait: each rewrites files that the other one has read."""
    folder = settings.resolved_home / PROOFS
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        yield


def _begun(
    settings: Settings, warehouse: Warehouse, user: str, by: str, reason: str, now: datetime
) -> tuple[Subject | None, Erasure]:
    """Return whom to erase, and the erasure to go on with; nobody if only its end is missing."""
    if not by.strip() or not reason.strip():
        raise SettingsError("An erasure needs the name of who wants it (--by) and why (--reason), for the proof.")
    user_id = publication.resolved(warehouse.query, settings, user)
    if is_pseudonym(user_id):
        return _by_pseudonym(settings, warehouse, user_id)
    if re.search(rf"(?<!\w){re.escape(user_id)}(?!\w)", f"{reason} {by}"):
        raise SettingsError("The reason or the name holds the customer's id, and both are kept: leave it out of them.")
    subject = Subject.of(settings, user_id)
    found = privacy.find_erasure(warehouse, subject.mark)
    erasure_id = privacy.erasure_name(subject, now) if found is None else found.erasure_id
    list_mark(settings, warehouse, subject.mark, erasure_id, now)
    if found is None:
        return subject, privacy.begin(warehouse, subject, by=by, reason=reason, now=now)
    if found.status == privacy.REMOVED:
        return None, found
    return subject, found


def _by_pseudonym(settings: Settings, warehouse: Warehouse, pseudonym: str) -> tuple[Subject | None, Erasure]:
    """Return the erasure that a pseudonym's customer, who is gone from the shop's tables, was begun with."""
    for one in privacy.unfinished(warehouse):
        if one.user_id is not None and Subject.of(settings, one.user_id).pseudonym == pseudonym:
            return Subject.of(settings, one.user_id), one
    raise NotFoundError(
        f"Nobody in the shop's tables has the pseudonym {pseudonym}, and no erasure of them is under way: they were "
        "erased already, or never known here. If you know the id: recsys erase USER looks everywhere for it."
    )


def _remove(settings: Settings, warehouse: Warehouse, subject: Subject, erasure: Erasure) -> Erasure:
    """Remove a customer from the warehouse and the files, step by step."""
    held = [name for folder in privacy.snapshots_with(settings, subject) for name in privacy.names_of(folder)]
    proof = dict(erasure.proof)
    proof["models"] = _models(settings, held, proof.get("models"))
    if erasure.status == privacy.BEGUN:
        erasure = privacy.save(warehouse, erasure, proof=proof)
    counts = _added(proof.get("rows", {}), privacy.remove_rows(warehouse, subject))
    if (settings.resolved_home / "live").is_dir():
        publication.export_live(warehouse, settings)
    proof["rows"] = _added(counts, privacy.rewrite_lists(settings, subject))
    proof["reports"] = sorted({*proof.get("reports", []), *_reports(settings, subject)})
    evaluations = privacy.rewrite_evaluations(settings, subject)
    proof["evaluations"] = _added(proof.get("evaluations", {}), evaluations)
    if held:
        proof["deleted"] = _added(proof.get("deleted", {}), privacy.remove_derived(settings))
    extracts = privacy.remove_extracts(settings, subject)
    snapshots = privacy.rewrite_snapshots(settings, subject, erasure.erasure_id)
    proof["snapshots"] = [*proof.get("snapshots", []), *snapshots]
    if extracts:
        proof["deleted"] = _added(proof.get("deleted", {}), extracts)
    privacy.sweep_temporary(settings)
    proof["remaining"] = privacy.count_rows(warehouse, subject) + len(privacy.snapshots_with(settings, subject))
    if erasure.status == privacy.DONE and proof == erasure.proof:
        return erasure
    return privacy.save(warehouse, erasure, proof=proof, user_id=None, status=privacy.REMOVED)


def _finish(settings: Settings, erasure: Erasure, now: datetime) -> Erasure:
    """Rewrite the warehouse's storage and write the proof."""
    compact(settings)
    with open_warehouse(settings, purpose="end an erasure") as warehouse:
        privacy.rewrite_storage(warehouse)
        done = replace(erasure, status=privacy.DONE, finished_at=now)
        # First: an erasure that is done isn't ended again.
        document = {name: value for name, value in vars(done).items() if name not in ("user_id", "mark")}
        replace_json(settings.resolved_home / PROOFS / f"{done.erasure_id}.json", document)
        return privacy.save(warehouse, done)


def _models(settings: Settings, snapshots: list[str], before: Any) -> Any:
    """Return the model versions that learned from snapshots, beside those that were found before."""
    if not snapshots:
        return before or []
    try:
        found = registry.versions_of_snapshots(settings, snapshots)
    except RegistryError as error:
        return [*(before or []), {"unknown": f"MLflow could not be asked: {error}", "snapshots": snapshots}]
    known = {(one["model"], one["version"]): one for one in [*(before or []), *found] if "model" in one}
    return [known[key] for key in sorted(known)]


def _reports(settings: Settings, subject: Subject) -> list[str]:
    """Take the customer's example out of the reports in MLflow; return what was done, or could not be."""
    shown = privacy.evaluations_with(settings, subject)
    runs = {sheet.run_id for sheet in list_sheets(settings) if Path(sheet.evaluation).name in shown}
    told = []
    for run_id in sorted(runs):
        try:
            registry.rewrite_text(settings, run_id, REPORT, lambda page: privacy.strip_report(page, subject))
            told.append(f"run {run_id}: rewritten")
        except (RegistryError, NotFoundError) as error:
            told.append(f"run {run_id}: left as it is, with a pseudonym that nobody can resolve any more ({error})")
    return told


def _added(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in sorted({*one, *other})}
