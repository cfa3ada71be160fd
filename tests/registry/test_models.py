"""Model versions in a real MLflow: packing, loading in a clean process, finding again."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recsys.errors import NotFoundError, RegistryError
from recsys.registry import (
    ModelVersion,
    Registration,
    connected,
    describe,
    download_bundle,
    get_version,
    record_gate,
    record_review,
    register_version,
    set_alias,
)
from recsys.registry.bundles import tree_hash
from recsys.settings import Settings, load_settings
from tests.registry.conftest import Shared

CLEAN_PROCESS = """
import json, sys
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
rows = [
    {"subject_id": "u1", "placement": "for_you", "k": 2, "events": "[]"},
    {"subject_id": "u2", "placement": "for_you", "k": 3, "events": '[{"item_id": "bread"}]'},
]
lists = model.predict(pd.DataFrame(rows))
import recsys
print(json.dumps({"lists": lists.to_dict("list"), "library": recsys.__file__}))
"""


@pytest.fixture
def version(settings: Settings, registration: Registration) -> ModelVersion:
    return register_version(settings, registration)


def files_of(settings: Settings, version: ModelVersion, folder: Path) -> list[str]:
    import mlflow

    with connected(settings):
        root = Path(mlflow.artifacts.download_artifacts(artifact_uri=version.uri, dst_path=str(folder)))
    return [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]


def load_in_a_clean_process(settings: Settings, uri: str, folder: Path) -> dict[str, Any]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "RECSYS_", "PYTHON"))}
    environment = {
        **kept,
        "MLFLOW_TRACKING_URI": settings.mlflow_uri,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    done = subprocess.run(
        [sys.executable, "-c", CLEAN_PROCESS, uri],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_version_says_where_it_comes_from(shared: Shared) -> None:
    settings, registration, version = shared.settings, shared.registration, shared.version
    assert (version.model, version.version) == (f"{settings.namespace}_for_you", "1")
    found = get_version(settings, version.model, "1")
    assert found.run_id == registration.run_id
    assert found.description == "**For you**: better by 0.015"
    assert found.placement == "for_you"
    assert found.tags["snapshot_id"] == registration.snapshot_id
    assert found.tags["as_of"] == "2017-12-05T00:00:00"
    assert found.tags["review"] == "pending"
    assert "gate" not in found.tags


def test_its_figures_stand_beside_the_model(shared: Shared) -> None:
    settings, version = shared.settings, shared.version
    with connected(settings) as client:
        run = client.get_run(version.run_id)
        (output,) = run.outputs.model_outputs
        model = client.get_logged_model(output.model_id)
    assert str(model.status) == "READY"
    assert [(metric.key, metric.value) for metric in model.metrics] == [("for_you.ndcg_10", 0.42)]
    assert run.info.status == "FINISHED"


def test_it_is_code_and_plain_files(shared: Shared, tmp_path: Path) -> None:
    settings, version = shared.settings, shared.version
    files = files_of(settings, version, tmp_path)
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".joblib", ".pyc"))]
    assert "artifacts/bundle/items.json" in files
    assert "code/recsys/settings/settings.py" in files
    assert "code/recsys/_shipped/sql/schema/0001_shop.sql" in files
    assert {"MLmodel", "input_example.json", "requirements.txt"} <= set(files)


def test_it_loads_in_a_clean_process_by_its_alias(shared: Shared, tmp_path: Path) -> None:
    settings, version = shared.settings, shared.version
    set_alias(settings, version.model, "champion", version.version)
    found = load_in_a_clean_process(settings, f"models:/{version.model}@champion", tmp_path)
    assert found["lists"]["subject_id"] == ["u1", "u1", "u2", "u2"]
    assert found["lists"]["item_id"] == ["bread", "milk", "milk", "soap"]
    assert found["lists"]["rank"] == [1, 2, 1, 2]
    assert list(found["lists"]) == ["subject_id", "item_id", "rank", "score", "source", "reason"]
    # The library came with the model, not from this checkout.
    assert found["library"].endswith("/code/recsys/__init__.py")


def test_the_signature_names_what_goes_in_and_comes_out(shared: Shared, tmp_path: Path) -> None:
    settings, version = shared.settings, shared.version
    import mlflow

    with connected(settings):
        info = mlflow.models.get_model_info(version.uri)
        example = json.loads(mlflow.artifacts.load_text(f"{version.uri}/input_example.json"))
    assert info.signature.inputs.input_names() == ["subject_id", "placement", "k", "events"]
    assert info.signature.outputs.input_names() == [
        "subject_id",
        "item_id",
        "rank",
        "score",
        "source",
        "reason",
    ]
    row = dict(zip(example["columns"], example["data"][0], strict=True))
    assert json.loads(row["events"])[0]["event_type"] == "purchase"


def test_the_same_content_is_registered_once(
    settings: Settings, registration: Registration, version: ModelVersion
) -> None:
    again = register_version(settings, registration)
    assert (again.version, again.reused, version.reused) == ("1", True, False)
    with connected(settings) as client:
        assert len(client.search_model_versions(f"name = '{version.model}'")) == 1
        experiment = client.get_experiment_by_name(settings.namespace)
        assert len(client.search_logged_models([experiment.experiment_id])) == 1


def test_other_content_is_the_next_version(
    settings: Settings, registration: Registration, version: ModelVersion
) -> None:
    (registration.bundle / "items.json").write_text('["soap"]', encoding="utf-8")
    assert register_version(settings, registration).version == "2"
    newer = dataclasses.replace(registration, snapshot_id="20171212T000000-fedcba9876543210")
    assert register_version(settings, newer).version == "3"


def test_an_attempt_that_stopped_half_way_leaves_one_model(
    settings: Settings, registration: Registration, version: ModelVersion
) -> None:
    with connected(settings) as client:
        client.delete_model_version(version.model, version.version)  # as if it had not got that far
    again = register_version(settings, registration)
    assert again.reused is False
    with connected(settings) as client:
        experiment = client.get_experiment_by_name(settings.namespace)
        assert len(client.search_logged_models([experiment.experiment_id])) == 1


def test_gate_and_review_are_tags(settings: Settings, version: ModelVersion) -> None:
    verdict = {"gate": "passed", "kind": "first", "why": "All rules hold.", "rules": []}
    record_gate(settings, version, verdict)
    with connected(settings) as client:
        logged = client.download_artifacts(version.run_id, f"gate/{version.placement}-1.json")
    assert json.loads(Path(logged).read_text(encoding="utf-8")) == verdict
    record_review(settings, version.model, "1", review="approved", reviewed_by="policy", reason="first champion")
    describe(settings, version.model, "1", "New evidence")
    found = get_version(settings, version.model, "1")
    assert (found.tags["gate"], found.tags["gate_reason"]) == ("passed", "All rules hold.")
    assert (found.tags["review"], found.tags["reviewed_by"]) == ("approved", "policy")
    assert found.description == "New evidence"


def test_evidence_that_is_too_long_is_cut_at_a_line(settings: Settings, registration: Registration) -> None:
    long = "\n".join(f"| slice {n} | 0.1 |" for n in range(1000))
    found = register_version(settings, dataclasses.replace(registration, description=long)).description
    assert len(found) <= 5000
    assert found.endswith("| 0.1 |\n\n(Shortened; the report has all of it.)")


def test_a_bundle_comes_down_as_it_was_registered(
    settings: Settings, registration: Registration, version: ModelVersion, tmp_path: Path
) -> None:
    elsewhere = load_settings(home=tmp_path / "other", tracking_uri=settings.mlflow_uri, namespace=settings.namespace)
    folder = download_bundle(elsewhere, version.model, "1")
    assert folder.is_relative_to(tmp_path / "other")
    assert tree_hash(folder) == tree_hash(registration.bundle)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    (folder / "items.json").write_text('["poison"]', encoding="utf-8")
    assert tree_hash(download_bundle(elsewhere, version.model, "1")) == tree_hash(registration.bundle)


def test_a_bundle_that_was_changed_in_mlflow_is_refused(settings: Settings, version: ModelVersion) -> None:
    stored = list((settings.resolved_home / "mlflow" / "artifacts").rglob("artifacts/bundle/items.json"))
    newest = max(stored, key=lambda path: path.stat().st_mtime_ns)
    newest.write_text('["poison"]', encoding="utf-8")
    with pytest.raises(RegistryError, match="somebody changed it in MLflow"):
        download_bundle(settings, version.model, "1")
    assert not (settings.resolved_home / "models" / version.model).exists()


def test_a_pickle_in_the_bundle_is_refused(settings: Settings, registration: Registration) -> None:
    (registration.bundle / "model.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(RegistryError, match=r"model\.pkl"):
        register_version(settings, registration)


def test_a_missing_bundle_is_named(settings: Settings, registration: Registration, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="nowhere"):
        register_version(settings, dataclasses.replace(registration, bundle=tmp_path / "nowhere"))


def test_an_unknown_version_is_not_found(settings: Settings, version: ModelVersion) -> None:
    with pytest.raises(NotFoundError, match="no such thing"):
        get_version(settings, version.model, "99")
    with pytest.raises(NotFoundError):
        download_bundle(settings, f"{settings.namespace}_nothing", "1")
