"""The stage that measures: every model of a training side by side, and the report of it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recsys.artifacts import ArtifactStore, facts_of, fingerprint, open_artifact, within_home
from recsys.assets import code_hash
from recsys.cuts import CutPlan, cut_name
from recsys.evaluation.card import model_card
from recsys.evaluation.catalogue import catalogue, list_features
from recsys.evaluation.champion import NotCompared, changes, describe, open_champion
from recsys.evaluation.examples import AFTER, BEFORE, RANKED, collect_examples
from recsys.evaluation.gate import judge
from recsys.evaluation.health import scoring_times
from recsys.evaluation.holdout import evaluate_placement
from recsys.evaluation.reading import read_holdout
from recsys.evaluation.report import REPORT, write_report
from recsys.evaluation.roles import CHAMPION, HEADLINE, RANKER, K
from recsys.lists import Lists
from recsys.pipeline.comparing import Chosen, chosen_by, other_champion, version_key
from recsys.pipeline.training import cuts_of
from recsys.ranking.ingredients import VARIANTS
from recsys.settings import Settings
from recsys.snapshot import Snapshot

Result = dict[str, Any]
METRICS_FILE = "metrics.json"
VALUES = "values"  # folder of each placement's figures, customer by customer
CARD = "model_card_"  # with the placement's name
FEATURES = "features.md"


@within_home
def evaluate_models(
    settings: Settings,
    *,
    snapshot: str,
    ranking_set: str,
    rankers: str,
    champions: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
    references: Sequence[str] = (),
) -> Result:
    """Measure the twins beside every other model on the hold-out, and write the report.

    Args:
        settings: in force.
        snapshot: URI of the training's snapshot.
        ranking_set: URI of the ranking set.
        rankers: URI of the trained rankers.
        champions: what serves, as ``find_champions`` found it; nothing if None.
        references: URIs of the candidates of generators that are measured beside the recipe's.
    """
    source = Snapshot.open(snapshot)
    plan = cuts_of(settings, source)
    facts = facts_of(ranking_set)
    serving = {
        name: other_champion(settings, name, rankers, (champions or {}).get(name, ())) for name in facts["placements"]
    }

    def build(folder: Path) -> dict[str, Any]:
        evaluation: dict[str, Any] = {
            "snapshot_id": source.snapshot_id,
            "as_of": source.as_of.isoformat(),
            "holdout": {"from": plan.holdout.isoformat(), "to": plan.as_of.isoformat()},
            "placements": {},
        }
        examples = []
        (folder / VALUES).mkdir()
        holdout = read_holdout(
            settings, source, plan.holdout, open_artifact(facts["features"]) / cut_name(plan.holdout)
        )
        for placement in facts["placements"]:
            about, chosen = _champion(settings, placement, serving[placement], plan, ranking_set)
            others = {} if chosen is None else {CHAMPION: chosen.ranked}
            others |= _references(settings, placement, references, plan)
            measured = evaluate_placement(settings, holdout, placement, plan, facts, rankers, ranking_set, others)
            compared = measured.compared
            if about and chosen is not None:
                about["changes"] = changes(chosen.shown, measured.shaped)
                timed = {RANKER: measured.timed, CHAMPION: chosen.timed}
                about["seconds"] = scoring_times(settings, timed, plan.holdout)
            evaluation["placements"][placement] = compared.figures | {CHAMPION: about}
            compared.values.write(folder / VALUES / f"{placement}.parquet")
            truth = holdout.ground(repeats=settings.placement(placement).repeats).truth
            lists = {AFTER: measured.shaped, RANKED: measured.ranked}
            lists |= {} if chosen is None else {BEFORE: chosen.shown}
            examples += collect_examples(settings, source, placement, plan.holdout, truth, lists)
        text = json.dumps(evaluation, indent=1, allow_nan=False)
        (folder / METRICS_FILE).write_text(text, encoding="utf-8")
        (folder / "examples.json").write_text(json.dumps(examples, indent=1), encoding="utf-8")
        _write_papers(settings, source, evaluation, examples, tuple(facts["generators"]), folder)
        return {"metrics": _headlines(evaluation)}

    shown = (settings.publication.items, settings.publication.spare)
    shaping = {name: settings.placement(name).shaping.model_dump(mode="json") for name in facts["placements"]}
    policy = (settings.gate.model_dump(mode="json"), settings.evaluation.model_dump(mode="json"), shown, shaping)
    replaced = {name: version_key(one) for name, one in serving.items()}
    inputs = (open_artifact(rankers).name, open_artifact(ranking_set).name, replaced, sorted(references))
    made = ArtifactStore.of(settings).make(
        "evaluations", fingerprint(*inputs, policy, code_hash("evaluation", "shaping")), build
    )
    return {"evaluation": made.uri, "metrics": made.facts["metrics"], "reused": made.reused}


def _write_papers(
    settings: Settings,
    source: Snapshot,
    evaluation: Mapping[str, Any],
    examples: list[dict[str, Any]],
    generators: tuple[str, ...],
    folder: Path,
) -> None:
    """Write what people read: the report, a card a model, and the feature catalogue."""
    serves = {name: figures[CHAMPION] is not None for name, figures in evaluation["placements"].items()}
    write_report(
        evaluation,
        folder / REPORT,
        verdicts=judge(evaluation, settings.gate, has_champion=serves),
        examples=examples,
        meanings={feature.name: feature.meaning for feature in list_features(generators)},
    )
    for placement in evaluation["placements"]:
        card = model_card(
            evaluation,
            placement,
            settings,
            rows=source.manifest["rows"],
            learned_from=source.manifest["first_event"],
            generators=generators,
        )
        (folder / f"{CARD}{placement}.md").write_text(card, encoding="utf-8")
    (folder / FEATURES).write_text(catalogue(evaluation, generators), encoding="utf-8")


def papers(evaluation: Path) -> tuple[Path, ...]:
    """Return the files of an evaluation that are made for people."""
    return (evaluation / REPORT, *sorted(evaluation.glob(f"{CARD}*.md")), evaluation / FEATURES)


def _champion(
    settings: Settings, placement: str, found: Mapping[str, str] | None, plan: CutPlan, ranking_set: str
) -> tuple[dict[str, Any] | None, Chosen | None]:
    """Return what is said about the champion and, if it can be compared with, what it would have chosen."""
    if found is None:
        return None, None
    champion = open_champion(found, plan.holdout)
    if isinstance(champion, NotCompared):
        return describe(champion), None
    chosen = chosen_by(settings, placement, champion, plan, ranking_set, max(*settings.evaluation.ks, K))
    return describe(champion) | {"is_refreshed": chosen.is_refreshed}, chosen


def _references(settings: Settings, placement: str, references: Sequence[str], plan: CutPlan) -> dict[str, Lists]:
    """Return the lists of generators that the recipe doesn't use."""
    variant, k = VARIANTS[settings.placement(placement).repeats], max(*settings.evaluation.ks, K)
    found = {}
    for uri in references:
        lists = Lists.read(open_artifact(uri) / cut_name(plan.holdout) / f"{variant}.parquet", k)
        if len(lists.rank):
            found[facts_of(uri)["generator"]] = lists
    return found


def _headlines(evaluation: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    return {
        placement: {
            model: round(values[HEADLINE], 5) for model, values in found["models"].items() if HEADLINE in values
        }
        for placement, found in evaluation["placements"].items()
    }
