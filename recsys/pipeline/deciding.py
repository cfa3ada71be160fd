"""The stages that decide: registration in MLflow, the gate, promotion."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from recsys import columns as c
from recsys import ledger, registry
from recsys.artifacts import local_path
from recsys.evaluation.gate import AUTO, PASSED, judge
from recsys.evaluation.plots import plot_bytes
from recsys.evaluation.report import evidence
from recsys.ranking.ranker import MODEL_FILE
from recsys.scoring import FittedState, Recipe
from recsys.scoring import fit_state as fit
from recsys.settings import Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import Warehouse, migrate, open_warehouse

Result = dict[str, Any]
REPORT = "report.html"


def register_models(settings: Settings, *, snapshot: str, rankers: str, evaluation: str, run_name: str) -> Result:
    """Log the training as one MLflow run and register the release of every placement."""
    source = Snapshot.open(snapshot)
    found = _read_evaluation(evaluation)
    logged = registry.log_training(settings, _record(source, evaluation, found, run_name))
    versions = []
    for placement in found["placements"]:
        with tempfile.TemporaryDirectory() as name:
            bundle = _bundle(settings, source, local_path(rankers), placement, Path(name))
            version = registry.register_version(
                settings,
                registry.Registration(
                    placement=placement,
                    run_id=logged.run_id,
                    bundle=bundle,
                    snapshot_id=source.snapshot_id,
                    as_of=source.as_of.isoformat(),
                    description=evidence(found, placement, report_link=logged.artifact_link(REPORT)),
                    metrics=found["placements"][placement]["models"]["ranker"],
                ),
            )
        versions.append(
            {
                c.PLACEMENT: placement,
                "model": version.model,
                "version": version.version,
                "run_id": logged.run_id,
            }
        )
    return {"versions": versions, "run_id": logged.run_id, "reused": logged.reused}


def _record(source: Snapshot, evaluation: str, found: Mapping[str, Any], run_name: str) -> registry.TrainingRecord:
    folder = local_path(evaluation)
    plots = folder / "plots"
    plots.mkdir(exist_ok=True)
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
        files={"": (folder / REPORT,), "plots": tuple(sorted(plots.glob("*.png")))},
    )


def _bundle(settings: Settings, source: Snapshot, rankers: Path, placement: str, work: Path) -> Path:
    """Lay out a model's plain files: recipe, ranker and the item side of the state at training."""
    recipe = Recipe.of(settings, placement)
    state = FittedState(fit(recipe.apply(settings), source, recipe.state_key).path)
    bundle = work / "bundle"
    bundle.mkdir()
    recipe.save(bundle)
    shutil.copy2(rankers / placement / "release" / MODEL_FILE, bundle / MODEL_FILE)
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
            link = f"#/experiments/0/runs/{version['run_id']}/artifacts/{REPORT}"
            page = evidence(found, placement, verdict=verdict, report_link=link)
            registry.describe(settings, model, number, page)
        verdicts.append(
            {**version, "gate": verdict["gate"], "decision": verdict["decision"], "why": why, "serves": serves}
        )
    return {"verdicts": verdicts}


def promote(settings: Settings, *, verdicts: list[dict[str, Any]], now: datetime, channel: str) -> Result:
    """Make a version the champion where gate and policy allow it; the others wait for a person."""
    promoted, waiting = [], []
    with open_warehouse(settings, purpose="decide on a version") as warehouse:
        migrate(warehouse)
        for verdict in verdicts:
            allowed = verdict["gate"] == PASSED and verdict["decision"] == AUTO
            if verdict["serves"] or allowed:
                _approve(warehouse, verdict, now)
                promoted.append({name: verdict[name] for name in (c.PLACEMENT, "model", "version")})
            else:
                _keep_waiting(warehouse, verdict, now)
                waiting.append({name: verdict[name] for name in (c.PLACEMENT, "model", "version", "why")})
        wanted = ledger.wanted_aliases(warehouse)
    for one in promoted:
        registry.record_review(
            settings, one["model"], one["version"], review="approved", reviewed_by=f"policy ({channel})"
        )
    for one in waiting:
        registry.record_review(settings, one["model"], one["version"], review="pending")
    reconcile_aliases(settings, wanted, now)
    return {"promoted": promoted, "waiting": waiting}


def _approve(warehouse: Warehouse, verdict: Mapping[str, Any], now: datetime) -> None:
    if not verdict["serves"]:
        ledger.record_decision(
            warehouse,
            placement=verdict[c.PLACEMENT],
            model_name=verdict["model"],
            model_version=verdict["version"],
            verdict="approved",
            decided_by="policy",
            channel="policy",
            reason=verdict["why"],
            now=now,
        )


def _keep_waiting(warehouse: Warehouse, verdict: Mapping[str, Any], now: datetime) -> None:
    if verdict["gate"] == PASSED:
        ledger.propose_challenger(warehouse, model_name=verdict["model"], model_version=verdict["version"], now=now)


def reconcile_aliases(settings: Settings, wanted: list[ledger.Alias], now: datetime) -> None:
    """Bring MLflow's aliases to what the ledger wants, and note in the ledger what was written."""
    done = [outcome for outcome in registry.project_aliases(settings, wanted) if outcome.action != "person"]
    if done:
        with open_warehouse(settings, purpose="note the aliases") as warehouse:
            for one in done:
                ledger.mark_written(
                    warehouse,
                    model_name=one.model_name,
                    alias=one.alias,
                    version=one.wanted_version,
                    now=now,
                )


def _is_champion(champion: ledger.Champion | None, model: str, version: str) -> bool:
    return champion is not None and (champion.model_name, champion.model_version) == (model, version)


def _read_evaluation(uri: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((local_path(uri) / "metrics.json").read_text(encoding="utf-8"))
    return found
