"""Artifacts: finished or not there, and never made twice."""

from pathlib import Path

import pytest

from recsys.artifacts import ArtifactStore, file_hash, fingerprint, local_path
from recsys.errors import NotFoundError


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


def test_of_two_makers_the_first_is_kept(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)

    def build(folder: Path) -> dict[str, object]:
        ArtifactStore(tmp_path).make("things", "a", write("faster"))
        return write("slower")(folder)

    made = store.make("things", "a", build)
    assert made.reused
    assert (made.path / "data").read_text() == "faster"
    assert names(tmp_path / "things") == ["a"]


def test_uris_with_odd_letters(tmp_path: Path) -> None:
    made = ArtifactStore(tmp_path / "a b%20ü#?").make("things", "x", write("one"))
    assert made.uri.startswith("file://")
    assert (local_path(made.uri) / "data").read_text() == "one"


@pytest.mark.parametrize("uri", ["file:///no/such/thing", "s3://bucket/thing", "/no/such/thing"])
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
