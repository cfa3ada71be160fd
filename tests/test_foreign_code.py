"""Nothing that is loaded runs code of its own: neither in our source, nor out of an artifact, a bundle or MLflow."""

import ast
import inspect
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys import pipeline
from recsys.artifacts import URIS, ArtifactStore
from recsys.assets import assets_root
from recsys.candidates.base import load_state
from recsys.errors import AlteredError, RegistryError, SettingsError
from recsys.registry.bundles import check_plain, name_bundle, open_bundle
from recsys.registry.connection import DEFAULTS
from recsys.stack.environment import server_environment
from recsys.stack.keys import load_keys
from tests.support.warehouse import make_settings

FOLDERS = ("recsys", "dags", "plugins", "mlflow")
MODULES = {"pickle", "cPickle", "_pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal", "skops"}
NAMES = {"eval", "exec", "compile", "__import__"}
# Of libraries: what unpickles by itself, or runs what it reads.
READERS = {"read_pickle", "unsafe_load", "full_load", "load_all", "system", "popen"}


class Bomb:
    """What makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def calls() -> Iterator[tuple[str, ast.AST]]:
    for folder in FOLDERS:
        for path in sorted((assets_root() / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                yield f"{path.relative_to(assets_root())}:{getattr(node, 'lineno', 0)}", node


def faults_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        yield from (name for name in named if name.split(".")[0] in MODULES)
    if not isinstance(node, ast.Call):
        return
    function = node.func
    options = {word.arg: word.value for word in node.keywords}
    if isinstance(function, ast.Name) and function.id in NAMES:
        yield function.id
    if isinstance(function, ast.Attribute):
        owner = getattr(function.value, "id", "")
        if function.attr in READERS or (owner, function.attr) in {("yaml", "load"), ("torch", "load")}:
            yield f"{owner}.{function.attr}"
        if (owner, function.attr) == ("np", "load") and not _is_false(options.get("allow_pickle")):
            yield "np.load without allow_pickle=False"
    if "allow_pickle" in options and not _is_false(options["allow_pickle"]):
        yield "allow_pickle"
    if "shell" in options and not _is_false(options["shell"]):
        yield "shell"


def _is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def test_nothing_in_the_source_loads_code() -> None:
    found = [f"{place}: {fault}" for place, node in calls() for fault in faults_of(node)]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from joblib import load",
        "eval('1')",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "np.savez(path, allow_pickle=True)",
        "yaml.load(text)",
        "pd.read_pickle(path)",
        "subprocess.run(command, shell=True)",
    ],
)
def test_the_search_finds_what_it_is_for(text: str) -> None:
    assert [fault for node in ast.walk(ast.parse(text)) for fault in faults_of(node)]


def test_a_pickle_in_a_state_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    np.savez(tmp_path / "state.npz", scores=np.array([Bomb(mark)], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        load_state(tmp_path / "state.npz")
    assert not mark.exists()
    # The same file does run when it is loaded the careless way: the bomb is no dud.
    with np.load(tmp_path / "state.npz", allow_pickle=True) as file:
        file["scores"]
    assert mark.exists()


@pytest.mark.parametrize("name", ["model.pkl", "deep/model.joblib", "model.PKL", "scores.npz", "items.json"])
def test_a_pickle_in_a_bundle_is_refused_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    mark = tmp_path / "ran"
    bundle = tmp_path / "bundle"
    (bundle / name).parent.mkdir(parents=True)
    (bundle / name).write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(RegistryError, match=re.escape(Path(name).name)):
        check_plain(bundle)
    assert not mark.exists()


def test_what_is_put_into_a_kept_bundle_is_refused(tmp_path: Path) -> None:
    bundle = tmp_path / "7"
    bundle.mkdir()
    (bundle / "items.json").write_text("[]", encoding="utf-8")
    kept = name_bundle(bundle)
    assert open_bundle(kept.as_uri()) == kept
    np.savez(kept / "state.npz", scores=np.array([Bomb(tmp_path / "ran")], dtype=object))
    with pytest.raises(AlteredError, match="altered or damaged"):
        open_bundle(kept.as_uri())
    assert not (tmp_path / "ran").exists()


def test_mlflow_may_not_unpickle_either(tmp_path: Path) -> None:
    assert DEFAULTS["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert server_environment(load_keys(tmp_path))["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    compose = (assets_root() / "docker-compose.yml").read_text(encoding="utf-8")
    assert "MLFLOW_ALLOW_PICKLE_DESERIALIZATION" in compose or "server.env" in compose


STAGES = [
    (name, parameter)
    for name in pipeline.__all__
    if inspect.isfunction(stage := getattr(pipeline, name))
    for parameter in inspect.signature(stage).parameters
    if parameter in URIS
]


def test_every_stage_that_takes_a_uri_is_known() -> None:
    assert len(STAGES) > 20
    assert {parameter for _, parameter in STAGES} == set(URIS)


@pytest.mark.parametrize(("name", "parameter"), STAGES)
def test_a_stage_refuses_what_lies_outside_of_home(tmp_path: Path, name: str, parameter: str) -> None:
    settings = make_settings(tmp_path)
    home = settings.resolved_home
    outside = ArtifactStore(tmp_path / "other").make("things", "a", lambda folder: {})
    home.mkdir()
    (home / "link").symlink_to(outside.path)
    stage = getattr(pipeline, name)
    for uri in (
        outside.uri,
        f"{home.as_uri()}/../other/things/a",
        f"{home.as_uri()}/%2e%2e/other/things/a",
        (home / "link").as_uri(),
        str(outside.path),
        "../other/things/a",
        f"file://elsewhere{outside.path}",
        "http://127.0.0.1:9/a",
        "s3://bucket/a",
        "file:///etc/passwd",
    ):
        given = dict.fromkeys(inspect.signature(stage).parameters, "x")
        del given["settings"]
        for value in (uri, [uri], {"for_you": [{"bundle": uri}]}):
            with pytest.raises(SettingsError, match=f"{parameter} is .* no artifact below"):
                stage(settings, **{**given, parameter: value})
