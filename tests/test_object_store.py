"""Artifacts in an object store: homes are copies of it, and what is true of a folder's artifacts is true of these."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recsys import erasures
from recsys.artifacts import (
    DONE,
    Artifact,
    ArtifactStore,
    facts_of,
    open_artifact,
    read_document,
    within_home,
    write_document,
)
from recsys.doctor.finding import OK, Ground
from recsys.doctor.places import check_store
from recsys.errors import AlteredError, ErasedMeanwhileError, NotFoundError, SettingsError, StoreError
from recsys.homes import Home
from recsys.objects import ObjectStore
from recsys.privacy import old_artifacts
from recsys.settings import Settings
from tests.support.object_store import KEY, LOGIN, file_system, keys
from tests.support.warehouse import make_settings

ROOT = Path(__file__).parents[1]


def machine(folder: Path, name: str, url: str) -> Settings:
    return make_settings(folder, home=folder / name, artifacts=url, privacy=KEY)


@pytest.fixture
def machines(tmp_path: Path, store_url: str) -> tuple[Settings, Settings]:
    return machine(tmp_path, "one", store_url), machine(tmp_path, "other", store_url)


def write(text: str) -> Callable[[Path], dict[str, object]]:
    def build(folder: Path) -> dict[str, object]:
        (folder / "parts").mkdir()
        (folder / "parts" / "data").write_text(text)
        (folder / "more").write_text("more")
        return {"text": text}

    return build


def make(settings: Settings, text: str, kind: str = "things", name: str = "a") -> Artifact:
    return ArtifactStore.of(settings).make(kind, name, write(text))


def data(uri: str) -> str:
    return (open_artifact(uri) / "parts" / "data").read_text()


def copies(settings: Settings, kind: str = "things") -> list[str]:
    return [path.name for path in (settings.resolved_home / kind).glob("[!.]*") if path.is_dir()]


def test_what_one_machine_made_another_finds(machines: tuple[Settings, Settings], store_url: str) -> None:
    one, other = machines
    made = make(one, "text")
    assert (made.uri, made.reused, data(made.uri)) == (f"{store_url}/things/a", False, "text")
    found = make(other, "another text")
    assert (found.uri, found.reused, found.facts) == (made.uri, True, {"text": "text"})
    assert found.path == other.resolved_home / "things" / "a"
    assert facts_of(made.uri) == {"text": "text"}
    assert data(made.uri) == "text"
    assert copies(other) == ["a"]
    again = Home(other.resolved_home.with_name("third"), ObjectStore(store_url))
    assert (ArtifactStore(again.path, again.store).bring(Path("things/a/more"))).read_text() == "more"


def test_facts_alone_can_be_shared(machines: tuple[Settings, Settings]) -> None:
    one, other = machines
    ArtifactStore.of(one).make("things", "a", lambda _: {"weights": [1, 2]})
    assert ArtifactStore.of(other).make("things", "a", lambda _: {}).facts == {"weights": [1, 2]}


def test_a_part_can_be_read_without_the_rest(machines: tuple[Settings, Settings], store_url: str) -> None:
    one, other = machines
    make(one, "text")
    store = ArtifactStore.of(other)
    assert store.read("things", "a", "parts/data") == "text"
    assert copies(other) == []
    [key] = [key for key in keys(store_url) if key.endswith("parts/data")]
    file_system().pipe_file(f"{store_url}/{key}", b"test")
    with pytest.raises(AlteredError, match="things/a/parts/data is not what its stage wrote"):
        store.read("things", "a", "parts/data")
    with pytest.raises(NotFoundError):
        store.read("things", "b", "parts/data")


def alter(url: str) -> None:
    [key] = [key for key in keys(url) if key.endswith("parts/data")]
    file_system().pipe_file(f"{url}/{key}", b"test")


def remove(url: str) -> None:
    [key] = [key for key in keys(url) if key.endswith("/more")]
    file_system().rm_file(f"{url}/{key}")


def unseal(url: str) -> None:
    file_system().pipe_file(f"{url}/things/a/{DONE}", b"{")


def lead_away(url: str) -> None:
    seal = json.loads(file_system().cat_file(f"{url}/things/a/{DONE}"))
    seal["files"]["../../../outside"] = seal["files"].pop("more")
    file_system().pipe_file(f"{url}/things/a/{DONE}", json.dumps(seal).encode())


@pytest.mark.parametrize("harm", [alter, remove, unseal, lead_away])
def test_what_is_not_as_it_was_made_is_refused_and_made_anew(
    machines: tuple[Settings, Settings], store_url: str, harm: Callable[[str], None]
) -> None:
    one, other = machines
    uri = make(one, "text").uri
    harm(store_url)
    ArtifactStore.of(other)
    with pytest.raises(AlteredError, match=f"{store_url}/things/a.*rerun the stage that makes"):
        open_artifact(uri)
    assert copies(other) == []
    again = make(other, "text")
    assert not again.reused
    assert data(again.uri) == "text"
    assert make(one, "no").reused


KILLED = """
import os, signal, sys
from pathlib import Path
from recsys.artifacts import ArtifactStore
from recsys.objects import ObjectStore
from recsys.privacy import old_artifacts

whole = ObjectStore.upload if sys.argv[3] == "files" else ObjectStore.finish

def upload(self, folder, kind, name, seal, files):
    whole(self, folder, kind, name, seal, sorted(files)[:1])
    os.kill(os.getpid(), signal.SIGKILL)

def finish(self, kind, name, text):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[3] == "files":
    ObjectStore.upload = upload
else:
    ObjectStore.finish = finish

def build(folder):
    (folder / "data").write_text("one")
    (folder / "more").write_text("two")
    return {}

ArtifactStore(Path(sys.argv[1]), ObjectStore(sys.argv[2])).make("things", "a", build)
"""


@pytest.mark.parametrize("moment", ["files", "seal"])
def test_a_killed_upload_leaves_nothing_that_looks_finished(
    machines: tuple[Settings, Settings], store_url: str, moment: str
) -> None:
    one, other = machines
    command = [sys.executable, "-c", KILLED, str(one.resolved_home), store_url, moment]
    killed = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(keys(store_url)) == (1 if moment == "files" else 2)
    for settings in machines:
        store = ArtifactStore.of(settings)
        assert (store.find("things", "a"), store.made("things"), copies(settings)) == (None, {}, [])
    assert not make(one, "whole").reused
    assert data(make(other, "no").uri) == "whole"
    assert ObjectStore(store_url).tidy(datetime(2100, 1, 1, tzinfo=UTC)) == (1 if moment == "files" else 2)
    assert data(make(machine(one.resolved_home.parent, "third", store_url), "no").uri) == "whole"
    assert sorted(path.name for path in (one.resolved_home / "things").iterdir() if "draft" in path.name) == []


def test_of_two_makers_at_once_each_is_whole(machines: tuple[Settings, Settings]) -> None:
    """The second began before the first had finished."""
    one, other = machines

    def build(folder: Path) -> dict[str, object]:
        make(other, "first")
        return write("second")(folder)

    made = ArtifactStore.of(one).make("things", "a", build)
    assert (made.reused, data(made.uri)) == (True, "first")


def test_tidying_leaves_what_a_seal_names_or_may_name(machines: tuple[Settings, Settings], store_url: str) -> None:
    one, other = machines
    for name in "ab":
        make(one, "text", name=name)
    file_system().pipe_file(f"{store_url}/things/a/left/data", b"left")
    file_system().pipe_file(f"{store_url}/things/b/{DONE}", b"{")
    write_document(Home.of(one), one.resolved_home / "board" / "versions" / "v.json", {})
    erasures.count_erasure(Home.of(one), "erasure-1")
    before, store = keys(store_url), ObjectStore(store_url)
    assert store.tidy(datetime(2000, 1, 1, tzinfo=UTC)) == 0
    assert store.tidy(datetime(2100, 1, 1, tzinfo=UTC)) == 1
    assert keys(store_url) == [key for key in before if key != "things/a/left/data"]
    assert data(make(other, "no", name="a").uri) == "text"


def test_what_is_too_old_is_deleted_in_the_store(machines: tuple[Settings, Settings]) -> None:
    """When it was made counts, not when it was copied; the newest snapshot stays."""
    one, other = machines
    for name in ("first", "second"):
        make(one, "text", kind="snapshots", name=name)
    make(one, "text", kind="features")
    assert old_artifacts(other, datetime(2100, 1, 1)) == {}
    kept = other.model_copy(update={"privacy": KEY.model_copy(update={"snapshot_days": 1})})
    assert sum(old_artifacts(kept, datetime(2100, 1, 1)).values()) == 2
    assert len(ArtifactStore.of(one).made("snapshots")) == 1
    assert ArtifactStore.of(one).find("features", "a") is None


def test_what_is_deleted_is_gone_for_every_machine(machines: tuple[Settings, Settings], store_url: str) -> None:
    one, other = machines
    for settings in machines:
        make(settings, "text")
    ArtifactStore.of(one).discard("things", "a")
    assert (keys(store_url), copies(one), copies(other)) == ([], [], ["a"])
    make(other, "text", name="b")
    assert copies(other) == ["b"]
    assert ArtifactStore.of(other).find("things", "a") is None


def test_copies_are_dropped_when_another_machine_erases(machines: tuple[Settings, Settings], store_url: str) -> None:
    one, other = machines
    for settings in machines:
        make(settings, "with a customer")
    erasures.count_erasure(Home.of(one), "erasure-1")
    ArtifactStore.of(one).rewrite("things", "a", lambda draft: (draft / "parts" / "data").write_text("without"))
    assert len(keys(store_url)) == 4
    assert copies(other) == ["a"]
    with erasures.reading(Home.of(other)):
        assert copies(other) == []
        assert data(f"{store_url}/things/a") == "without"
    assert data(make(one, "no").uri) == "without"


def test_what_was_begun_before_an_erasure_on_another_machine_is_not_kept(
    machines: tuple[Settings, Settings], store_url: str
) -> None:
    one, other = machines

    def build(folder: Path) -> dict[str, object]:
        erasures.count_erasure(Home.of(one), "erasure-1")
        return write("with a customer")(folder)

    with pytest.raises(ErasedMeanwhileError):
        ArtifactStore.of(other).make("things", "a", build)
    assert [key for key in keys(store_url) if not key.startswith("erasures/")] == []
    assert copies(other) == []
    assert not make(other, "without").reused


def test_an_erasure_forgets_versions_and_unfinished_files(machines: tuple[Settings, Settings], store_url: str) -> None:
    one, _ = machines
    files, (bucket, _, prefix) = file_system(), store_url.removeprefix("s3://").partition("/")
    files.call_s3("put_bucket_versioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    files.pipe_file(f"{bucket}/other", b"of another program")
    files.pipe_file(f"{bucket}/other", b"changed")
    make(one, "text")
    make(one, "text", name="b")
    ArtifactStore.of(one).discard("things", "a")
    files.call_s3("create_multipart_upload", Bucket=bucket, Key=f"{prefix}/things/c/1/data")
    versions = files.call_s3("list_object_versions", Bucket=bucket, Prefix=f"{prefix}/")
    assert (len(versions["Versions"]), len(versions["DeleteMarkers"])) == (6, 3)
    assert ObjectStore(store_url).forget(datetime.now(UTC)) == 7
    left = files.call_s3("list_object_versions", Bucket=bucket)
    assert (len(left["Versions"]), "DeleteMarkers" in left) == (5, False)
    assert not files.call_s3("list_multipart_uploads", Bucket=bucket).get("Uploads")
    assert make(one, "no", name="b").reused


def test_a_process_that_was_forked_asks_by_itself(machines: tuple[Settings, Settings]) -> None:
    """As Airflow's tasks are."""
    one, other = machines
    make(one, "text")
    child = os.fork()
    if not child:
        code = 2
        try:
            code = 0 if data(make(other, "no").uri) == "text" else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert make(other, "no").reused


def test_documents_are_shared(machines: tuple[Settings, Settings]) -> None:
    one, other = machines
    path = Path("board", "placements.json")
    write_document(Home.of(one), one.resolved_home / path, {"a": 1})
    assert read_document(Home.of(other), other.resolved_home / path) == {"a": 1}
    assert read_document(Home.of(other), other.resolved_home / "board" / "none.json") is None


def test_the_doctor_looks_at_the_store(machines: tuple[Settings, Settings], store_url: str) -> None:
    one, _ = machines
    make(one, "text", kind="snapshots")
    [found] = check_store(Ground(one, lambda: datetime(2025, 1, 1)))
    assert (found.subject, found.status, found.found) == ("artifacts", OK, f"{store_url} answers; it has 1 snapshots")


@within_home
def stage(settings: Settings, *, snapshot: str) -> str:
    return snapshot


def test_stages_take_uris_of_their_store_alone(machines: tuple[Settings, Settings], store_url: str) -> None:
    one, other = machines
    assert stage(one, snapshot=f"{store_url}/snapshots/a") == f"{store_url}/snapshots/a"
    bad = (f"{store_url}/../a", f"{store_url}//etc", f"{store_url}x/a", "s3://elsewhere/a", f"file://{other.home}/a")
    for uri in bad:
        with pytest.raises(SettingsError, match="which is no artifact below"):
            stage(one, snapshot=uri)


def test_a_home_that_was_used_without_the_store_is_refused(tmp_path: Path, store_url: str) -> None:
    made = ArtifactStore.of(make_settings(tmp_path)).make("things", "a", write("text"))
    settings = make_settings(tmp_path, artifacts=store_url, privacy=KEY)
    with pytest.raises(SettingsError, match=r"made without the object store .* set RECSYS_HOME to a new folder"):
        make(settings, "text", name="b")
    assert data(made.uri) == "text"


def test_what_homes_must_have_in_common_is_asked_for(tmp_path: Path, store_url: str) -> None:
    with pytest.raises(SettingsError, match="RECSYS_PRIVACY__KEY"):
        make(make_settings(tmp_path, artifacts=store_url), "text")
    with pytest.raises(SettingsError, match="RECSYS_ENGINE=local"):
        make(make_settings(tmp_path, artifacts=store_url, privacy=KEY, engine="dask"), "text")


@pytest.mark.parametrize(
    "url", ["gs://bucket", "s3://", "s3://b", "s3://bucket/", "s3://me:secret@bucket/a", "s3://bucket/../a"]
)
def test_addresses_that_cannot_be_used_are_told(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="artifacts = ") as told:
        make_settings(tmp_path, artifacts=url)
    assert "secret" not in str(told.value)


def test_a_store_that_cannot_be_used_is_told_by_the_setting(tmp_path: Path, store_url: str) -> None:
    with pytest.raises(StoreError, match="There is no bucket for the object store s3://no-bucket-here/a: make it"):
        make(machine(tmp_path, "home", "s3://no-bucket-here/a"), "text")
    program = "from tests.test_object_store import *; make(machine(Path(sys.argv[1]), 'one', sys.argv[2]), 'text')"
    # Nobody answers at port 9, of discarded data.
    unreachable = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program, str(tmp_path), store_url]
    ended = subprocess.run(command, cwd=ROOT, env=os.environ | unreachable, capture_output=True, text=True, check=False)
    assert f"StoreError: The object store {store_url} (RECSYS_ARTIFACTS) can't be used" in ended.stderr
    assert LOGIN["AWS_SECRET_ACCESS_KEY"] not in ended.stderr


def test_what_is_missing_is_named(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(SettingsError, match=r"pip install 'recsys\[s3\]'"):
        make(machine(tmp_path, "home", store_url), "text")
