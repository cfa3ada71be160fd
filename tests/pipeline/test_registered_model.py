"""The registered model, loaded by its URI in a clean process, answers as the batch published."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from recsys.registry import download_bundle
from tests.support.chain import PLACEMENTS, Ran, all_published
from tests.support.warehouse import item_id

K = 10
ASK = """
import json, os, sys
import mlflow, pandas
assert "recsys" not in sys.modules
asked = json.load(open(sys.argv[1]))
answers = {}
for name, (uri, rows) in asked.items():
    model = mlflow.pyfunc.load_model(uri)
    try:
        answers[name] = model.predict(pandas.DataFrame(rows)).to_dict("records")
    except Exception as error:
        answers[name] = f"{type(error).__name__}: {error}"
import recsys
answers["library"] = recsys.__file__
json.dump(answers, open(sys.argv[2], "w"))
"""


def history(*items: str) -> str:
    return json.dumps(
        [{"item_id": item, "occurred_at": f"2024-12-{day:02d}T10:00", "value": 3} for day, item in enumerate(items, 1)]
    )


def question(subject: str, placement: str, events: str, k: int = K) -> dict[str, Any]:
    return {"subject_id": subject, "placement": placement, "k": k, "events": events}


@pytest.fixture(scope="module")
def customers(ran: Ran) -> list[str]:
    users = sorted({row["user_id"] for row in all_published(ran.settings)["for_you"] if row["user_id"].startswith("u")})
    assert len(users) >= 100
    return users[:100]


def versions(ran: Ran) -> dict[str, str]:
    """Return each placement's champion's version."""
    return {one["placement"]: one["version"] for one in ran.stages["promotion"]["promoted"]}


@pytest.fixture(scope="module")
def answers(ran: Ran, customers: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process that has neither the checkout nor our settings gets from the models."""
    folder: Path = tmp_path_factory.mktemp("clean")
    uris = {name: f"models:/{ran.settings.model_name(name)}/{version}" for name, version in versions(ran).items()}
    own = history(*(item_id(n) for n in (0, 1, 2, 10, 11)))
    asked: dict[str, tuple[str, list[dict[str, Any]]]] = {
        name: (uris[name], [question(user, name, ran.snapshot.uri) for user in customers]) for name in PLACEMENTS
    }
    asked["events"] = (uris["for_you"], [question("a", "for_you", own, 7), question("b", "for_you", own, 3)])
    asked["new"] = (uris["discover"], [question("a", "discover", own)])
    for name, text in BAD.items():
        asked[name] = (uris["for_you"], [question("a", "for_you", text)])
    asked["placement"] = (uris["for_you"], [question("a", "discover", own)])
    (folder / "asked.json").write_text(json.dumps(asked))
    kept = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
    environment = {name: os.environ[name] for name in kept if name in os.environ} | {
        "MLFLOW_TRACKING_URI": ran.settings.mlflow_uri,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    done = subprocess.run(
        # -P: the checkout is not on the path, and the model brings its own library.
        [sys.executable, "-P", "-c", ASK, folder / "asked.json", folder / "answers.json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "answers.json").read_text())
    return found


BAD = {
    "no JSON": "[{",
    "an object": '{"item_id": "i001"}',
    "numbers": "[1, 2]",
    "no time": '[{"item_id": "i001"}]',
    "a bad time": '[{"item_id": "i001", "occurred_at": "yesterday"}]',
    "text for a number": '[{"item_id": "i001", "occurred_at": "2024-12-01T10:00", "quantity": "many"}]',
}


def test_the_model_brings_its_own_library(answers: dict[str, Any]) -> None:
    assert Path(answers["library"]).parts[-3:] == ("code", "recsys", "__init__.py")


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_hundred_customers_get_what_was_published(
    ran: Ran, customers: list[str], answers: dict[str, Any], placement: str
) -> None:
    published = [row for row in all_published(ran.settings)[placement] if row["user_id"] in set(customers)]
    found = answers[placement]
    assert len(found) == len(published) == 100 * K

    def named(row: dict[str, Any], subject: str) -> tuple[Any, ...]:
        return row[subject], row["rank"], row["item_id"], row["source"], row["reason"]

    assert [named(row, "subject_id") for row in found] == [named(row, "user_id") for row in published]
    assert [row["score"] for row in found] == pytest.approx([row["score"] for row in published], rel=1e-6)


def test_events_are_answered_with_k_items(answers: dict[str, Any]) -> None:
    found = answers["events"]
    assert [(row["subject_id"], row["rank"]) for row in found] == [
        *(("a", rank) for rank in range(1, 8)),
        *(("b", rank) for rank in range(1, 4)),
    ]
    lists = {subject: [row["item_id"] for row in found if row["subject_id"] == subject] for subject in "ab"}
    assert lists["b"] == lists["a"][:3], "the same history gives the same list"
    own = {item_id(n) for n in (0, 1, 2, 10, 11)}
    told = [row for row in found if row["item_id"] in own]
    assert told
    assert all(row["reason"].startswith("You bought this on ") for row in told)


def test_events_of_discover_are_not_shown_again(answers: dict[str, Any]) -> None:
    assert len(answers["new"]) == K
    assert not {row["item_id"] for row in answers["new"]} & {item_id(n) for n in (0, 1, 2, 10, 11)}


@pytest.mark.parametrize("name", BAD)
def test_events_that_cannot_be_read_are_told(answers: dict[str, Any], name: str) -> None:
    assert answers[name].startswith("SettingsError: The events of subject 'a' can't be read"), answers[name]
    assert "snapshot's URI, or a JSON list such as" in answers[name]


def test_another_placement_is_told(answers: dict[str, Any]) -> None:
    assert answers["placement"] == "SettingsError: This model ranks 'for_you', not 'discover' (subject 'a')."


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_bundle_is_plain_and_knows_no_customer(ran: Ran, placement: str) -> None:
    bundle = download_bundle(ran.settings, ran.settings.model_name(placement), versions(ran)[placement])
    files = [path for path in bundle.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".txt", ".npz", ".parquet"}
    users = [f"u{n:04d}" for n in range(1, 181)] + ["new1", "new2", "new3"]
    assert set(users) == known_users(ran)
    for path in files:
        text = readable(path)
        assert not [user for user in users if user in text], path


def known_users(ran: Ran) -> set[str]:
    with duckdb.connect() as connection:
        return {user for (user,) in connection.execute(f"select user_id from '{ran.snapshot.users}'").fetchall()}


def readable(path: Path) -> str:
    """Return a file's content as text; Parquet and NPZ are packed, so a plain search would find nothing."""
    if path.suffix == ".parquet":
        with duckdb.connect() as connection:
            rows = connection.execute(f"select to_json(t)::varchar from '{path}' t").fetchall()
        return "\n".join(row for (row,) in rows)
    if path.suffix == ".npz":
        import numpy as np

        with np.load(path, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype.kind in "iuf" for name in arrays.files)
            assert not [name for name in arrays.files if arrays[name].shape[:1] == (183,)]
            return " ".join(arrays.files)
    return path.read_text(encoding="utf-8")
