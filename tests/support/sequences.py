"""Interaction files with known answers: written row by row, or made from a seed with a planted rule."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Row = Mapping[str, Any]


def write_csv(path: Path, rows: Sequence[Row] | Sequence[Sequence[Any]], header: Sequence[str] | None = None) -> Path:
    """Write rows under the first row's keys, or lists under a header."""
    names = list(header or rows[0])
    cells = [[row.get(name, "") for name in names] if isinstance(row, Mapping) else list(row) for row in rows]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *cells])
    return path


def write_sequences(path: Path, sequences: Mapping[str, Iterable[str]]) -> Path:
    """Write each customer's items in their order, as user_id, item_id, order."""
    rows = [
        {"user_id": user, "item_id": item, "order": place}
        for user, items in sequences.items()
        for place, item in enumerate(items)
    ]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    return write_csv(path, rows)


def walks(
    customers: int, items: int, *, seed: int = 5, follow: float = 0.8, shortest: int = 5, longest: int = 10
) -> dict[str, list[str]]:
    """Return made sequences in which item n is followed by item n + 1 (the last one by the first) with a chance.

    Otherwise any item follows. Nobody turns to an item twice.
    """
    random = np.random.default_rng(seed)
    made = {}
    for customer in range(customers):
        own = [int(random.integers(items))]
        for _ in range(int(random.integers(shortest, longest + 1)) - 1):
            ahead = (own[-1] + 1) % items
            if ahead in own or random.random() >= follow:
                ahead = int(random.choice(np.setdiff1d(np.arange(items), own)))
            own.append(ahead)
        made[f"u{customer:05d}"] = [f"i{item:04d}" for item in own]
    return made
