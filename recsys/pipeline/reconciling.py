"""MLflow and the ledger are brought together: an alias that a person moved is a decision, and goes through the gate."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from recsys import columns as c
from recsys import ledger, publication, registry
from recsys.errors import ConflictError, NotFoundError
from recsys.evaluation.gate import PASSED
from recsys.pipeline.aliases import project, project_reviews
from recsys.settings import Settings
from recsys.warehouse import migrate, open_warehouse
from recsys.warehouse.opening import warehouse_url
from recsys.warehouse.session import DUCKDB

Result = dict[str, Any]
LOG = logging.getLogger(__name__)
SOMEBODY = "somebody in MLflow"
OVERRIDE = "override"


@dataclass(frozen=True)
class _Move:
    """An alias that isn't where it was put, and what follows from it.

    ``approve``: a person's decision for ``version``; ``refuse``: one that the gate does not allow, taken back;
    ``restore``: not a decision (another alias than ``champion``), taken back; ``late``: our own earlier write,
    overtaken by what the ledger wants now.
    """

    outcome: registry.AliasOutcome
    kind: Literal["approve", "refuse", "restore", "late"]
    why: str
    placement: str = ""
    decided_by: str = ""

    @property
    def version(self) -> ledger.Version:
        """The version that the alias was moved to."""
        return self.outcome.model_name, str(self.outcome.found_version)


def reconcile(settings: Settings, *, now: datetime, since: datetime | None = None) -> Result:
    """Bring MLflow's aliases and the ledger together.

    What the ledger wants and MLflow lacks is written. The alias ``champion`` moved by hand is a decision: it is
    approved where the gate passed the version, or where the version has a tag ``override`` that says why; else the
    alias goes back. The aliases ``challenger`` and ``previous`` always go back. Who did it is the version's tag
    ``reviewed_by``, where a person set it; MLflow itself does not say.

    Args:
        settings: where the warehouse and MLflow are.
        now: naive UTC.
        since: approvals that came this way at or after this moment are in the answer, too, so that an attempt
            after a killed one can still announce them.

    Returns:
        ``approved`` (placement, model, version, decided_by, decision_id), ``refused`` (model, version, why),
        ``restored`` (model, alias, found, wanted), ``lost`` (model, alias, wanted: versions that somebody deleted
        in MLflow), and ``written`` (how many aliases and pages followed the ledger).

    Raises:
        RegistryError: if MLflow can't be reached.
        ConflictError: if somebody else decided meanwhile; another look sorts it out.
    """
    aliases, history = _look(settings)
    outcomes = project(settings, aliases, now)
    written = sum(one.action in ("written", "removed") for one in outcomes)
    moves = [
        _judge(settings, alias, outcome, history)
        for alias, outcome in zip(aliases, outcomes, strict=True)
        if outcome.action == "person"
    ]
    for move in moves:
        _act(settings, move, history, now)
    if moves:
        aliases, history = _look(settings)
        outcomes = project(settings, aliases, now)
        written += sum(one.action in ("written", "removed") for one in outcomes)
    written += len(project_reviews(settings, aliases, history))
    lost = [_told(one, "wanted") for one in outcomes if one.action == "lost"]
    _warn(lost)
    return {
        # Of two clocks the earlier one: what this very look approved is never left out.
        "approved": _approved(history, min(since or now, now)),
        "refused": [
            {**_told(move.outcome), "version": move.version[1], "why": move.why} for move in _of(moves, "refuse")
        ],
        "restored": [_told(move.outcome, "found", "wanted") for move in _of(moves, "restore", "refuse")],
        "lost": lost,
        "written": written + len(_of(moves, "late")),
    }


def _look(settings: Settings) -> tuple[list[ledger.Alias], list[ledger.Decision]]:
    """Return what each alias should be, also those that the ledger never wanted anything of, and all decisions."""
    url = warehouse_url(settings)
    if url.get_backend_name() == DUCKDB and not Path(str(url.database)).is_file():
        return [], []  # To open it would make it, and a look should leave nothing behind.
    with open_warehouse(settings, purpose="compare the ledger with MLflow") as warehouse:
        migrate(warehouse)
        known = ledger.list_aliases(warehouse)
        history = ledger.list_decisions(warehouse)
        publication.write_board(warehouse, settings)
    there = {(one.model_name, one.alias) for one in known}
    models = sorted({settings.model_name(placement) for placement in settings.placements})
    absent = [ledger.Alias(m, alias, None, None) for m in models for alias in ledger.ALIASES if (m, alias) not in there]
    return [*known, *absent], history


def _judge(
    settings: Settings, alias: ledger.Alias, outcome: registry.AliasOutcome, history: list[ledger.Decision]
) -> _Move:
    """Say what an alias that isn't where it was put means."""
    if outcome.alias != ledger.CHAMPION:
        return _Move(outcome, "restore", f"The alias {outcome.alias} follows the ledger.")
    try:
        found = registry.get_version(settings, outcome.model_name, str(outcome.found_version))
    except NotFoundError:
        return _Move(outcome, "restore", "The version was deleted meanwhile.")
    placement = found.placement
    if placement not in settings.placements or settings.model_name(placement) != outcome.model_name:
        return _Move(
            outcome, "refuse", f"It was not registered by this platform for a placement: no {c.PLACEMENT} tag."
        )
    decided = [one for one in history if one.placement == placement]
    version = (found.model, found.version)
    # Between a write to MLflow and the note of it the ledger may have moved on: what it wanted since is ours.
    if not alias.is_written and version in _champions_since(decided, alias.written_at):
        return _Move(outcome, "late", "An earlier write of ours.", placement)
    override = found.tags.get(OVERRIDE, "").strip()
    if found.tags.get("gate") == PASSED:
        why = found.tags.get("reason", "").strip() or "moved the alias champion to it"
    elif override:
        why = f"override: {override}"
    else:
        said = found.tags.get("gate_reason", "").strip() or "The gate has not passed it."
        why = f"{said} To approve it all the same, set the tag {OVERRIDE} to the reason and move the alias again."
        return _Move(outcome, "refuse", why, placement)
    return _Move(outcome, "approve", why, placement, _reviewer(found.tags, ledger.decisions_about(decided, version)))


def _champions_since(history: list[ledger.Decision], moment: datetime | None) -> set[ledger.Version]:
    """Return the versions that one placement's decisions made the champion at a moment or later; None: ever."""
    tops: set[ledger.Version] = set()
    for number, decision in enumerate(history, start=1):
        if moment is None or decision.decided_at >= moment:
            tops.update(ledger.champions(history[:number])[-1:])
    return tops


def _reviewer(tags: Mapping[str, str], about: list[ledger.Decision]) -> str:
    """Return who moved an alias, as far as a person wrote it on the page; what the platform wrote there is no sign."""
    named = tags.get("reviewed_by", "").strip()
    is_ours = named == "gate" or named.startswith("policy") or named in {one.decided_by for one in about}
    return SOMEBODY if not named or is_ours else named


def _act(settings: Settings, move: _Move, history: list[ledger.Decision], now: datetime) -> None:
    outcome = move.outcome
    if move.kind == "approve":
        _record(settings, move, ledger.APPROVED, history, now)
        LOG.info("Version %s of %s is approved: %s, by %s.", *move.version[::-1], move.why, move.decided_by)
        return
    if move.kind == "refuse":
        _refuse(settings, move, history, now)
    registry.restore_alias(
        settings, outcome.model_name, outcome.alias, found=move.version[1], wanted=outcome.wanted_version
    )


def _refuse(settings: Settings, move: _Move, history: list[ledger.Decision], now: datetime) -> None:
    """Say in the ledger and on the page that an alias was taken back; the version keeps what was decided about it."""
    LOG.warning("The alias champion of %s is taken back from version %s. %s", *move.version, move.why)
    registry.record_refusal(settings, *move.version, why=f"The alias champion was taken back. {move.why}")
    if move.placement:
        _record(settings, move, ledger.REJECTED, history, now)


def _record(settings: Settings, move: _Move, verdict: str, history: list[ledger.Decision], now: datetime) -> None:
    """Enter an approval of a person, or a refusal of the gate, unless the ledger has moved on since the look."""
    looked = [one for one in history if one.placement == move.placement]

    def guard(present: list[ledger.Decision]) -> None:
        if len(present) != len(looked):
            raise ConflictError(
                f"Somebody else decided about {move.placement} while the alias champion of {move.version[0]} was "
                "looked at; look again (the DAG does)."
            )

    is_approval = verdict == ledger.APPROVED
    with open_warehouse(settings, purpose="record what was decided in MLflow") as warehouse:
        ledger.record_decision(
            warehouse,
            placement=move.placement,
            model_name=move.version[0],
            model_version=move.version[1],
            verdict=verdict,
            decided_by=move.decided_by if is_approval else "gate",
            channel="mlflow" if is_approval else ledger.POLICY,
            reason=move.why if is_approval else f"The alias champion was moved to it in MLflow. {move.why}",
            now=now,
            guard=guard,
        )


def _approved(history: list[ledger.Decision], since: datetime) -> list[dict[str, Any]]:
    """Return the approvals that came by MLflow since a moment and still stand."""
    standing = {
        placement: ledger.champions([one for one in history if one.placement == placement])[-1:]
        for placement in {one.placement for one in history}
    }
    return [
        {
            c.PLACEMENT: one.placement,
            "model": one.model_name,
            "version": one.model_version,
            "decided_by": one.decided_by,
            "decision_id": one.decision_id,
        }
        for one in history
        if (one.channel, one.verdict) == ("mlflow", ledger.APPROVED)
        and one.decided_at >= since
        and standing[one.placement] == [(one.model_name, one.model_version)]
    ]


def _of(moves: list[_Move], *kinds: str) -> list[_Move]:
    return [move for move in moves if move.kind in kinds]


def _told(outcome: registry.AliasOutcome, *versions: str) -> dict[str, Any]:
    told = {"found": outcome.found_version, "wanted": outcome.wanted_version}
    return {"model": outcome.model_name, "alias": outcome.alias, **{name: told[name] for name in versions}}


def _warn(lost: list[dict[str, Any]]) -> None:
    for one in lost:
        LOG.warning(
            "Version %s of %s was deleted in MLflow, but the ledger wants it as %s. What is live stays live; approve "
            "another version, or return to the publication before (recsys rollback).",
            one["wanted"],
            one["model"],
            one["alias"],
        )
