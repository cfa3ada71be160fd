"""The stages that decide: registration in MLflow, the gate, promotion."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from recsys import columns as c
from recsys import ledger, publication, registry
from recsys.artifacts import facts_of, local_path
from recsys.cuts import plan_cuts
from recsys.errors import ConflictError, RegistryError, SettingsError
from recsys.evaluation.champion import TWIN, save_twin
from recsys.evaluation.evidence import evidence
from recsys.evaluation.gate import AUTO, PASSED, judge
from recsys.evaluation.plots import plot_bytes
from recsys.evaluation.report import REPORT
from recsys.pipeline.evaluating import papers
from recsys.ranking.ranker import MODEL_FILE
from recsys.scoring import FittedState, Recipe
from recsys.scoring import fit_state as fit
from recsys.settings import Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import Warehouse, migrate, open_warehouse

Result = dict[str, Any]
GATE = "gate"


def register_models(settings: Settings, *, snapshot: str, rankers: str, evaluation: str, run_name: str) -> Result:
    """Log the training as one MLflow run and register the release of every placement."""
    source = Snapshot.open(snapshot)
    found = _read_evaluation(evaluation)
    with tempfile.TemporaryDirectory() as drawn:
        logged = registry.log_training(settings, _record(source, evaluation, found, run_name, Path(drawn)))
    report, versions = logged.artifact_link(REPORT), []
    for placement in found["placements"]:
        with tempfile.TemporaryDirectory() as name:
            bundle = _bundle(settings, source, rankers, placement, Path(name))
            version = registry.register_version(
                settings,
                registry.Registration(
                    placement=placement,
                    run_id=logged.run_id,
                    bundle=bundle,
                    snapshot_id=source.snapshot_id,
                    as_of=source.as_of.isoformat(),
                    description=evidence(found, placement, report_link=report),
                    metrics=found["placements"][placement]["models"]["ranker"],
                ),
            )
        versions.append(
            {
                c.PLACEMENT: placement,
                "model": version.model,
                "version": version.version,
                "run_id": logged.run_id,
                "report": report,
            }
        )
    return {"versions": versions, "run_id": logged.run_id, "reused": logged.reused}


def _record(
    source: Snapshot, evaluation: str, found: Mapping[str, Any], run_name: str, plots: Path
) -> registry.TrainingRecord:
    # Not beside the report: the evaluation is finished, and what is finished is not written to.
    for name, data in plot_bytes(found).items():
        (plots / f"{name}.png").write_bytes(data)
    return registry.TrainingRecord(
        run_name=run_name,
        snapshot_id=source.snapshot_id,
        snapshot_uri=source.uri,
        as_of=source.as_of.isoformat(),
        evaluation=found,
        rows=source.manifest["rows"],
        schema={
            table: dict(field.split(": ", 1) for field in fields) for table, fields in source.manifest["schema"].items()
        },
        files={"": papers(local_path(evaluation)), "plots": tuple(sorted(plots.glob("*.png")))},
    )


def _bundle(settings: Settings, source: Snapshot, rankers: str, placement: str, work: Path) -> Path:
    """Lay out a model's plain files: recipe, ranker with its twin, and the item side of the state at training."""
    recipe = Recipe.of(settings, placement, facts_of(rankers)["weights"].get(placement))
    state = FittedState(fit(recipe.apply(settings), source, recipe.state_key).path)
    bundle = work / "bundle"
    bundle.mkdir()
    recipe.save(bundle)
    shutil.copy2(local_path(rankers) / placement / "release" / MODEL_FILE, bundle / MODEL_FILE)
    plan = plan_cuts(settings, source.as_of, source.first_event)
    twin = local_path(rankers) / placement / TWIN / MODEL_FILE
    save_twin(bundle, twin, as_of=plan.as_of, learned_until=plan.holdout)
    state.copy_item_side(bundle / "state")
    return bundle


def apply_gate(settings: Settings, *, evaluation: str, versions: list[dict[str, Any]]) -> Result:
    """Judge every version, and write the verdict to its page in MLflow."""
    found = _read_evaluation(evaluation)
    with open_warehouse(settings, purpose="read the champions") as warehouse:
        migrate(warehouse)
        champions = {v[c.PLACEMENT]: ledger.champion(warehouse, v[c.PLACEMENT]) for v in versions}
    judged = judge(found, settings.gate, has_champion={p: one is not None for p, one in champions.items()})
    verdicts = []
    for version in versions:
        placement, model, number = version[c.PLACEMENT], version["model"], version["version"]
        verdict = judged[placement]
        serves = _is_champion(champions[placement], model, number)
        why = "It is the champion already." if serves else verdict["why"]
        if not serves:
            registry.record_gate(settings, model, number, gate=verdict["gate"], why=why)
            page = evidence(found, placement, verdict=verdict, report_link=version["report"])
            registry.describe(settings, model, number, page)
        verdicts.append(
            {**version, "gate": verdict["gate"], "decision": verdict["decision"], "why": why, "serves": serves}
        )
    return {"verdicts": verdicts}


def promote(settings: Settings, *, verdicts: list[dict[str, Any]], now: datetime, channel: str) -> Result:
    """Make a version the champion where gate and policy allow it; the others wait for a person.

    What a person rejected or rolled back is not promoted again, and what was decided keeps its review tag.

    Returns:
        ``promoted`` (the versions that serve, also those that did before), ``waiting`` (the others, with
        ``why``) and ``moved_by_person`` (see :func:`reconcile_aliases`).
    """
    with open_warehouse(settings, purpose="decide on a version") as warehouse:
        migrate(warehouse)
        settled = [_settle(warehouse, verdict, now) for verdict in verdicts]
        aliases = ledger.list_aliases(warehouse)
    for one in settled:
        _tag_review(settings, one, channel)
    moved = reconcile_aliases(settings, aliases, now)
    return {
        "promoted": [_shown(one.verdict) for one in settled if one.is_promoted],
        "waiting": [{**_shown(one.verdict), "why": one.why} for one in settled if not one.is_promoted],
        "moved_by_person": moved,
    }


@dataclass(frozen=True)
class _Settled:
    """What became of a verdict; ``review`` is the tag that follows from this call, None if nothing changed."""

    verdict: Mapping[str, Any]
    is_promoted: bool
    why: str
    review: Literal["pending", "approved", "rejected"] | None = None


def _settle(warehouse: Warehouse, verdict: Mapping[str, Any], now: datetime) -> _Settled:
    """Enter in the ledger what follows from a verdict, given all that was decided before."""
    version, why = (verdict["model"], verdict["version"]), verdict["why"]
    history = ledger.list_decisions(warehouse, verdict[c.PLACEMENT])
    # Not the verdict's word: somebody may have decided since the gate.
    if ledger.champions(history)[-1:] == [version]:
        return _Settled(verdict, True, why)
    barred = _barred(history, version, verdict)
    if barred:
        return _Settled(verdict, False, barred)
    if verdict["gate"] == PASSED and verdict["decision"] == AUTO:
        _approve(warehouse, verdict, now)
        return _Settled(verdict, True, why, "approved")
    is_decided = bool(ledger.decisions_about(history, version))
    named = {"model_name": verdict["model"], "model_version": verdict["version"], "now": now}
    if verdict["gate"] != PASSED:
        ledger.withdraw_challenger(warehouse, **named)
        return _Settled(verdict, False, why, None if is_decided else "rejected")
    if not is_decided:
        ledger.propose_challenger(warehouse, **named)
    return _Settled(verdict, False, why, None if is_decided else "pending")


def _barred(history: list[ledger.Decision], version: ledger.Version, verdict: Mapping[str, Any]) -> str:
    """Say whose decision no policy may overrule; empty if there is none."""
    decision = ledger.refusal(history, version)
    if decision is None:
        overtaken = "It was the champion when it was judged; somebody has decided otherwise since."
        return overtaken if verdict["serves"] else ""
    did = "rejected it" if decision.verdict == ledger.REJECTED else "rolled it back"
    return (
        f"{decision.decided_by} {did} on {decision.decided_at:%Y-%m-%d} ({decision.reason}), which a policy does not "
        "overrule; approve it to bring it back."
    )


def _approve(warehouse: Warehouse, verdict: Mapping[str, Any], now: datetime) -> None:
    ledger.record_decision(
        warehouse,
        placement=verdict[c.PLACEMENT],
        model_name=verdict["model"],
        model_version=verdict["version"],
        verdict=ledger.APPROVED,
        decided_by="policy",
        channel=ledger.POLICY,
        reason=verdict["why"],
        now=now,
    )


def _tag_review(settings: Settings, one: _Settled, channel: str) -> None:
    model, version = one.verdict["model"], one.verdict["version"]
    if one.review == "approved":
        registry.record_review(settings, model, version, review="approved", reviewed_by=f"policy ({channel})")
    elif one.review is not None:
        # A person's word on the page stays, also where it never came to the ledger.
        tags = registry.get_version(settings, model, version).tags
        if tags.get("reviewed_by", "") in ("", GATE) and tags.get("review") != one.review:
            by, reason = (GATE, one.why) if one.review == "rejected" else ("", "")
            registry.record_review(settings, model, version, review=one.review, reviewed_by=by, reason=reason)


def _shown(verdict: Mapping[str, Any]) -> dict[str, Any]:
    return {name: verdict[name] for name in (c.PLACEMENT, "model", "version")}


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

    Returns:
        ``placement``, ``model``, ``version``, ``verdict``, ``decision_id``, ``reason`` as recorded, and
        ``moved_by_person``.

    Raises:
        NotFoundError: if the registry has no such version.
        RegistryError: if MLflow can't be reached, or the version is not one of this platform.
        SettingsError: if the verdict, the placement, the reason or the name can't be used.
        ConflictError: if the gate did not pass what is approved, or what is rejected is the champion.
    """
    if verdict not in (ledger.APPROVED, ledger.REJECTED):
        raise SettingsError(f"A person decides approved or rejected, not {verdict!r}; recsys rollback takes back.")
    if not reason.strip():
        raise SettingsError("A decision needs a reason, for whoever reads the ledger later; it is empty.")
    found = registry.get_version(settings, model, version)
    placement = _placement_of(settings, found)
    if verdict == ledger.APPROVED and found.tags.get("gate") != PASSED:
        reason = _overridden(found, reason, override)
    with open_warehouse(settings, purpose=f"record that version {version} is {verdict}") as warehouse:
        migrate(warehouse)
        if verdict == ledger.REJECTED:
            _require_no_champion(ledger.champion(warehouse, placement), found)
        decision_id = ledger.record_decision(
            warehouse,
            placement=placement,
            model_name=model,
            model_version=found.version,
            verdict=verdict,
            decided_by=decided_by,
            channel="cli",
            reason=reason,
            now=now,
        )
        aliases = ledger.list_aliases(warehouse)
        # A rejection ends a canary of the version, which the live files must not go on showing.
        publication.export_live(warehouse, settings)
    registry.record_review(settings, model, found.version, review=verdict, reviewed_by=decided_by, reason=reason)
    return {
        c.PLACEMENT: placement,
        "model": model,
        "version": found.version,
        "verdict": verdict,
        "decision_id": decision_id,
        "reason": reason,
        "moved_by_person": reconcile_aliases(settings, aliases, now),
    }


def _placement_of(settings: Settings, found: registry.ModelVersion) -> str:
    if not found.placement:
        raise RegistryError(
            f"Version {found.version} of {found.model} was not registered by this platform: no {c.PLACEMENT} tag. "
            "recsys run registers versions."
        )
    settings.placement(found.placement)
    return found.placement


def _require_no_champion(champion: ledger.Champion | None, found: registry.ModelVersion) -> None:
    if _is_champion(champion, found.model, found.version):
        raise ConflictError(
            f"Version {found.version} of {found.model} is the champion of {found.placement}; to reject it would not "
            f"take it away. Return to the one before (recsys rollback --placement {found.placement}), or approve "
            "another."
        )


def _overridden(found: registry.ModelVersion, reason: str, override: bool) -> str:
    if override:
        return f"override: {reason}"
    gate = found.tags.get("gate")
    said = found.tags.get("gate_reason", "") if gate else "The gate has not judged it."
    raise ConflictError(
        f"Version {found.version} of {found.model} did not pass the gate. {said} "
        "To approve it all the same, say so: --override; the ledger records it."
    )


def reconcile_aliases(settings: Settings, aliases: list[ledger.Alias], now: datetime) -> list[dict[str, Any]]:
    """Bring MLflow's aliases to what the ledger wants, and note in the ledger what was written.

    Args:
        settings: where the warehouse and MLflow are.
        aliases: all of the ledger's, so that drift is seen; not only those still to be written.
        now: naive UTC.

    Returns:
        The aliases that somebody moved in MLflow and that were left so: ``model``, ``alias``, ``found`` (the
        version, None if there is none) and ``wanted``.

    Raises:
        NotFoundError: if a wanted version isn't in MLflow.
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
    return [
        {"model": one.model_name, "alias": one.alias, "found": one.found_version, "wanted": one.wanted_version}
        for one in outcomes
        if one.action == "person"
    ]


def _is_champion(champion: ledger.Champion | None, model: str, version: str) -> bool:
    return champion is not None and (champion.model_name, champion.model_version) == (model, version)


def _read_evaluation(uri: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((local_path(uri) / "metrics.json").read_text(encoding="utf-8"))
    return found
