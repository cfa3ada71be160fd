"""What a packed model calls, at its smallest: one file of titles, recommended in their order.

It takes the place of ``recsys.scoring`` in the package that the registry's tests pack, so that they
test how a model is packed and loaded and not what a real one learned.
"""

import json
from pathlib import Path
from typing import Any

from recsys.assets import read_sql


class Recommender:
    def __init__(self, items: list[str]) -> None:
        self._items = items

    def recommend(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [found for row in rows for found in self._of(row)]

    def _of(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        had = {event["item_id"] for event in json.loads(row["events"])}
        left = [item for item in self._items if item not in had][: row["k"]]
        return [
            {
                "subject_id": row["subject_id"],
                "item_id": item,
                "rank": rank,
                "score": 1.0 / rank,
                "source": "popularity",
                "reason": "Popular in the last four weeks",
            }
            for rank, item in enumerate(left, start=1)
        ]


def load_recommender(bundle: Path) -> Recommender:
    assert "create table" in read_sql("schema", "0001_shop.sql")  # the SQL travels with the model
    return Recommender(json.loads((bundle / "items.json").read_text(encoding="utf-8")))
