"""Artifacts: finished or not there, and never made twice."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from recsys.artifacts import (
    DONE,
    ArtifactStore,
    content_hash,
    facts_of,
    file_hash,
    fingerprint,
    local_path,
    open_artifact,
    replace_json,
)
from recsys.errors import AlteredError, NotFoundError
from tests.support.sealing import damage


def write(text: str):
    def build(folder: Path) -> dict[str, object]:
        (folder / "data").write_text(text)
        return {"text": text}

    return build


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir()) if root.is_dir() else []


def test_made_once_and_then_found(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    first, second = store.make("things", "a", write("one")), store.make("things", "a", write("two"))
    assert (first.reused, second.reused) == (False, True)
    assert first.uri == second.uri
    assert second.facts == {"text": "one"}
    assert (second.path / "data").read_text() == "one"
    assert names(tmp_path / "things") == ["a"]


def test_a_failing_maker_leaves_nothing(tmp_path: Path) -> None:
    def build(folder: Path) -> dict[str, object]:
        (folder / "half").write_text("half")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        ArtifactStore(tmp_path).make("things", "a", build)
    assert names(tmp_path / "things") == []
    assert ArtifactStore(tmp_path).find("things", "a") is None


def test_a_folder_without_its_mark_is_not_finished(tmp_path: Path) -> None:
    (tmp_path / "things" / "a").mkdir(parents=True)
    assert ArtifactStore(tmp_path).find("things", "a") is None


def test_a_folder_without_its_mark_gives_way(tmp_path: Path) -> None:
    (tmp_path / "things" / "a").mkdir(parents=True)
    (tmp_path / "things" / "a" / "half").write_text("half")
    made = ArtifactStore(tmp_path).make("things", "a", write("whole"))
    assert sorted(path.name for path in made.path.iterdir()) == ["_done.json", "data"]
    assert names(tmp_path / "things") == ["a"]


def alter(path: Path) -> None:
    damage(path / "data")


def remove(path: Path) -> None:
    (path / "data").unlink()


def unseal(path: Path) -> None:
    (path / DONE).unlink()


def cut_seal(path: Path) -> None:
    (path / DONE).write_text((path / DONE).read_text()[:20])


def seal_as_before(path: Path) -> None:
    """What a version before this one wrote: facts alone."""
    (path / DONE).write_text(json.dumps({"text": "one"}))


def other_facts(path: Path) -> None:
    seal = json.loads((path / DONE).read_text())
    (path / DONE).write_text(json.dumps({**seal, "facts": {"text": "two"}}))


def other_hash(path: Path) -> None:
    """Who alters a file and its hash in the seal has to alter the seal's own as well."""
    (path / "data").write_text("two")
    seal = json.loads((path / DONE).read_text())
    (path / DONE).write_text(json.dumps({**seal, "files": {"data": file_hash(path / "data")}}))


@pytest.mark.parametrize("harm", [alter, remove, unseal, cut_seal, seal_as_before, other_facts, other_hash])
def test_what_is_not_as_it_was_made_is_refused_and_made_anew(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    store = ArtifactStore(tmp_path)
    made = store.make("things", "a", write("one"))
    assert open_artifact(made.uri) == made.path
    assert facts_of(made.uri) == {"text": "one"}
    harm(made.path)
    for look in (open_artifact, facts_of):
        with pytest.raises(AlteredError, match="rerun the stage that makes"):
            look(made.uri)
    assert store.find("things", "a") is None
    again = store.make("things", "a", write("one"))
    assert not again.reused
    assert (open_artifact(again.uri) / "data").read_text() == "one"
    assert names(tmp_path / "things") == ["a"]


def test_one_file_can_be_checked_alone(tmp_path: Path) -> None:
    def build(folder: Path) -> dict[str, object]:
        (folder / "other").write_text("other")
        return write("one")(folder)

    made = ArtifactStore(tmp_path).make("things", "a", build)
    damage(made.path / "data")
    assert open_artifact(made.uri, only="other") == made.path
    with pytest.raises(AlteredError, match="/data is not what its stage wrote"):
        open_artifact(made.uri, only="data")


def test_a_file_is_read_once_as_long_as_nobody_writes_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = tmp_path / "draft" / "data", []
    path.parent.mkdir()
    path.write_text("one")
    monkeypatch.setattr("recsys.artifacts.sealing.file_hash", lambda one: read.append(one) or file_hash(one))
    assert content_hash(path) == content_hash(path) == file_hash(path)
    path = path.parent.rename(tmp_path / "finished") / "data"
    assert content_hash(path) == file_hash(path)
    assert len(read) == 1
    damage(path)
    assert content_hash(path) == file_hash(path)
    assert len(read) == 2


KILLED = """
import os, signal, sys
from pathlib import Path
from recsys.artifacts import ArtifactStore

def build(folder):
    (folder / "half").write_text("half")
    print("half", flush=True)
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.readline()
    return {}

ArtifactStore(Path(sys.argv[1])).make("things", sys.argv[2], build)
"""


def maker(root: Path, name: str) -> subprocess.Popen[str]:
    started = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(root), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "half\n"
    return started


def test_what_a_killed_maker_began_goes_and_what_a_living_one_fills_stays(tmp_path: Path) -> None:
    assert maker(tmp_path, "killed").wait(timeout=60) == -signal.SIGKILL
    assert len(names(tmp_path / "things")) == 2, "the draft and its lock"
    living = maker(tmp_path, "living")
    assert len(names(tmp_path / "things")) == 2, "its own in the place of the other's"
    ArtifactStore(tmp_path).make("things", "a", write("one"))
    assert len(names(tmp_path / "things")) == 3
    replace_json(tmp_path / "things" / "document.json", {})
    assert len(names(tmp_path / "things")) == 4
    living.communicate("go on\n", timeout=60)
    assert living.returncode == 0
    assert names(tmp_path / "things") == ["a", "document.json", "living"]


def test_what_a_killed_writer_of_a_document_left_goes_with_the_next(tmp_path: Path) -> None:
    assert maker(tmp_path, "killed").wait(timeout=60) == -signal.SIGKILL
    replace_json(tmp_path / "things" / "document.json", {"a": 1})
    assert names(tmp_path / "things") == ["document.json"]


def test_of_two_makers_the_first_is_kept(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)

    def build(folder: Path) -> dict[str, object]:
        ArtifactStore(tmp_path).make("things", "a", write("faster"))
        return write("slower")(folder)

    made = store.make("things", "a", build)
    assert made.reused
    assert (made.path / "data").read_text() == "faster"
    assert names(tmp_path / "things") == ["a"]


def test_what_one_maker_opens_is_not_taken_away_by_another(tmp_path: Path) -> None:
    makers = 4

    def make(number: int, start: Barrier) -> bytes:
        def build(folder: Path) -> dict[str, Any]:
            start.wait()
            (folder / "a").write_bytes(b"a" * 100_000)
            return {}

        made = ArtifactStore(tmp_path).make("things", f"n{number}", build)
        return (made.path / "a").read_bytes()

    with ThreadPoolExecutor(makers) as pool:
        for number in range(40):
            read = pool.map(make, [number] * makers, [Barrier(makers)] * makers)
            assert {len(content) for content in read} == {100_000}


def test_uris_with_odd_letters(tmp_path: Path) -> None:
    made = ArtifactStore(tmp_path / "a b%20ü#?").make("things", "x", write("one"))
    assert made.uri.startswith("file://")
    assert (local_path(made.uri) / "data").read_text() == "one"


def test_an_artifact_of_another_store_is_named() -> None:
    with pytest.raises(NotFoundError, match="s3://bucket/thing is of another store than RECSYS_ARTIFACTS"):
        open_artifact("s3://bucket/thing")


@pytest.mark.parametrize("uri", ["file:///no/such/thing", "ftp://bucket/thing", "/no/such/thing"])
def test_what_is_not_there_is_named(uri: str) -> None:
    with pytest.raises(NotFoundError, match=f"The artifact {uri} is not there; rerun the stage"):
        local_path(uri)


def test_fingerprints_depend_on_content_not_on_the_order_of_keys() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert len({fingerprint("a", "b"), fingerprint("ab"), fingerprint(["a", "b"]), fingerprint("b", "a")}) == 4


def test_file_hash_is_that_of_the_bytes_in_order(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(name.encode())
    # sha256 of "ab", as any tool gives it
    known = "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603"
    assert file_hash(tmp_path / "a", tmp_path / "b") == known
    assert file_hash(tmp_path / "b", tmp_path / "a") != known
