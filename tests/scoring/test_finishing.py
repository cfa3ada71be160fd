"""What is done with the lists of all shards together: default lists, and exposure caps."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.scoring.finishing import CAPPED_FILE, default_lists, finish_lists
from recsys.scoring.refreshing import Refreshed
from recsys.scoring.state import FittedState
from recsys.settings import PlacementSettings, PublicationSettings, Settings, ShapingSettings
from tests.support.planted import quick_settings
from tests.support.products import CUT, Product, product_table

PRODUCTS = [
    Product("Food > Bread", "b1", "Rye, 1 lb"),
    Product("Drinks > Wine", "b2", "Merlot"),
    Product("Food > Bread", "b1", "Rye, 2 lb"),
    Product("Food > Cake", "b2", "Cheesecake", ratings=9, mean_rating=0.1),
    *[Product(f"Shelf {n} > Row", f"b{n % 3}", f"Thing {n}") for n in range(8)],
]
NAMES = [f"p{n:02d}" for n in range(len(PRODUCTS))]
USERS = [(f"u{n:03d}", n * 20) for n in range(60)]  # with their buckets


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> FittedState:
    folder: Path = tmp_path_factory.mktemp("state")
    table = product_table(PRODUCTS)
    pq.write_table(table, folder / "products.parquet")
    catalogue = {"item_idx": table["item_idx"], "item_id": NAMES, "brand": table["brand"]}
    pq.write_table(pa.table(catalogue), folder / "catalogue.parquet")
    rows = [
        list_row(subject, -1, rank, item, f"{20 - rank} bought this.") | {"item_idx": 10 * item}
        for subject in ("*", "segment:young")
        for rank, item in enumerate(range(len(PRODUCTS)), 1)
    ]
    schema = pa.schema([*LIST, ("item_idx", pa.int32())])
    pq.write_table(pa.Table.from_pylist(rows, schema).drop_columns(["propensity"]), folder / "defaults.parquet")
    (folder / "state.json").write_text(json.dumps({"as_of": CUT.isoformat()}))
    return FittedState(folder)


LIST = [
    ("subject_id", pa.string()),
    ("bucket", pa.int16()),
    ("rank", pa.int16()),
    ("item_id", pa.string()),
    ("score", pa.float64()),
    ("source", pa.string()),
    ("reason", pa.string()),
    ("propensity", pa.float64()),
]


def list_row(subject: str, bucket: int, rank: int, item: int, reason: str) -> dict[str, Any]:
    return {
        "subject_id": subject,
        "bucket": bucket,
        "rank": rank,
        "item_id": NAMES[item],
        "score": 1 / rank,
        "source": "made",
        "reason": reason,
    }


def settings_with(folder: Path, **shaping: Any) -> Settings:
    rules = PlacementSettings(shaping=ShapingSettings(**{"diversity": "off", "calibration_weight": 0.0, **shaping}))
    shown = PublicationSettings(items=3, spare=3)
    return quick_settings(folder, placements={"for_you": rules}, publication=shown)


def write_shards(folder: Path, count: int) -> list[Path]:
    """Write the lists of 60 customers, who all like the same best, in so many files."""
    files = []
    for shard in range(count):
        low, high = 4096 * shard // count, 4096 * (shard + 1) // count
        rows = [
            list_row(user, bucket, rank, item, f"Because {user} likes {item}.")
            | {"propensity": 0.5 if rank == 3 else None}
            for user, bucket in USERS
            if low <= bucket < high
            for rank, item in enumerate([0, 4, 5 + bucket % 7, 1, 2, 3], 1)
        ]
        files.append(folder / f"{count}-{shard}.parquet")
        pq.write_table(pa.Table.from_pylist(rows, pa.schema(LIST)), files[-1])
    return files


def test_default_lists_are_shaped_as_of_somebody_who_bought_nothing(state: FittedState, tmp_path: Path) -> None:
    found = default_lists(settings_with(tmp_path, exploration=1.0), "for_you", state).to_pylist()
    assert {row["subject_id"] for row in found} == {"*", "segment:young"}
    everybody = [row for row in found if row["subject_id"] == "*"]
    # Neither wine nor the other pack of rye, nor the cake that is rated badly; and nothing is drawn.
    assert [row["item_id"] for row in everybody] == ["p00", "p04", "p05", "p06", "p07", "p08"]
    assert [row["rank"] for row in everybody] == [1, 2, 3, 4, 5, 6]
    assert [row["reason"] for row in everybody[:2]] == ["19 bought this.", "15 bought this."]
    assert {row["propensity"] for row in found} == {None}
    assert list(found[0]) == [name for name, _ in LIST]


def test_without_caps_the_shards_are_published_as_they_are(state: FittedState, tmp_path: Path) -> None:
    files = write_shards(tmp_path, 2)
    assert finish_lists(settings_with(tmp_path), "for_you", state, files, tmp_path) is False
    assert not (tmp_path / CAPPED_FILE).exists()
    assert pq.read_metadata(tmp_path / "defaults.parquet").num_rows == 12


@pytest.mark.parametrize("caps", [{"item_cap": 0.25}, {"brand_cap": 0.3}, {"item_cap": 0.2, "brand_cap": 0.4}])
def test_caps_give_the_same_lists_for_any_number_of_shards(
    state: FittedState, tmp_path: Path, caps: dict[str, float]
) -> None:
    made = []
    for count in (1, 2, 5, 64):
        folder = tmp_path / str(count)
        folder.mkdir()
        files = write_shards(tmp_path, count)
        assert finish_lists(settings_with(tmp_path, **caps), "for_you", state, files[::-1], folder) is True
        made.append(pq.read_table(folder / CAPPED_FILE))
    assert all(table == made[0] for table in made[1:])
    rows = made[0].to_pylist()
    assert len(rows) == 6 * len(USERS)
    for row in rows:
        assert row["reason"] == f"Because {row['subject_id']} likes {NAMES.index(row['item_id'])}."
    shown = [row["item_id"] for row in rows if row["rank"] <= 3]
    if "item_cap" in caps:
        assert max(shown.count(name) for name in NAMES) <= caps["item_cap"] * len(shown)
        assert shown.count("p00") == int(caps["item_cap"] * len(shown))


@pytest.mark.parametrize("taken", [45, 40])
def test_lists_that_stay_count_for_the_caps(state: FittedState, tmp_path: Path, taken: int) -> None:
    files = write_shards(tmp_path, 1)
    few = [row for row in pq.read_table(files[0]).to_pylist() if row["subject_id"] < "u010"]
    pq.write_table(pa.Table.from_pylist(few, pa.schema(LIST)), tmp_path / "few.parquet")
    pq.write_table(pa.table({"item_id": ["p00"], "places": [taken]}), tmp_path / "taken.parquet")
    asked = {"user_id": [row["subject_id"] for row in few[::6]], "bucket": [0] * 10, "segment": ["young"] * 10}
    pq.write_table(pa.table({**asked, "has_list": [True] * 10}), tmp_path / "asked.parquet")
    refreshed = Refreshed(tmp_path / "asked.parquet", tmp_path / "taken.parquet", count=10, others=50, why_not="")
    capped = settings_with(tmp_path, item_cap=0.25)
    assert finish_lists(capped, "for_you", state, [tmp_path / "few.parquet"], tmp_path, refreshed)
    rows = pq.read_table(tmp_path / CAPPED_FILE).to_pylist()
    assert len(rows) == len(few)
    # Of the 180 places of 60 customers a product may take 45.
    assert [row["item_id"] for row in rows if row["rank"] <= 3].count("p00") == 45 - taken
