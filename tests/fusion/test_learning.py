"""Learned fusion weights: who is right gets the weight, and nothing else is looked at."""

from pathlib import Path

import duckdb
import numpy as np
import pytest

from recsys.evaluation.metrics import Truth, hit_matrix, ndcg, recall
from recsys.fusion import fuse
from recsys.fusion.learning import Lesson, learn_weights
from recsys.settings import PlacementSettings
from tests.support.proposed import write_proposals, write_truth

NAMES = ("popularity", "als", "item_cf")
USERS, ITEMS = 60, 80
SEED = 5


def lesson(folder: Path, right: str, users: int = USERS, *, is_new: bool = True) -> Lesson:
    """Let one generator rank first what will be bought, the others at random; half of it is proposed by none."""
    folder.mkdir()
    random = np.random.default_rng(3)
    rows: dict[str, list[tuple[int, int, float, int]]] = {name: [] for name in NAMES}
    truth = []
    for user in range(users):
        bought = random.choice(ITEMS, 6, replace=False)
        truth += [(user, int(item), is_new, True) for item in bought]
        truth += [(user, 1000 + n, is_new, True) for n in range(6)]
        for name in NAMES:
            others = random.permutation(np.setdiff1d(np.arange(ITEMS), bought))[:34]
            items = [*bought, *others] if name == right else random.permutation([*others, *bought[:2]])
            rows[name] += [(user, int(item), 1 / rank, rank) for rank, item in enumerate(items, start=1)]
    proposals = {name: write_proposals(folder / f"{name}.parquet", found) for name, found in rows.items()}
    return Lesson(proposals, write_truth(folder / "truth.parquet", truth))


def learn(lessons: list[Lesson], **settings: object) -> dict[str, float]:
    with duckdb.connect() as connection:
        placement = PlacementSettings(fused=30, **settings)
        return learn_weights(connection, lessons, NAMES, placement, SEED)


def figures(at: Lesson, placement: PlacementSettings) -> tuple[float, float]:
    """Return NDCG@10 and the recall of all that is kept, measured on the table that fusion makes."""
    with duckdb.connect() as connection:
        fuse(connection, at.proposals, NAMES, placement)
        rows = connection.execute("select user_idx, item_idx, fused_rank from candidates").fetchnumpy()
        bought = connection.execute("select user_idx, item_idx from read_parquet($1)", [str(at.truth)]).fetchnumpy()
    truth = Truth.of(bought["user_idx"], bought["item_idx"])
    hits = hit_matrix(truth, rows["user_idx"], rows["item_idx"], rows["fused_rank"], placement.fused)
    return float(ndcg(hits[:, :10], truth.relevant).mean()), float(recall(hits, truth.relevant).mean())


@pytest.mark.parametrize("method", ["rrf", "scores", "union"])
@pytest.mark.parametrize("right", NAMES)
def test_who_is_right_gets_the_weight(tmp_path: Path, method: str, right: str) -> None:
    taught = lesson(tmp_path / "cut", right)
    weights = learn([taught], fusion=method)
    assert weights[right] == 1.0
    assert max(weight for name, weight in weights.items() if name != right) <= 0.5
    plain = PlacementSettings(fused=30, fusion=method)
    before, after = figures(taught, plain), figures(taught, plain.with_weights(weights))
    assert after[0] > before[0] + 0.1
    assert after[1] == pytest.approx(0.5)  # all that anybody proposed: half of what was bought


def test_the_figure_that_is_learned_by_is_that_of_the_fused_lists(tmp_path: Path) -> None:
    from recsys.fusion.learning import _figure, _read

    taught = lesson(tmp_path / "cut", "als")
    for method in ("rrf", "scores", "union"):
        placement = PlacementSettings(fused=30, fusion=method, weights={"als": 0.7, "item_cf": 0.2})
        with duckdb.connect() as connection:
            part = _read(connection, taught, NAMES, placement, SEED)
        found = _figure(np.array([1.0, 0.7, 0.2]), [part], placement)
        assert found == pytest.approx(sum(figures(taught, placement)), abs=1e-12)


def test_what_changes_nothing_keeps_its_weight(tmp_path: Path) -> None:
    taught = lesson(tmp_path / "cut", "als")
    empty = write_proposals(tmp_path / "none.parquet", [])
    silent = Lesson({**taught.proposals, "item_cf": empty}, taught.truth)
    assert learn([silent], weights={"popularity": 0.0, "als": 1.0, "item_cf": 0.3}) == {
        "popularity": 0.0,
        "als": 1.0,
        "item_cf": 0.3,
    }


@pytest.mark.parametrize("is_nothing_bought", [True, False], ids=["nothing bought", "no cut"])
def test_without_anything_to_learn_from_the_weights_stay(tmp_path: Path, is_nothing_bought: bool) -> None:
    taught = lesson(tmp_path / "cut", "als", users=1)
    write_truth(taught.truth, [])
    lessons = [taught] if is_nothing_bought else []
    assert learn(lessons, weights={"als": 0.5}) == {"popularity": 1.0, "als": 0.5, "item_cf": 1.0}


def test_where_repeats_may_not_be_shown_only_new_products_teach(tmp_path: Path) -> None:
    taught = lesson(tmp_path / "cut", "als", is_new=False)
    assert learn([taught], repeats=True)["popularity"] < 1.0
    assert learn([taught], repeats=False) == dict.fromkeys(NAMES, 1.0)


def test_of_many_customers_a_seeded_draw_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import recsys.fusion.learning as learning

    monkeypatch.setattr(learning, "CUSTOMERS", 20)
    taught = lesson(tmp_path / "cut", "als")
    assert learn([taught]) == learn([taught])
    with duckdb.connect() as connection:
        part = learning._read(connection, taught, NAMES, PlacementSettings(), SEED)
    assert part.hits.shape[0] == len(part.relevant) == 20
