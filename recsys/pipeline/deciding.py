"""The stages that decide: registration in MLflow, the gate, promotion."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from recsys import columns as c
from recsys import ledger, publication, registry
from recsys.artifacts import open_artifact, within_home
from recsys.evaluation.evidence import evidence
from recsys.evaluation.gate import AUTO, PASSED, judge
from recsys.evaluation.plots import plot_bytes
from recsys.evaluation.report import REPORT
from recsys.evaluation.sheets import Sheet, has_sheet, write_sheet
from recsys.pipeline.aliases import reconcile_aliases
from recsys.pipeline.bundling import lay_out_bundle
from recsys.pipeline.evaluating import papers
from recsys.pipeline.reviewing import decided_about
from recsys.settings import Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import Warehouse, migrate, open_warehouse

Result = dict[str, Any]
GATE = "gate"


@within_home
def register_models(settings: Settings, *, snapshot: str, rankers: str, evaluation: str, run_name: str) -> Result:
    """Log the training as one MLflow run and register the release of every placement."""
    source = Snapshot.open(snapshot)
    found = _read_evaluation(evaluation)
    logged = registry.log_training(settings, _record(source, evaluation, found, run_name))
    report, versions = logged.artifact_link(REPORT), []
    for placement in found["placements"]:
        with tempfile.TemporaryDirectory() as name:
            bundle = lay_out_bundle(settings, source, rankers, placement, Path(name) / "bundle")
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


def _record(source: Snapshot, evaluation: str, found: Mapping[str, Any], run_name: str) -> registry.TrainingRecord:
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
        files={"": papers(open_artifact(evaluation))},
        draw=partial(plot_bytes, found),
    )


@within_home
def apply_gate(settings: Settings, *, evaluation: str, versions: list[dict[str, Any]]) -> Result:
    """Judge every version, and write the verdict to its page in MLflow and to its sheet."""
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
        if not serves:
            registry.record_gate(settings, registry.get_version(settings, model, number), verdict)
            page = evidence(found, placement, verdict=verdict, report_link=version["report"])
            registry.describe(settings, model, number, page)
        if not serves or not has_sheet(settings, model, number):
            write_sheet(settings, _sheet(version, evaluation, found["as_of"], verdict))
        verdicts.append(
            {
                **version,
                "gate": verdict["gate"],
                "decision": verdict["decision"],
                "why": "It is the champion already." if serves else verdict["why"],
                "serves": serves,
                "against": _compared_with(found["placements"][placement]),
            }
        )
    return {"verdicts": verdicts}


def _sheet(version: Mapping[str, Any], evaluation: str, as_of: str, verdict: dict[str, Any]) -> Sheet:
    named = {name: version[name] for name in (c.PLACEMENT, "model", "version", "run_id", "report")}
    return Sheet(**named, evaluation=evaluation, as_of=as_of, verdict=verdict)


def _compared_with(figures: Mapping[str, Any]) -> list[str] | None:
    """Return the model and version that an evaluation held the new one against, None if there was none."""
    about = figures.get(ledger.CHAMPION)
    return [about["model"], about["version"]] if about else None


def promote(settings: Settings, *, verdicts: list[dict[str, Any]], now: datetime, channel: str) -> Result:
    """Make a version the champion where gate and policy allow it; the others wait for a person.

    What a person rejected or rolled back is not promoted again, and what was decided keeps its review tag.

    Returns:
        ``promoted`` (the versions that serve, also those that did before), ``waiting`` (the others, with
        ``gate`` and ``why``) and ``moved_by_person`` (see :func:`recsys.pipeline.aliases.reconcile_aliases`).
    """
    with open_warehouse(settings, purpose="decide on a version") as warehouse:
        migrate(warehouse)
        settled = [_settle(warehouse, verdict, now) for verdict in verdicts]
        aliases = ledger.list_aliases(warehouse)
        publication.write_board(warehouse, settings)
    for one in settled:
        _tag_review(settings, one, channel)
    moved = reconcile_aliases(settings, aliases, now)
    return {
        "promoted": [_shown(one.verdict) for one in settled if one.is_promoted],
        "waiting": [
            {**_shown(one.verdict), "gate": one.verdict["gate"], "why": one.why}
            for one in settled
            if not one.is_promoted
        ],
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
    overtaken = _overtaken(history, verdict)
    if verdict["gate"] == PASSED and verdict["decision"] == AUTO and not overtaken:
        _approve(warehouse, verdict, now)
        return _Settled(verdict, True, why, "approved")
    is_decided = bool(decided_about(history, version))
    named = {"model_name": verdict["model"], "model_version": verdict["version"], "now": now}
    if verdict["gate"] != PASSED:
        ledger.withdraw_challenger(warehouse, **named)
        return _Settled(verdict, False, why, None if is_decided else "rejected")
    if not is_decided:
        ledger.propose_challenger(warehouse, **named)
    return _Settled(verdict, False, overtaken or why, None if is_decided else "pending")


def _overtaken(history: list[ledger.Decision], verdict: Mapping[str, Any]) -> str:
    """Say that another version became the champion since the evaluation; empty if none did."""
    standing = ledger.champions(history)[-1:]
    if not standing or list(standing[0]) == verdict["against"]:
        return ""
    model, version = standing[0]
    return (
        f"Version {version} of {model} became the champion since this one was measured, and was not compared with it, "
        "so a person decides."
    )


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


def _is_champion(champion: ledger.Champion | None, model: str, version: str) -> bool:
    return champion is not None and (champion.model_name, champion.model_version) == (model, version)


def _read_evaluation(uri: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((open_artifact(uri) / "metrics.json").read_text(encoding="utf-8"))
    return found
