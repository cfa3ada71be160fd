"""Interactions before a cut as sparse matrices of customers and products, read a range of customers at a time.

Matrices with entries in the same places share the arrays that say where: whoever changes one copies it first.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsys.assets import read_sql
from recsys.compute import fetch_columns
from recsys.cuts import customer_ranges
from recsys.settings import Settings

Rows = dict[str, NDArray[Any]]
MATRICES: Final = {
    "purchases": ("purchases", "purchases"),
    "weights": ("weight", "purchases"),
    "interest": ("interest", "interest"),
    "recency": ("recency", "recency"),
    "seen": ("seen", "seen"),
    "first_days": ("first_days", "purchases"),
    "last_days": ("last_days", "purchases"),
    "recent": ("recent", "recent"),
    "earlier": ("earlier", "earlier"),
}
"""Of each matrix the column of its values, and the column that is above zero where it has an entry."""
RANGE: Final = 65_536
_INDEX: Final = "matrices.json"


def read_matrices(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    items: NDArray[np.int32],
    user_count: int,
    *,
    at_once: int = RANGE,
) -> dict[str, sparse.csr_array]:
    """Return the matrices of ``MATRICES``, (user_count, m) float32.

    Args:
        connection: has the snapshot's views and a laid cut.
        settings: give half-life, recent days and event weights.
        items: (m,) item_idx of the columns, ascending.
        user_count: customers of the snapshot.
        at_once: customers whose interactions are held as rows.
    """
    patterns = tuple(dict.fromkeys(where for _, where in MATRICES.values()))
    counts = {where: np.zeros(user_count + 1, np.int32) for where in patterns}
    places: dict[str, list[NDArray[np.int32]]] = {where: [] for where in patterns}
    values: dict[str, list[NDArray[np.float32]]] = {name: [] for name in MATRICES}
    for rows in _ranges(connection, settings, at_once):
        kept, column = columns_of(items, rows["item_idx"])
        users = rows["user_idx"][kept]
        own = {name: rows[name][kept] for name, _ in MATRICES.values() if name != "seen"}
        own["seen"] = np.ones(len(users), np.float32)
        there = {where: own[where] > 0 for where in patterns}
        for where in patterns:
            np.add.at(counts[where], users[there[where]] + 1, 1)
            places[where].append(column[there[where]])
        for name, (value, where) in MATRICES.items():
            values[name].append(own[value][there[where]].astype(np.float32))
    found = _shared(
        {
            where: (_joined(places.pop(where), np.int32), np.cumsum(counts.pop(where), dtype=np.int32))
            for where in patterns
        }
    )
    shape = (user_count, len(items))
    return {
        name: sparse.csr_array((_joined(values.pop(name), np.float32), *found[where]), shape=shape)
        for name, (_, where) in MATRICES.items()
    }


def read_rows(connection: duckdb.DuckDBPyConnection, settings: Settings, items: NDArray[np.int32]) -> Rows:
    """Return the interactions with some products, by customer and product: the columns of ``interactions.sql``."""
    found: list[Rows] = [
        {name: values[columns_of(items, rows["item_idx"])[0]] for name, values in rows.items()}
        for rows in _ranges(connection, settings, RANGE)
    ]
    return {name: np.concatenate([rows[name] for rows in found]) for name in found[0]}


def columns_of(items: NDArray[np.int32], item_idx: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
    """Return which rows are of some products, and those rows' columns among them."""
    if not len(items):
        return np.zeros(len(item_idx), bool), np.empty(0, np.int32)
    column = np.minimum(np.searchsorted(items, item_idx), len(items) - 1)
    kept = items[column] == item_idx
    return kept, column[kept].astype(np.int32)


def event_weights(settings: Settings) -> dict[str, object]:
    """Return the weights of event types as parameters of SQL."""
    weights = settings.candidates.event_weights
    return {"event_types": list(weights), "event_weights": list(weights.values())}


def save_matrices(matrices: Mapping[str, sparse.csr_array], folder: Path) -> None:
    """Write matrices to a folder, every array once, so that :func:`open_matrices` need not read what nobody asks."""
    files: dict[tuple[int, int, str], str] = {}
    index: dict[str, Any] = {}
    for name, matrix in matrices.items():
        index[name] = {"shape": matrix.shape}
        for part in ("data", "indices", "indptr"):
            array = getattr(matrix, part)
            place = array.ctypes.data, array.nbytes, array.dtype.str
            if place not in files:
                files[place] = f"{name}-{part}.npy"
                np.save(folder / files[place], array)
            index[name][part] = files[place]
    (folder / _INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")


def open_matrices(folder: Path) -> dict[str, sparse.csr_array]:
    """Return the matrices in a folder; their bytes are read when they are used, and no change reaches the files."""
    index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    arrays: dict[str, NDArray[Any]] = {}
    found = {}
    for name, told in index.items():
        parts = [told[part] for part in ("data", "indices", "indptr")]
        for file in parts:
            if file not in arrays:
                arrays[file] = np.load(folder / file, mmap_mode="c", allow_pickle=False)
        found[name] = sparse.csr_array(tuple(arrays[file] for file in parts), shape=tuple(told["shape"]))
    return found


def _ranges(connection: duckdb.DuckDBPyConnection, settings: Settings, at_once: int) -> Iterator[Rows]:
    """Yield the rows of ``interactions.sql`` of one range of customers after the other; once at least."""
    sql = read_sql("features", "interactions.sql")
    for bounds in customer_ranges(connection, at_once):
        asked = {
            "half_life": settings.candidates.half_life_days,
            "recent_days": settings.candidates.popularity_days,
            **bounds,
        }
        yield fetch_columns(connection, sql, asked | event_weights(settings))


def _joined(parts: list[NDArray[Any]], kind: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([np.empty(0, kind), *parts])


def _shared(
    patterns: Mapping[str, tuple[NDArray[np.int32], NDArray[np.int32]]],
) -> dict[str, tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """Return indices and indptr by pattern; patterns that are equal give the same arrays."""
    found: dict[str, tuple[NDArray[np.int32], NDArray[np.int32]]] = {}
    for name, own in patterns.items():
        equal = (one for one in found.values() if all(np.array_equal(a, b) for a, b in zip(one, own, strict=True)))
        found[name] = next(equal, own)
    return found
