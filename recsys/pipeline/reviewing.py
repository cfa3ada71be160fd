"""A person decides about a version: by command, by a form, or by an answer to Airflow's question."""

from datetime import datetime
from typing import Any, Literal

from recsys import columns as c
from recsys import ledger, publication, registry
from recsys.errors import ConflictError, RefusedError, RegistryError, SettingsError
from recsys.evaluation.gate import PASSED
from recsys.pipeline.aliases import follow_later
from recsys.settings import Settings
from recsys.warehouse import migrate, open_warehouse

Result = dict[str, Any]
NOBODY = "nobody"
SILENCE = "no answer by the deadline"


class _Answered(ConflictError):
    """Somebody has decided about a version that a deadline was to reject."""


def decide(
    settings: Settings,
    *,
    model: str,
    version: str,
    verdict: Literal["approved", "rejected"],
    decided_by: str,
    reason: str,
    now: datetime,
    override: bool = False,
    channel: str = "cli",
) -> Result:
    """Enter a person's approval or rejection of a version in the ledger, and let MLflow follow.

    What is live does not change: the next publication brings an approved version live. The same call again
    is no second decision, and repeats what did not get to MLflow.

    Args:
        settings: where the warehouse and MLflow are.
        model: the registered model.
        version: its version.
        verdict: approved or rejected.
        decided_by: who decides.
        reason: why, for the ledger.
        now: naive UTC.
        override: approve although the gate did not pass it; the ledger's reason then says so.
        channel: where it was decided: cli, airflow or mlflow.

    Returns:
        ``placement``, ``model``, ``version``, ``verdict``, ``decision_id``, ``reason`` as recorded,
        ``moved_by_person``, and ``mlflow_later``: why MLflow doesn't say so yet, empty if it does.

    Raises:
        NotFoundError: if the registry has no such version.
        RegistryError: if MLflow can't be reached, or the version is not one of this platform.
        SettingsError: if the verdict, the placement, the reason or the name can't be used.
        RefusedError: if the gate did not pass what is approved, or what is rejected is the champion.
        ConflictError: if somebody else decided at the same moment.
    """
    if verdict not in (ledger.APPROVED, ledger.REJECTED):
        raise SettingsError(f"A person decides approved or rejected, not {verdict!r}; recsys rollback takes back.")
    if not reason.strip():
        raise SettingsError("A decision needs a reason, for whoever reads the ledger later; it is empty.")
    found = registry.get_version(settings, model, version)
    placement = placement_of(settings, found)
    if verdict == ledger.APPROVED and found.tags.get("gate") != PASSED:
        reason = _overridden(found, reason, override)

    def guard(history: list[ledger.Decision]) -> None:
        if verdict == ledger.REJECTED:
            _require_no_champion(history, placement, (model, found.version))

    with open_warehouse(settings, purpose=f"record that version {version} is {verdict}") as warehouse:
        migrate(warehouse)
        decision_id = ledger.record_decision(
            warehouse,
            placement=placement,
            model_name=model,
            model_version=found.version,
            verdict=verdict,
            decided_by=decided_by,
            channel=channel,
            reason=reason,
            now=now,
            guard=guard,
        )
        # A rejection ends a canary of the version, which the live files must not go on showing.
        publication.export_live(warehouse, settings)
    return {
        c.PLACEMENT: placement,
        "model": model,
        "version": found.version,
        "verdict": verdict,
        "decision_id": decision_id,
        "reason": reason,
        **follow_later(settings, now, version=(model, found.version)),
    }


def request_review(settings: Settings, *, model: str, version: str) -> Result:
    """Return what a reviewer is asked about a version, or why nobody has to be asked.

    Returns:
        ``placement``, ``subject`` and ``body`` (the evidence in Markdown, with links to MLflow's pages), and
        ``settled``: who has decided already or what forbids the question; empty if it is to be asked.

    Raises:
        NotFoundError: if the registry has no such version.
        RegistryError: if MLflow can't be reached, or the version is not one of this platform.
        SettingsError: if the settings have no such placement.
    """
    found = registry.get_version(settings, model, version)
    placement = placement_of(settings, found)
    with open_warehouse(settings, purpose="look whether a version waits") as warehouse:
        migrate(warehouse)
        history = ledger.list_decisions(warehouse, placement)
    settled = _settled(history, (model, found.version))
    if not settled and found.tags.get("gate") != PASSED:
        settled = (
            f"The gate did not pass version {version} of {model}, so it is not offered. "
            f"{found.tags.get('gate_reason', '')} Who wants it all the same decides so with an override."
        )
    hours = f"{settings.review.deadline_hours:g}"
    return {
        c.PLACEMENT: placement,
        "subject": f"Shall version {found.version} of {model} serve {placement}?",
        "body": "\n\n".join(
            [
                f"Approve to let it serve **{placement}** from the next publication on, which follows at once. "
                f"Without an answer within {hours} hours it is rejected; what is live stays as it is.",
                *_links(settings, found),
                _absolute(settings, found.description),
            ]
        ),
        "settled": settled,
    }


def answer_review(
    settings: Settings,
    *,
    model: str,
    version: str,
    placement: str,
    is_approved: bool,
    answered_by: str | None,
    reason: str,
    now: datetime,
) -> Result:
    """Enter the answer to Airflow's question in the ledger; nobody's answer is a rejection.

    What somebody decided elsewhere meanwhile counts: the same answer adds nothing, a deadline overrules no one,
    and a person's other answer is a new decision.

    Returns:
        ``verdict``, ``decision_id`` (None if nothing was added), ``why`` (what happened, a sentence), ``serves``
        (whether the version is the champion now) and ``mlflow_later``.

    Raises:
        NotFoundError: if the registry has no such version.
        RegistryError: if MLflow can't be reached when somebody approves.
        RefusedError: if the answer rejects what is the champion.
        ConflictError: if somebody else decided at the same moment.
    """
    if answered_by is None:
        done = _reject_unanswered(settings, (model, version), placement, now)
    else:
        verdict: Literal["approved", "rejected"] = ledger.APPROVED if is_approved else ledger.REJECTED
        with open_warehouse(settings, purpose="look what was decided") as warehouse:
            about = ledger.decisions_about(ledger.list_decisions(warehouse, placement), (model, version))
        if about and about[-1].verdict == verdict:
            why = f"{about[-1].decided_by} has {verdict} version {version} of {model} already ({about[-1].channel})."
            done = {"verdict": verdict, "decision_id": None, "why": why, "mlflow_later": ""}
        else:
            made = decide(
                settings,
                model=model,
                version=version,
                verdict=verdict,
                decided_by=answered_by,
                reason=reason.strip() or "answered in Airflow, without a reason",
                now=now,
                channel="airflow",
            )
            done = {**made, "why": f"{answered_by} has {verdict} version {version} of {model}."}
    with open_warehouse(settings, purpose="read the champion") as warehouse:
        serves = ledger.champions(ledger.list_decisions(warehouse, placement))[-1:] == [(model, version)]
    return {**done, c.PLACEMENT: placement, "model": model, "version": version, "serves": serves}


def _reject_unanswered(settings: Settings, version: ledger.Version, placement: str, now: datetime) -> Result:
    """Reject what nobody answered for, unless somebody has decided about it elsewhere."""

    def guard(history: list[ledger.Decision]) -> None:
        settled = _settled(history, version)
        if settled:
            raise _Answered(settled)

    with open_warehouse(settings, purpose="record that nobody answered") as warehouse:
        migrate(warehouse)
        try:
            decision_id = ledger.record_decision(
                warehouse,
                placement=placement,
                model_name=version[0],
                model_version=version[1],
                verdict=ledger.REJECTED,
                decided_by=NOBODY,
                channel="airflow",
                reason=SILENCE,
                now=now,
                guard=guard,
            )
        except _Answered as answered:
            return {"verdict": None, "decision_id": None, "why": str(answered), "mlflow_later": ""}
    why = f"Nobody answered for version {version[1]} of {version[0]} by the deadline: it is rejected."
    followed = follow_later(settings, now, version=version)
    return {"verdict": ledger.REJECTED, "decision_id": decision_id, "why": why, **followed}


def placement_of(settings: Settings, found: registry.ModelVersion) -> str:
    """Return the placement that a version was registered for.

    Raises:
        RegistryError: if this platform did not register it.
        SettingsError: if the settings have no such placement.
    """
    if not found.placement:
        raise RegistryError(
            f"Version {found.version} of {found.model} was not registered by this platform: no {c.PLACEMENT} tag. "
            "recsys run registers versions."
        )
    settings.placement(found.placement)
    return found.placement


def decided_about(history: list[ledger.Decision], version: ledger.Version) -> list[ledger.Decision]:
    """Return what was decided about a version; that the gate took an alias back from it settles nothing."""
    return [
        entry
        for entry in ledger.decisions_about(history, version)
        if (entry.channel, entry.verdict) != (ledger.POLICY, ledger.REJECTED)
    ]


def _settled(history: list[ledger.Decision], version: ledger.Version) -> str:
    """Say who has decided about a version; empty if nobody has."""
    about = decided_about(history, version)
    if not about:
        return ""
    last = about[-1]
    return (
        f"Version {version[1]} of {version[0]} was {last.verdict.replace('_', ' ')} by {last.decided_by} on "
        f"{last.decided_at:%Y-%m-%d %H:%M} UTC ({last.channel}: {last.reason})."
    )


def _require_no_champion(history: list[ledger.Decision], placement: str, version: ledger.Version) -> None:
    if ledger.champions(history)[-1:] == [version]:
        raise RefusedError(
            f"Version {version[1]} of {version[0]} is the champion of {placement}; to reject it would not "
            f"take it away. Return to the one before (recsys rollback --placement {placement}), or approve "
            "another."
        )


def _overridden(found: registry.ModelVersion, reason: str, override: bool) -> str:
    if override:
        return f"override: {reason}"
    gate = found.tags.get("gate")
    said = found.tags.get("gate_reason", "") if gate else "The gate has not judged it."
    raise RefusedError(
        f"Version {found.version} of {found.model} did not pass the gate. {said} "
        "To approve it all the same, say so: --override; the ledger records it."
    )


def _links(settings: Settings, found: registry.ModelVersion) -> list[str]:
    base = registry.pages_address(settings)
    return [f"[The version's page in MLflow]({base}/#/models/{found.model}/versions/{found.version})"] if base else []


def _absolute(settings: Settings, page: str) -> str:
    """Let links of a page in MLflow work elsewhere."""
    base = registry.pages_address(settings)
    return page.replace("](#/", f"]({base}/#/") if base else page
