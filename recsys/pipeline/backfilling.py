"""The stages of a backfill: what would have been published on a past day, kept in the archive and never live.

A day belongs to the champion that the ledger had then. Where there was none, a model is trained from what was known
then, by the recipe of the settings in force. Such a model is kept below the home folder and is not registered: nothing
in MLflow can then be taken for a candidate, get an alias or raise a question, and a year of days doesn't fill the
registry. Its lists name it as version of ``<model>_backfill``, which is also its folder below ``backfills/``.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from recsys import columns as c
from recsys import ledger, publication, registry
from recsys.artifacts import Artifact, ArtifactStore, fingerprint, local_path, uri_of, within_home
from recsys.cuts import cut_name
from recsys.moments import parse_moment
from recsys.pipeline.bundling import lay_out_bundle
from recsys.pipeline.rows import build_ranking_set
from recsys.pipeline.serving import Model, fit_models, new_publication
from recsys.pipeline.training import build_features, generate_candidates, train_rankers
from recsys.scoring import Recipe
from recsys.settings import Settings
from recsys.snapshot import Snapshot
from recsys.warehouse import migrate, open_warehouse

Result = dict[str, Any]
KIND: Final = "backfills"
ID_PART: Final = "backfill"
_BUNDLE: Final = "bundle"


def find_past_champions(settings: Settings, *, as_of: str, placements: list[str]) -> Result:
    """Read from the ledger what served each placement at a past moment.

    Returns:
        ``champions``: by placement ``model``, ``version`` and ``decision_id``, or None where nothing was approved then.

    Raises:
        SettingsError: if there is no such placement, or ``as_of`` is no moment.
    """
    moment = parse_moment(as_of)
    for placement in placements:
        settings.placement(placement)
    with open_warehouse(settings, purpose="read the champions of then") as warehouse:
        migrate(warehouse)
        found = {
            name: ledger.champion(warehouse, name) if moment is None else ledger.champion_at(warehouse, name, moment)
            for name in placements
        }
    return {
        "champions": {
            name: one and {"model": one.model_name, "version": one.model_version, "decision_id": one.decision_id}
            for name, one in found.items()
        }
    }


@within_home
def fetch_past_models(
    settings: Settings, *, snapshot: str, champions: Mapping[str, Mapping[str, str] | None]
) -> Result:
    """Fetch the champions of then, and train as of the snapshot where there was none.

    Returns:
        ``models``: by placement ``model``, ``version``, the URI of its ``bundle`` and ``decision_id``, which is None
        where it was trained.

    Raises:
        NotFoundError: if MLflow doesn't have a champion any more.
        RegistryError: if MLflow can't be reached, or a champion's files are not those that were registered.
        ContractError: if the history before the snapshot is too short to train on.
    """
    models: dict[str, dict[str, str | None]] = {}
    for placement, one in champions.items():
        if one is not None:
            bundle = registry.download_bundle(settings, one["model"], one["version"])
            models[placement] = {**one, _BUNDLE: uri_of(bundle)}
    untaught = [placement for placement, one in champions.items() if one is None]
    for placement, made in _train(settings, Snapshot.open(snapshot), untaught).items():
        version = made.path.name.removeprefix(f"{placement}-")
        named = {"model": f"{settings.model_name(placement)}_{ID_PART}", "version": version}
        models[placement] = {**named, _BUNDLE: uri_of(made.path / made.facts[_BUNDLE]), "decision_id": None}
    return {"models": {placement: models[placement] for placement in champions}}


@within_home
def fit_past_models(settings: Settings, *, snapshot: str, models: Mapping[str, Mapping[str, Any]]) -> Result:
    """Fit the models of a day to its snapshot, and plan the shards; as :func:`recsys.pipeline.fit_state` does.

    Raises:
        NotFoundError: if the files of a model are gone.
        AlteredError: if they are not those that were trained or registered.
    """
    chosen = {
        placement: Model(one["model"], one["version"], registry.open_bundle(one[_BUNDLE]))
        for placement, one in models.items()
    }
    return fit_models(settings, Snapshot.open(snapshot), chosen)


@within_home
def archive_lists(
    settings: Settings,
    *,
    state: str,
    lists: list[str],
    placement: str,
    decision_id: str | None,
    run_id: str,
    now: datetime,
) -> Result:
    """Stage, audit and keep one placement's lists of a past day; nothing live moves.

    Args:
        settings: in force.
        state: of :func:`fit_past_models`.
        lists: of :func:`recsys.pipeline.score_shard`, of all shards.
        placement: whose.
        decision_id: by which its version was the champion then; None if it was trained as of then.
        run_id: the run that made them.
        now: naive UTC.
    """
    new = new_publication(settings, state=state, lists=lists, placement=placement, run_id=run_id, kind=ID_PART)
    with open_warehouse(settings, purpose=f"archive {placement}") as warehouse:
        migrate(warehouse)
        record = publication.archive(warehouse, settings, new, now=now, decision_id=decision_id)
    return {
        c.PUBLICATION_ID: record.publication_id,
        c.PLACEMENT: placement,
        c.STATUS: record.status,
        c.MODEL_VERSION: record.model_version,
        "customers": record.user_count,
        "rows": record.row_count,
        "skipped": record.is_skipped,
    }


def _train(settings: Settings, source: Snapshot, placements: list[str]) -> dict[str, Artifact]:
    """Train the placements' models as of a snapshot; what was trained before is taken."""
    if not placements:
        return {}
    features = build_features(settings, snapshot=source.uri)["features"]
    candidates = [
        generate_candidates(settings, snapshot=source.uri, generator=name)["candidates"]
        for name in settings.candidates.generators
    ]
    ranking_set = build_ranking_set(
        settings, snapshot=source.uri, features=features, candidates=candidates, placements=placements
    )["ranking_set"]
    rankers = train_rankers(settings, ranking_set=ranking_set)["rankers"]
    return {placement: _keep(settings, source, rankers, placement) for placement in placements}


def _keep(settings: Settings, source: Snapshot, rankers: str, placement: str) -> Artifact:
    def build(folder: Path) -> dict[str, Any]:
        bundle = lay_out_bundle(settings, source, rankers, placement, folder / _BUNDLE)
        return {_BUNDLE: registry.name_bundle(bundle).name}

    recipe = Recipe.of(settings, placement).as_json()  # shaping is no part of what rankers learn
    name = f"{placement}-{cut_name(source.as_of)}-{fingerprint(local_path(rankers).name, recipe)}"
    return ArtifactStore.of(settings).make(KIND, name, build)
