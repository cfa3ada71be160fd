"""Workers that are killed in each stage, or that do the same work at once: the next attempt ends as if nothing was."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from recsys import ledger, registry
from recsys.artifacts import content_hash
from recsys.publication import list_publications
from recsys.registry.connection import experiment_id
from recsys.registry.training import PARENT
from recsys.settings import PrivacySettings, Settings
from recsys.warehouse import open_warehouse
from tests.support.chain import PLACEMENTS, Ran, all_published, write_chain_shop
from tests.support.forked import KILLED, run_rounds
from tests.support.planted import debris, quick_settings

ARTIFACTS = ("snapshots", "features", "candidates", "ranking_sets", "rankers", "evaluations", "states", "plans")
LISTS = ("lists", "finished")
STEPS = (
    *(f"adopt:{kind}" for kind in ARTIFACTS[:-2]),
    # Registration: in the run, before a model's files are whole, before it is a version, before its gate is a tag.
    "mlflow:MlflowClient.log_inputs",
    "recsys.registry.training:_log_placement",
    "mlflow:MlflowClient.finalize_logged_model",
    "mlflow:MlflowClient.create_model_version",
    "recsys.registry.models:_tag",
    # Promotion: before the ledger knows, before the page does, before the champion's files are kept (which the next
    # attempt asks for), between an alias and the note of it.
    "recsys.pipeline.deciding:_approve",
    "recsys.pipeline.deciding:_tag_review",
    "recsys.registry.models:keep_bundle",
    "recsys.ledger:mark_written",
    "adopt:plans",
    *(f"adopt:{kind}" for kind in LISTS),
    "recsys.publication.publishing:go_live",
    "recsys.publication.publishing:prune",
)


@pytest.fixture(params=["home", pytest.param("object store", marks=pytest.mark.soak)])
def settings(request: pytest.FixtureRequest, ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    # With one key the homes name customers alike, so that files can be compared.
    key = (ran.settings.resolved_home / "privacy" / "key").read_text()
    store = {} if request.param == "home" else {"artifacts": request.getfixturevalue("store_url")}
    made = quick_settings(tmp_path, privacy=PrivacySettings(key=key), **store)
    write_chain_shop(made)
    return made


def told(settings: Settings, **others: Any) -> dict[str, Any]:
    """Return what a child is told of its home."""
    store = {} if settings.artifacts is None else {"artifacts": settings.artifacts}
    return {"privacy": {"key": settings.privacy.key}, **store, **others}


def contents(settings: Settings, *kinds: str) -> Counter[tuple[str, str, str]]:
    """Return what the files of artifacts hold, whatever their home and with it the names of folders."""
    return Counter(
        (kind, path.name, content_hash(path))
        for kind in kinds
        for path in (settings.resolved_home / kind).rglob("*")
        if path.suffix in (".parquet", ".txt", ".npy", ".npz")
    )


def in_mlflow(settings: Settings) -> dict[str, Any]:
    """Return how many runs, models and versions there are, and where the aliases point."""
    with registry.connected(settings) as client:
        experiment = experiment_id(client, settings)
        runs = client.search_runs([experiment])
        parents = {run.info.run_id for run in runs if PARENT not in run.data.tags}
        models = [settings.model_name(placement) for placement in PLACEMENTS]
        logged = client.search_logged_models([experiment])
        outputs = [one.model_id for run in runs if run.outputs for one in run.outputs.model_outputs]
        return {
            "status": {run.info.status for run in runs},
            "parents": len(parents),
            "children": Counter(run.data.tags[PARENT] in parents for run in runs if PARENT in run.data.tags),
            "versions": {name: len(client.search_model_versions(f"name = '{name}'")) for name in models},
            "logged": len(logged),
            "unknown outputs": set(outputs) - {one.model_id for one in logged},
            "aliases": {name: registry.get_alias(settings, name, "champion") for name in models},
        }


def in_warehouse(settings: Settings) -> dict[str, Any]:
    """Return what was decided and published."""
    with open_warehouse(settings, purpose="test") as warehouse:
        return {
            "decisions": [
                (one.placement, one.model_version, one.verdict, one.decided_by)
                for one in ledger.list_decisions(warehouse)
            ],
            "publications": sorted((one.publication_id, one.status) for one in list_publications(warehouse)),
            "aliases": [
                (one.model_name, one.alias, one.wanted_version, one.is_written)
                for one in ledger.list_aliases(warehouse)
            ],
        }


def check_like(settings: Settings, ran: Ran) -> None:
    """A home is like one on which the chain ran once, undisturbed."""
    assert in_warehouse(settings) == in_warehouse(ran.settings)
    assert in_mlflow(settings) == in_mlflow(ran.settings)
    assert in_mlflow(settings)["unknown outputs"] == set()
    assert contents(settings, *ARTIFACTS, *LISTS) == contents(ran.settings, *ARTIFACTS, *LISTS)
    assert all_published(settings) == all_published(ran.settings)
    assert debris(settings.resolved_home) == []


def test_killed_in_every_stage_the_chain_ends_as_one_that_never_was(settings: Settings, ran: Ran) -> None:
    rounds = [[{"step": step, "settings": told(settings)}] for step in STEPS]
    ended = run_rounds(Path(settings.resolved_home).parent, [*rounds, [{"settings": told(settings)}]])
    assert dict(zip(STEPS, (one[0] for one in ended), strict=False)) == dict.fromkeys(STEPS, KILLED)
    assert ended[-1] == [0]
    check_like(settings, ran)


def test_two_attempts_at_once_end_as_one(settings: Settings, ran: Ran) -> None:
    """Every stage twice at the same time; who comes second at what is live is told so, and has nothing left to do."""
    child = {"settings": told(settings)}
    [at_once, after] = run_rounds(Path(settings.resolved_home).parent, [[child, child], [child]])
    assert 0 in at_once
    assert set(at_once) <= {0, 1}
    assert after == [0]
    check_like(settings, ran)


def test_of_two_trainings_at_once_one_serves_and_both_are_there_to_decide_about(settings: Settings) -> None:
    """Another seed is another recipe. Who comes second was not measured against the first, so a person decides."""
    both = [{"settings": told(settings, seed=seed)} for seed in (1, 2)]
    ended = run_rounds(Path(settings.resolved_home).parent, [both, both[:1], both[1:]])
    assert set(ended[0]) <= {0, 1}
    assert ended[1:] == [[0], [0]]
    assert in_mlflow(settings)["versions"] == {settings.model_name(placement): 2 for placement in PLACEMENTS}
    assert in_mlflow(settings)["status"] == {"FINISHED"}
    with open_warehouse(settings, purpose="test") as warehouse:
        for placement in PLACEMENTS:
            approved = [one for one in ledger.list_decisions(warehouse, placement) if one.verdict == ledger.APPROVED]
            rows = warehouse.query(
                "select distinct model_version from recsys.live_recommendations where placement = :placement",
                {"placement": placement},
            )
            assert [row["model_version"] for row in rows] == [approved[-1].model_version]
            assert in_mlflow(settings)["aliases"][settings.model_name(placement)] == approved[-1].model_version
            live = [one for one in list_publications(warehouse) if (one.placement, one.status) == (placement, "live")]
            assert len(live) == 1
    assert debris(settings.resolved_home) == []
