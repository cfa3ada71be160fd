"""A training's ingredients in parts: as many as the data ask for, each made once, and the same as made in one."""

import shutil
from pathlib import Path

import pytest

from recsys import pipeline
from recsys.artifacts import DONE, content_hash
from recsys.settings import CandidateSettings, RankerSettings, Settings
from recsys.warehouse import open_warehouse
from tests.support.planted import NOW, debris, quick_settings
from tests.support.warehouse import write_small_shop

GENERATORS = ("popularity", "repurchase", "item_cf")


def settings_of(folder: Path, **given: object) -> Settings:
    candidates = CandidateSettings(generators=GENERATORS, item_neighbours=20, per_generator=20)
    return quick_settings(folder, candidates=candidates, ranker=RankerSettings(trees=10, cuts=1), **given)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, str]:
    """A home with a snapshot of 250 customers, in which a training has two cuts."""
    settings = settings_of(tmp_path_factory.mktemp("divided"))
    with open_warehouse(settings, purpose="test") as warehouse:
        write_small_shop(warehouse, users=250)
    return settings, pipeline.take_snapshot(settings, as_of="latest", now=NOW)["snapshot"]


def files_of(settings: Settings) -> dict[str, str]:
    """Return the hash of every file of features, candidates and ranking sets."""
    home = settings.resolved_home
    files = [path for kind in ("features", "candidates", "ranking_sets") for path in (home / kind).rglob("*")]
    return {str(path.relative_to(home)): content_hash(path) for path in files if path.is_file() and path.name != DONE}


def emptied(settings: Settings) -> None:
    for kind in ("features", "candidates", "ranking_sets"):
        shutil.rmtree(settings.resolved_home / kind, ignore_errors=True)


@pytest.mark.parametrize(("customers", "parts"), [(250, 1), (249, 2), (125, 2), (100, 2 * (1 + len(GENERATORS)))])
def test_there_are_more_parts_where_there_are_more_customers(
    shop: tuple[Settings, str], customers: int, parts: int
) -> None:
    settings, snapshot = shop
    told = settings.model_copy(update={"shard_customers": customers})
    planned = pipeline.plan_ingredients(told, snapshot=snapshot)["parts"]
    assert len(planned) == len({part["name"] for part in planned}) == parts
    made = [(cut, what) for part in planned for cut in part["cuts"] for what in part["generators"]]
    made += [(cut, "features") for part in planned for cut in part["cuts"] if part["features"]]
    assert len(made) == len(set(made)) == 2 * (1 + len(GENERATORS))


def test_parts_give_what_one_process_gives_each_by_itself_and_only_once(shop: tuple[Settings, str]) -> None:
    settings, snapshot = shop
    emptied(settings)
    features = pipeline.build_features(settings, snapshot=snapshot)["features"]
    candidates = [
        pipeline.generate_candidates(settings, snapshot=snapshot, generator=name)["candidates"] for name in GENERATORS
    ]
    whole = pipeline.build_ranking_set(
        settings, snapshot=snapshot, features=features, candidates=candidates, placements=["for_you"]
    )
    expected = files_of(settings)
    emptied(settings)

    divided = settings.model_copy(update={"shard_customers": 100})
    parts = [
        {name: value for name, value in part.items() if name != "name"}
        for part in pipeline.plan_ingredients(divided, snapshot=snapshot)["parts"]
    ]
    for part in parts:
        made = pipeline.make_ingredients(divided, snapshot=snapshot, **part)
        assert (made["artifacts"], made["reused"]) == (1, False)
    lost = sorted((settings.resolved_home / "candidates").glob("item_cf-*"))[0]
    shutil.rmtree(lost)
    again = [pipeline.make_ingredients(divided, snapshot=snapshot, **part) for part in parts]
    assert sum(not made["reused"] for made in again) == 1
    groups = pipeline.plan_cuts(divided, snapshot=snapshot)["groups"]
    assert [len(group) for group in groups] == [1, 1]
    for group in groups:
        rows = pipeline.make_ranking_rows(divided, snapshot=snapshot, placements=["for_you"], cuts=group)
        assert rows["rows"] and not rows["reused"]
    joined = pipeline.join_ranking_set(divided, snapshot=snapshot, placements=["for_you"])
    assert joined == whole
    assert files_of(settings) == expected
    assert debris(settings.resolved_home) == []


def test_a_join_links_the_parts_files_instead_of_copying_them(shop: tuple[Settings, str]) -> None:
    settings, snapshot = shop
    pipeline.join_ranking_set(settings, snapshot=snapshot, placements=["for_you"])
    folders = [path for path in (settings.resolved_home / "features").iterdir() if path.is_dir()]
    assert len(folders) == 3
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.name != DONE]
    assert {path.stat().st_nlink for path in files} == {2}


@pytest.mark.parametrize(
    ("threads", "tasks", "expected"),
    [(0, 1, (0, 4.0)), (0, 5, (None, 2.0)), (3, 5, (3, 2.0)), (0, 2, (None, 2.0))],
)
def test_tasks_that_divide_a_stage_share_the_cores_and_the_memory(
    tmp_path: Path, threads: int, tasks: int, expected: tuple[int | None, float]
) -> None:
    settings = quick_settings(tmp_path, threads=threads, memory_limit_gb=4.0)
    cores = settings.thread_count
    found = settings.for_one_of(tasks)
    wanted = max(1, cores // 2) if expected[0] is None else expected[0]
    assert (found.threads, found.memory_limit_gb) == (wanted, expected[1])
