"""MLflow follows the ledger: its aliases, and what its pages say about who decided."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from recsys import ledger, publication, registry
from recsys.errors import NotFoundError, RegistryError
from recsys.settings import Settings
from recsys.warehouse import open_warehouse

REVIEW: dict[str, Literal["approved", "rejected"]] = {
    ledger.APPROVED: "approved",
    ledger.REJECTED: "rejected",
    ledger.ROLLED_BACK: "rejected",
}


def reconcile_aliases(settings: Settings, aliases: list[ledger.Alias], now: datetime) -> list[dict[str, Any]]:
    """Bring MLflow's aliases to what the ledger wants, and note in the ledger what was written.

    Args:
        settings: where the warehouse and MLflow are.
        aliases: all of the ledger's, so that drift is seen; not only those still to be written.
        now: naive UTC.

    Returns:
        The aliases that somebody moved in MLflow and that were left so, and those of which the version was
        deleted there: ``model``, ``alias``, ``found`` (the version, None if there is none) and ``wanted``.

    Raises:
        RegistryError: if MLflow can't be reached.
    """
    return [
        {"model": one.model_name, "alias": one.alias, "found": one.found_version, "wanted": one.wanted_version}
        for one in project(settings, aliases, now)
        if one.action in ("person", "lost")
    ]


def project(settings: Settings, aliases: list[ledger.Alias], now: datetime) -> list[registry.AliasOutcome]:
    """Bring MLflow's aliases to what the ledger wants, note what was written, and return what became of each.

    Raises:
        RegistryError: if MLflow can't be reached.
    """
    outcomes = registry.project_aliases(settings, aliases)
    done = [
        outcome
        for alias, outcome in zip(aliases, outcomes, strict=True)
        if outcome.action in ("written", "removed") or (outcome.action == "kept" and not alias.is_written)
    ]
    if done:
        with open_warehouse(settings, purpose="note the aliases") as warehouse:
            for one in done:
                ledger.mark_written(
                    warehouse, model_name=one.model_name, alias=one.alias, version=one.wanted_version, now=now
                )
    return outcomes


def follow_later(settings: Settings, now: datetime, *, version: ledger.Version | None = None) -> dict[str, Any]:
    """Let MLflow and the board follow the ledger; where MLflow is away that is no failure: the decision stands.

    Args:
        settings: where the warehouse and MLflow are.
        now: naive UTC.
        version: one whose page is to be written whatever the aliases name.

    Returns:
        ``moved_by_person`` (see :func:`reconcile_aliases`) and ``mlflow_later``: why MLflow does not say so yet,
        empty if it does.
    """
    with open_warehouse(settings, purpose="read what MLflow should say") as warehouse:
        aliases, history = ledger.list_aliases(warehouse), ledger.list_decisions(warehouse)
        publication.write_board(warehouse, settings)
    try:
        moved = reconcile_aliases(settings, aliases, now)
        project_reviews(settings, aliases, history, also=[version] if version else [])
    except (NotFoundError, RegistryError) as error:
        return {"moved_by_person": [], "mlflow_later": str(error)}
    return {"moved_by_person": moved, "mlflow_later": ""}


def project_reviews(
    settings: Settings,
    aliases: Sequence[ledger.Alias],
    history: list[ledger.Decision],
    *,
    also: Sequence[ledger.Version] = (),
) -> list[ledger.Version]:
    """Write who decided about a version, and why, to its page in MLflow, where that is not there yet.

    It looks at the versions that aliases name, at the last one that was decided about on each placement, and at
    ``also``; what MLflow doesn't have any more is left out, and canaries don't count: they leave a version waiting for
    a decision. Returns the versions that were written.

    Raises:
        RegistryError: if MLflow can't be reached.
    """
    named = [(one.model_name, one.wanted_version) for one in aliases if one.wanted_version is not None]
    settled = [one for one in history if one.verdict != ledger.CANARY]
    last = {one.placement: (one.model_name, one.model_version) for one in settled}
    written = []
    for version in dict.fromkeys([*named, *last.values(), *also]):
        about = ledger.decisions_about(settled, version)
        if about and _write_review(settings, about[-1]):
            written.append(version)
    return written


def _write_review(settings: Settings, decision: ledger.Decision) -> bool:
    model, version = decision.model_name, decision.model_version
    try:
        tags = registry.get_version(settings, model, version).tags
    except NotFoundError:
        return False
    review = REVIEW[decision.verdict]
    # A page that names the decision is as it should be: what a person wrote on it since is theirs.
    if tags.get(registry.DECISION) == decision.decision_id:
        return False
    if decision.channel == ledger.POLICY and tags.get("review") == review:
        return False
    undone = "rolled back: " if decision.verdict == ledger.ROLLED_BACK else ""
    registry.record_review(
        settings,
        model,
        version,
        review=review,
        reviewed_by=decision.decided_by,
        reason=undone + decision.reason,
        reviewed_at=f"{decision.decided_at:%Y-%m-%d %H:%M} UTC",
        decision_id=decision.decision_id,
    )
    return True
