"""Machines with homes of their own go on with each other's work, through an object store alone."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from recsys.artifacts import local_path
from recsys.settings import Settings
from tests.support.chain import PLACEMENTS, Ran, all_published, list_rows, write_chain_shop
from tests.support.machine import Machine, machine
from tests.support.object_store import KEY, download
from tests.support.planted import NOW, debris, quick_settings
from tests.support.searching import places
from tests.support.warehouse import user_id

MOMENT = {"$moment": NOW.isoformat()}


def test_what_machines_make_in_turns_is_what_one_makes(
    ran: Ran, tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two train in turns and lose their homes; then they score and publish, and erase a customer."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlflow").mkdir()
    given: dict[str, Any] = {
        "warehouse_url": f"duckdb:///{tmp_path / 'warehouse.duckdb'}",
        "tracking_uri": f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}",
        "artifacts": store_url,
    }
    settings = quick_settings(tmp_path, **given, privacy=KEY)
    write_chain_shop(settings)
    given["privacy"] = {"key": KEY.key}
    with (
        machine(tmp_path, tmp_path / "one", given) as one,
        machine(tmp_path, tmp_path / "second" / "home", given) as two,
    ):
        snapshot = one("take_snapshot", as_of="latest", now=MOMENT)["snapshot"]
        assert snapshot.startswith(f"{store_url}/snapshots/")
        train(one, two, snapshot)
        fitted = two("fit_state", snapshot=snapshot, placements=PLACEMENTS)
        shutil.rmtree(one.home)
        shutil.rmtree(two.home)
        lists = [two("score_shard", state=fitted["state"], **shard)["lists"] for shard in fitted["shards"]]
        for placement in PLACEMENTS:
            asked = {"state": fitted["state"], "lists": lists, "placement": placement}
            one("publish_lists", **asked, run_id="run", now=MOMENT)
        again = one("fit_state", snapshot=snapshot, placements=PLACEMENTS)
        assert (again["state"], again["reused"]) == (fitted["state"], True)
        check_lists(ran, two.home, lists, settings)
        assert len(places(user_id(0), one.home)) > 3
        erased = two("erase", user=user_id(0), by="ada", reason="request 1", now=MOMENT)
        assert erased["proof"]["remaining"] == 0
        assert one("plan_training", snapshot=snapshot, placements=PLACEMENTS)["parts"]  # of the snapshot's successor
    download(store_url, tmp_path / "bucket")
    assert places(user_id(0), tmp_path) == []
    assert debris(one.home) == debris(two.home) == []


def train(one: Machine, two: Machine, snapshot: str) -> None:
    """Let two machines train in turns, as Airflow's tasks do."""
    told = {"snapshot": snapshot, "placements": PLACEMENTS}
    planned = two("plan_training", **told)
    for part in planned["parts"]:
        two("make_ingredients", snapshot=snapshot, **{key: part[key] for key in part if key != "name"})
    for part in planned["rows"]:
        one("make_ranking_rows", **told, cuts=part["cuts"])
    for part in planned["learners"]:
        two("learn_rankers", **told, learned=part["learned"])
    joined = one("join_training", **told)
    champions = two("find_champions", placements=PLACEMENTS)["champions"]
    evaluation = two("evaluate_models", snapshot=snapshot, champions=champions, **joined)["evaluation"]
    trained = {"snapshot": snapshot, "rankers": joined["rankers"], "evaluation": evaluation}
    versions = one("register_models", **trained, run_name="run")["versions"]
    verdicts = two("apply_gate", evaluation=evaluation, versions=versions)["verdicts"]
    assert len(one("promote", verdicts=verdicts, now=MOMENT, channel="cli")["promoted"]) == len(PLACEMENTS)


def check_lists(ran: Ran, home: Path, lists: list[str], settings: Settings) -> None:
    """What was scored and what readers see is what the chain made of the same shop in one home."""
    for placement in PLACEMENTS:
        made = [home / "lists" / uri.rpartition("/")[2] / f"{placement}.parquet" for uri in lists]
        scored = [one["lists"] for name, one in ran.stages.items() if name.startswith("scoring")]
        expected = [local_path(uri) / f"{placement}.parquet" for uri in scored]
        assert [path.read_bytes() for path in made] == [path.read_bytes() for path in expected]
        assert len(list_rows(made)) > 1000
    assert all_published(settings) == all_published(ran.settings)
