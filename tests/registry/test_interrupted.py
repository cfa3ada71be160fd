"""MLflow goes away in the middle of a registration: the next attempt leaves one run, one version and nothing else."""

from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from recsys.artifacts import fingerprint
from recsys.errors import RegistryError
from recsys.registry import TrainingRecord, connected, log_training, register_version
from recsys.registry.connection import experiment_id
from recsys.registry.training import PARENT
from recsys.settings import Settings, load_settings
from tests.registry.conftest import make_registration, make_training
from tests.support import children
from tests.support.mlflow_server import served_mlflow
from tests.support.severed import Line, line_to

# By the end of their names, and whether the server still gets the request, so that only its answer is lost.
CUTS = (
    ("/runs/create", True),
    ("/runs/update", False),
    ("/logged-models", True),
    ("/MLmodel", False),
    ("/runs/outputs", True),
    ("/model-versions/create", True),
)


@pytest.fixture(scope="module")
def line(served: tuple[Path, str]) -> Iterator[Line]:
    with line_to(served[1]) as made:
        yield made


@pytest.fixture
def settings(
    line: Line, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """Settings whose MLflow is at the other end of the line, under a name of the test's own."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    line.mend()
    name = f"cut_{fingerprint(request.node.name)}"
    yield load_settings(home=tmp_path / "home", tracking_uri=line.address, namespace=name)
    line.mend()


def register(settings: Settings, training: TrainingRecord, bundle: Path, package: Path) -> str:
    logged = log_training(settings, training)
    return register_version(settings, make_registration(logged, bundle, package)).version


def left(settings: Settings) -> dict[str, Any]:
    """Return what a person finds in MLflow."""
    with connected(settings) as client:
        experiment = experiment_id(client, settings)
        runs = client.search_runs([experiment])
        [parent] = [run for run in runs if PARENT not in run.data.tags]
        models = client.search_logged_models([experiment])
        found = client.search_model_versions(f"name = '{settings.model_name('for_you')}'")
        return {
            "runs": [(run.data.tags.get(PARENT) in (None, parent.info.run_id), run.info.status) for run in runs],
            "models": [(str(one.status), one.source_run_id == parent.info.run_id) for one in models],
            "outputs": [one.model_id for one in parent.outputs.model_outputs] == [one.model_id for one in models],
            "versions": [(one.version, one.run_id == parent.info.run_id, one.status) for one in found],
        }


ONE = {
    "runs": [(True, "FINISHED")] * 3,
    "models": [("READY", True)],
    "outputs": True,
    "versions": [("1", True, "READY")],
}


@pytest.mark.parametrize(("request_name", "is_answered"), CUTS)
def test_the_next_attempt_leaves_one_of_each(
    settings: Settings,
    line: Line,
    training: TrainingRecord,
    bundle: Path,
    package: Path,
    request_name: str,
    is_answered: bool,
) -> None:
    line.cut, line.is_answered = lambda _, name: name.endswith(request_name), is_answered
    with pytest.raises(RegistryError):
        register(settings, training, bundle, package)
    assert line.is_cut
    line.mend()
    assert register(settings, training, bundle, package) == "1"
    assert left(settings) == ONE


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_at_whatever_request_it_goes_away(
    settings: Settings, line: Line, training: TrainingRecord, bundle: Path, package: Path
) -> None:
    """Before every fifth request arrives, or before its answer does, in turn."""
    register(settings, training, bundle, package)
    count = len(line.seen)
    assert count > 40
    for at in range(1, count + 1, 5):
        own = settings.model_copy(update={"namespace": f"soak_{at}"})
        line.mend()
        line.cut, line.is_answered = (lambda seen, _, at=at: seen == at), at % 2 == 0
        with pytest.raises(RegistryError):
            register(own, training, bundle, package)
        line.mend()
        assert register(own, training, bundle, package) == "1", f"cut at request {at} of {count}"
        assert left(own) == ONE, f"cut at request {at} of {count}"


def test_a_server_that_is_killed_and_started_again(
    tmp_path: Path, training: TrainingRecord, bundle: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with served_mlflow(tmp_path) as server, line_to(server.address) as line:
        settings = load_settings(home=tmp_path, tracking_uri=line.address, namespace="killed")
        line.cut = lambda _, name: name.endswith("/model-versions/create")
        line.on_cut = server.kill
        with pytest.raises(RegistryError, match="can't be reached"):
            register(settings, training, bundle, package)
        assert server.process.exitcode is not None
        with served_mlflow(tmp_path) as again:
            line.mend(again.address)
            assert register(settings, training, bundle, package) == "1"
            assert left(settings) == ONE


def register_together(home: Path, uri: str, folder: Path, package: Path, begin: Barrier) -> None:
    """In a child: register when the others do."""
    settings = load_settings(home=home, tracking_uri=uri, namespace="together")
    training = make_training(folder)
    begin.wait()
    logged = log_training(settings, training)
    version = register_version(settings, make_registration(logged, folder / "learned", package))
    print(logged.run_id, version.version)


def test_two_attempts_at_once_leave_one_of_each(
    served: tuple[Path, str], tmp_path: Path, bundle: Path, package: Path
) -> None:
    home, begin, logs = tmp_path / "home", children.barrier(2), [tmp_path / f"{number}.log" for number in range(2)]
    given = (home, served[1], bundle.parent, package, begin)
    both = [children.start(register_together, *given, log=log) for log in logs]
    for one in both:
        one.join(timeout=120)
    told = [log.read_text(encoding="utf-8") for log in logs]
    assert [one.exitcode for one in both] == [0, 0], told
    first, second = (text.splitlines()[-1] for text in told)
    assert first == second
    assert first.split()[1] == "1"
    assert left(load_settings(home=home, tracking_uri=served[1], namespace="together")) == ONE
