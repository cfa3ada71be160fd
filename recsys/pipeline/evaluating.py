"""The stage that measures: every model of a training side by side, and the report of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys.artifacts import ArtifactStore, facts_of, fingerprint, local_path
from recsys.assets import code_hash
from recsys.cuts import cut_name
from recsys.evaluation.examples import collect_examples
from recsys.evaluation.holdout import evaluate_placement
from recsys.evaluation.reading import read_holdout
from recsys.evaluation.report import write_report
from recsys.evaluation.roles import HEADLINE
from recsys.pipeline.training import cuts_of
from recsys.settings import Settings
from recsys.snapshot import Snapshot

Result = dict[str, Any]
METRICS_FILE = "metrics.json"
VALUES = "values"  # folder of each placement's figures, customer by customer


def evaluate_models(settings: Settings, *, snapshot: str, ranking_set: str, rankers: str) -> Result:
    """Measure the twins, every generator and the plain fusion on the hold-out, and write the report."""
    source = Snapshot.open(snapshot)
    plan = cuts_of(settings, source)
    facts = facts_of(ranking_set)

    def build(folder: Path) -> dict[str, Any]:
        evaluation: dict[str, Any] = {
            "snapshot_id": source.snapshot_id,
            "as_of": source.as_of.isoformat(),
            "holdout": {"from": plan.holdout.isoformat(), "to": plan.as_of.isoformat()},
            "placements": {},
        }
        examples = []
        (folder / VALUES).mkdir()
        holdout = read_holdout(settings, source, plan.holdout, local_path(facts["features"]) / cut_name(plan.holdout))
        for placement in facts["placements"]:
            compared, lists = evaluate_placement(settings, holdout, placement, plan, facts, rankers, ranking_set)
            evaluation["placements"][placement] = compared.figures
            compared.values.write(folder / VALUES / f"{placement}.parquet")
            examples += collect_examples(settings, source, placement, plan.holdout, lists)
        text = json.dumps(evaluation, indent=1, allow_nan=False)
        (folder / METRICS_FILE).write_text(text, encoding="utf-8")
        (folder / "examples.json").write_text(json.dumps(examples, indent=1), encoding="utf-8")
        write_report(evaluation, folder / "report.html", examples=examples)
        return {"metrics": _headlines(evaluation)}

    measured = (settings.gate.model_dump(mode="json"), settings.evaluation.model_dump(mode="json"))
    name = fingerprint(local_path(rankers).name, local_path(ranking_set).name, measured, code_hash("evaluation"))
    made = ArtifactStore(settings.resolved_home).make("evaluations", name, build)
    return {"evaluation": made.uri, "metrics": made.facts["metrics"], "reused": made.reused}


def _headlines(evaluation: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    return {
        placement: {
            model: round(values[HEADLINE], 5) for model, values in found["models"].items() if HEADLINE in values
        }
        for placement, found in evaluation["placements"].items()
    }
