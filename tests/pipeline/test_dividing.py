"""A training's ingredients in parts: as many as the data ask for, each made once, and the same as made in one."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys import pipeline
from recsys.artifacts import DONE, content_hash
from recsys.errors import SettingsError
from recsys.settings import CandidateSettings, RankerSettings, Settings
from recsys.warehouse import open_warehouse
from tests.support.planted import NOW, debris, quick_settings
from tests.support.warehouse import write_small_shop

GENERATORS = ("popularity", "repurchase", "item_cf")
PLACEMENTS = ["for_you", "discover"]
KINDS = ("features", "candidates", "ranking_sets", "rankers")


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
    """Return the hash of every file that a training makes."""
    home = settings.resolved_home
    files = [path for kind in KINDS for path in (home / kind).rglob("*")]
    return {str(path.relative_to(home)): content_hash(path) for path in files if path.is_file() and path.name != DONE}


def emptied(settings: Settings) -> None:
    for kind in KINDS:
        shutil.rmtree(settings.resolved_home / kind, ignore_errors=True)


@pytest.mark.parametrize(("customers", "parts"), [(250, 1), (249, 2), (125, 2), (100, 2 * (1 + len(GENERATORS)))])
def test_there_are_more_parts_where_there_are_more_customers(
    shop: tuple[Settings, str], customers: int, parts: int
) -> None:
    settings, snapshot = shop
    told = settings.model_copy(update={"shard_customers": customers})
    plan = pipeline.plan_training(told, snapshot=snapshot, placements=PLACEMENTS)
    planned = plan["parts"]
    assert [len(plan[name]) for name in ("rows", "learners")] == ([1, 1] if customers == 250 else [2, 6])
    assert len(planned) == len({part["name"] for part in planned}) == parts
    made = [(cut, what) for part in planned for cut in part["cuts"] for what in part["generators"]]
    made += [(cut, "features") for part in planned for cut in part["cuts"] if part["features"]]
    assert len(made) == len(set(made)) == 2 * (1 + len(GENERATORS))


def divided_run(settings: Settings, snapshot: str, stages: dict[str, Callable[..., Any]]) -> list[Any]:
    """Call the stages for each part of their plans, as tasks do; return what each told of whether it was made anew."""
    plan = pipeline.plan_training(settings, snapshot=snapshot, placements=PLACEMENTS)
    told = []
    for of, stage in stages.items():
        for part in plan[of]:
            asked = {name: value for name, value in part.items() if name != "name"}
            asked |= {} if of == "parts" else {"placements": PLACEMENTS}
            told.append(stage(settings, snapshot=snapshot, **asked)["reused"])
    return told


def test_parts_give_what_one_process_gives_and_each_by_itself_only_once(shop: tuple[Settings, str]) -> None:
    settings, snapshot = shop
    emptied(settings)
    features = pipeline.build_features(settings, snapshot=snapshot)["features"]
    candidates = [
        pipeline.generate_candidates(settings, snapshot=snapshot, generator=name)["candidates"] for name in GENERATORS
    ]
    ranking_set = pipeline.build_ranking_set(
        settings, snapshot=snapshot, features=features, candidates=candidates, placements=PLACEMENTS
    )["ranking_set"]
    rankers = pipeline.train_rankers(settings, ranking_set=ranking_set)["rankers"]
    expected = files_of(settings)
    emptied(settings)

    divided = settings.model_copy(update={"shard_customers": 100})
    stages = {
        "parts": pipeline.make_ingredients,
        "rows": pipeline.make_ranking_rows,
        "learners": pipeline.learn_rankers,
    }
    first = divided_run(divided, snapshot, stages)
    assert first == [False] * (2 * (1 + len(GENERATORS)) + 2 + 2 * 3)
    for kind, pattern in (("candidates", "item_cf-*-*"), ("rankers", "*-discover-twin")):
        shutil.rmtree(sorted((settings.resolved_home / kind).glob(pattern))[0])
    again = divided_run(divided, snapshot, {name: stages[name] for name in ("parts", "learners")})
    assert again.count(False) == 2
    joined = pipeline.join_training(divided, snapshot=snapshot, placements=PLACEMENTS)
    assert joined == {"ranking_set": ranking_set, "rankers": rankers}
    assert files_of(settings) == expected
    assert debris(settings.resolved_home) == []


def test_a_join_links_the_parts_files_instead_of_copying_them(shop: tuple[Settings, str]) -> None:
    settings, snapshot = shop
    pipeline.join_training(settings, snapshot=snapshot, placements=PLACEMENTS)
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


@pytest.mark.parametrize("pair", [["nowhere", "twin"], ["../../x", "twin"], ["for_you", "../../../x"]])
def test_what_no_plan_says_is_refused(shop: tuple[Settings, str], pair: list[str]) -> None:
    settings, snapshot = shop
    pipeline.join_training(settings, snapshot=snapshot, placements=PLACEMENTS)
    before = sorted(settings.resolved_home.parent.rglob("*"))
    with pytest.raises(SettingsError):
        pipeline.learn_rankers(settings, snapshot=snapshot, placements=PLACEMENTS, learned=[pair])
    assert sorted(settings.resolved_home.parent.rglob("*")) == before
