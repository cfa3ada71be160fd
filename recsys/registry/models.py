"""Model versions: registering one, saying what was decided about it, and finding it again."""

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from recsys import columns as c
from recsys.artifacts import fingerprint
from recsys.assets import assets_root
from recsys.errors import NotFoundError, RegistryError
from recsys.registry import flatten, provenance
from recsys.registry.bundles import (
    BUNDLE,
    Staged,
    bundle_folder,
    cached_bundle,
    keep_bundle,
    known_bundle,
    share_bundle,
    staged,
    tree_hash,
)
from recsys.registry.connection import connected
from recsys.registry.turns import own_turn
from recsys.settings import Settings

LOG = logging.getLogger(__name__)
CODE_FILE = ("mlflow", "recommender.py")
FINGERPRINT = "recsys.fingerprint"
BUNDLE_HASH = "recsys.bundle_hash"
GATE_FOLDER = "gate"  # of a run, with the verdicts
DECISION = "decision_id"
MAX_DESCRIPTION = 5000
EXAMPLE_EVENTS = json.dumps(
    [
        {
            c.ITEM_ID: "1029743",
            c.EVENT_TYPE: c.PURCHASE,
            c.OCCURRED_AT: "2017-12-01T17:05:00",
            c.QUANTITY: 1,
            c.VALUE: 2.5,
        }
    ]
)
EXAMPLE = {c.SUBJECT_ID: "1", c.PLACEMENT: "for_you", "k": 10, "events": EXAMPLE_EVENTS}


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What becomes a version of the placement's model.

    ``bundle`` is the folder of plain files that ``recsys.scoring.load_recommender`` reads;
    ``description`` is the evidence in Markdown; ``metrics`` are the figures of the ranker, shown on the
    version's page and logged to the run under the placement's name; ``package`` is the library to pack
    (this one if None).
    """

    placement: str
    run_id: str
    bundle: Path
    snapshot_id: str
    as_of: str
    description: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    package: Path | None = None


@dataclass(frozen=True)
class ModelVersion:
    """A version in the registry."""

    placement: str
    model: str
    version: str
    run_id: str
    description: str
    tags: Mapping[str, str]
    reused: bool = False

    @property
    def uri(self) -> str:
        """The URI that ``mlflow.pyfunc.load_model`` takes."""
        return f"models:/{self.model}/{self.version}"


def register_version(settings: Settings, registration: Registration) -> ModelVersion:
    """Register a bundle with its code as the next version of the placement's model.

    The same content (snapshot, recipe, bundle and code) is registered once: a second call returns the
    first version.

    Raises:
        RegistryError: if MLflow can't be reached or refuses, or the bundle holds what it must not.
        SettingsError: if there is no such placement.
    """
    name = settings.model_name(registration.placement)
    with (
        staged(registration.bundle, registration.package) as files,
        own_turn(settings),
        connected(settings) as client,
    ):
        bundle_hash = tree_hash(files.bundle)
        key = fingerprint(
            registration.snapshot_id,
            flatten.recipe(settings),
            bundle_hash,
            tree_hash(files.code),
            registration.placement,
        )
        found = client.search_model_versions(f"name = '{name}' and tags.`{FINGERPRINT}` = '{key}'")
        if found:
            oldest = min(found, key=lambda version: int(version.version))
            return _version(registration.placement, oldest, reused=True)
        tags = _tags(settings, registration) | {FINGERPRINT: key, BUNDLE_HASH: bundle_hash}
        _ensure_model(client, settings, registration.placement)
        model_id = _log_model(client, registration, files, key)
        created = client.create_model_version(
            name,
            source=f"models:/{model_id}",
            run_id=registration.run_id,
            tags=tags,
            description=_fitting(registration.description),
            model_id=model_id,
        )
        return _version(registration.placement, created)


def get_version(settings: Settings, model: str, version: str) -> ModelVersion:
    """Return a version of a model.

    Raises:
        NotFoundError: if the registry has no such version.
        RegistryError: if MLflow can't be reached.
    """
    with connected(settings) as client:
        found = client.get_model_version(model, version)
        return _version(found.tags.get(c.PLACEMENT, ""), found)


def record_gate(settings: Settings, version: ModelVersion, verdict: Mapping[str, Any]) -> None:
    """Tag a version with what the gate said and why, and log the verdict, rule by rule, to its run.

    Args:
        settings: where MLflow is.
        version: the version that was judged.
        verdict: of ``recsys.evaluation.gate.judge``, JSON-able.

    Raises:
        RegistryError: if MLflow can't be reached.
    """
    with connected(settings) as client:
        client.log_dict(version.run_id, dict(verdict), f"{GATE_FOLDER}/{version.placement}-{version.version}.json")
    tags = {"gate": verdict["gate"], "gate_kind": verdict["kind"], "gate_reason": verdict["why"]}
    _tag(settings, version.model, version.version, tags)


def record_review(
    settings: Settings,
    model: str,
    version: str,
    *,
    review: Literal["pending", "approved", "rejected"],
    reviewed_by: str = "",
    reason: str = "",
    reviewed_at: str = "",
    decision_id: str = "",
) -> None:
    """Tag a version with a person's or a policy's decision, and its id in the ledger, which stays the truth."""
    tags = {"review": review, "reviewed_by": reviewed_by, "review_reason": reason}
    # The id last: a page that names the decision has all of it.
    entry = {"reviewed_at": reviewed_at, DECISION: decision_id}
    _tag(settings, model, version, tags | {name: value for name, value in entry.items() if value})


def record_refusal(settings: Settings, model: str, version: str, why: str) -> None:
    """Tag a version with why the alias ``champion`` was taken back from it."""
    _tag(settings, model, version, {"refused": why})


def describe(settings: Settings, model: str, version: str, description: str) -> None:
    """Replace the evidence on a version's page."""
    with connected(settings) as client:
        client.update_model_version(model, version, _fitting(description))


def download_bundle(settings: Settings, model: str, version: str) -> Path:
    """Return a local folder with a version's plain files, downloaded once and checked each time.

    What is approved is the ledger's to say, so a version that was downloaded before serves on while MLflow is away, or
    after somebody deleted it there; the log says so.

    Raises:
        NotFoundError: if the registry has no such version, and it was never downloaded.
        RegistryError: if MLflow can't be reached and it was never downloaded, the version is not one of this
            platform, or the files are not those that were registered.
    """
    try:
        expected = _registered_hash(settings, model, version)
    except (NotFoundError, RegistryError) as error:
        known = known_bundle(settings, model, version)
        if known is None:
            raise
        LOG.warning("Version %s of %s is used as it was downloaded before (%s): %s", version, model, known, error)
        return share_bundle(settings, known)
    if expected is None:
        raise RegistryError(f"Version {version} of {model} was not registered by this platform: no {BUNDLE_HASH} tag.")
    folder = bundle_folder(settings, model, version, expected)
    found = cached_bundle(folder, expected) or _downloaded(settings, f"models:/{model}/{version}", folder, expected)
    return share_bundle(settings, found)


def _registered_hash(settings: Settings, model: str, version: str) -> str | None:
    with connected(settings) as client:
        expected: str | None = client.get_model_version(model, version).tags.get(BUNDLE_HASH)
        return expected


def _downloaded(settings: Settings, uri: str, folder: Path, expected: str) -> Path:
    import mlflow

    with connected(settings), TemporaryDirectory(prefix="recsys-bundle-") as temporary:
        source = f"{uri}/artifacts/{BUNDLE}"
        downloaded = mlflow.artifacts.download_artifacts(artifact_uri=source, dst_path=temporary)
        return keep_bundle(settings, Path(downloaded), folder, expected)


def _tag(settings: Settings, model: str, version: str, tags: Mapping[str, str]) -> None:
    with connected(settings) as client:
        for name, value in tags.items():
            client.set_model_version_tag(model, version, name, value)


def _ensure_model(client: Any, settings: Settings, placement: str) -> None:
    from mlflow.exceptions import MlflowException

    name = settings.model_name(placement)
    text = (
        f"Ranks `{placement}`. What is approved and live is decided in the warehouse's ledger "
        "(`recsys publications`); the aliases here follow it: `champion` serves, `challenger` is under "
        "review, `previous` is what a rollback returns to."
    )
    try:
        client.create_registered_model(name, description=text)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _log_model(client: Any, registration: Registration, files: Staged, key: str) -> str:
    """Log the model beside the training's run, without debris of an attempt that stopped half-way.

    MLflow's own ``log_model`` reopens the run, and a failure in it would mark the finished training
    as failed; so its steps are done here with the client.
    """
    from mlflow.entities import LoggedModelOutput, Metric

    run = client.get_run(registration.run_id)
    model = _earlier_model(client, run, key) or _new_model(client, run, registration, files, key)
    outputs = run.outputs.model_outputs if run.outputs else []
    if model.model_id not in {one.model_id for one in outputs}:
        client.log_outputs(registration.run_id, [LoggedModelOutput(model.model_id, step=0)])
    at = model.creation_timestamp
    figures = [
        Metric(f"{registration.placement}.{flatten.metric_name(name)}", value, at, 0, model_id=model.model_id)
        for name, value in registration.metrics.items()
    ]
    client.log_batch(registration.run_id, metrics=figures)
    return str(model.model_id)


def _earlier_model(client: Any, run: Any, key: str) -> Any | None:
    """Return what an attempt that stopped later left whole, and delete what others left."""
    whole = None
    for model in client.search_logged_models([run.info.experiment_id], f"tags.`{FINGERPRINT}` = '{key}'"):
        # The run may name it among its outputs already, and MLflow takes nothing out of these.
        if whole is None and str(model.status) == "READY" and model.source_run_id == run.info.run_id:
            whole = model
        else:
            client.delete_logged_model(model.model_id)
    return whole


def _new_model(client: Any, run: Any, registration: Registration, files: Staged, key: str) -> Any:
    model = client.create_logged_model(
        run.info.experiment_id,
        name=registration.placement,
        source_run_id=registration.run_id,
        tags={FINGERPRINT: key},
        params={c.PLACEMENT: registration.placement, "snapshot_id": registration.snapshot_id},
        model_type="recommender",
    )
    with TemporaryDirectory(prefix="recsys-packed-") as temporary:
        packed = Path(temporary, "model")
        _pack(packed, files, registration, model)
        client.log_model_artifacts(model.model_id, str(packed))
    client.finalize_logged_model(model.model_id, "READY")
    return model


def _pack(folder: Path, files: Staged, registration: Registration, model: Any) -> None:
    """Write the model as MLflow reads it: a code file, the library, plain files, pinned requirements."""
    from mlflow.models import Model

    import mlflow

    mlflow.pyfunc.save_model(
        path=str(folder),
        python_model=str(assets_root().joinpath(*CODE_FILE)),
        artifacts={BUNDLE: str(files.bundle)},
        code_paths=[str(files.code)],
        signature=signature(),
        input_example=_example(registration.placement),
        pip_requirements=provenance.requirements(),
        mlflow_model=Model(
            artifact_path=model.artifact_location,
            model_uuid=model.model_id,
            model_id=model.model_id,
            run_id=registration.run_id,
        ),
    )
    for cache in folder.rglob("__pycache__"):
        shutil.rmtree(cache)


def signature() -> Any:
    """Return the contract of a loaded model: one row a subject in, one row a recommended item out."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    inputs = [
        ColSpec(DataType.string, c.SUBJECT_ID),
        ColSpec(DataType.string, c.PLACEMENT),
        ColSpec(DataType.long, "k"),
        ColSpec(DataType.string, "events"),
    ]
    outputs = [
        ColSpec(DataType.string, c.SUBJECT_ID),
        ColSpec(DataType.string, c.ITEM_ID),
        ColSpec(DataType.long, c.RANK),
        ColSpec(DataType.double, c.SCORE),
        ColSpec(DataType.string, c.SOURCE),
        ColSpec(DataType.string, c.REASON),
    ]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def _example(placement: str) -> Any:
    import pandas as pd

    return pd.DataFrame([EXAMPLE | {c.PLACEMENT: placement}])


def _tags(settings: Settings, registration: Registration) -> dict[str, str]:
    code = provenance.code_state()
    return {
        c.PLACEMENT: registration.placement,
        "snapshot_id": registration.snapshot_id,
        "as_of": registration.as_of,
        "review": "pending",
        "run": registration.run_id,
        "git_commit": code.commit,
        "recipe": flatten.recipe_hash(settings),
        **registration.tags,
    }


def _fitting(description: str) -> str:
    """Cut a description to what MLflow's database holds, at a line's end."""
    if len(description) <= MAX_DESCRIPTION:
        return description
    return description[: MAX_DESCRIPTION - 60].rpartition("\n")[0] + "\n\n(Shortened; the report has all of it.)"


def _version(placement: str, found: Any, *, reused: bool = False) -> ModelVersion:
    return ModelVersion(
        placement=placement,
        model=found.name,
        version=str(found.version),
        run_id=found.run_id or "",
        description=found.description or "",
        tags=dict(found.tags),
        reused=reused,
    )
