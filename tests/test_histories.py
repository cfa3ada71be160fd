"""Histories that are kept for a training: what was read, and read once."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from recsys.compute import engine
from recsys.cuts import lay_cut
from recsys.histories import KIND, history_at
from recsys.history import Groups, History, read_history
from recsys.matrices import MATRICES, read_matrices
from recsys.settings import CandidateSettings, Settings
from recsys.snapshot import Snapshot, take_snapshot
from tests.support.planted import NOW, days, write_shop
from tests.test_history import CUT, EVENTS, ITEMS, USERS, settings_of


@pytest.fixture
def shop(tmp_path: Path) -> tuple[Settings, Snapshot]:
    settings = settings_of(tmp_path)
    write_shop(settings, users=USERS, items=ITEMS, events=EVENTS)
    return settings, Snapshot.open(take_snapshot(settings, as_of=(CUT + days(90)).isoformat(), now=NOW).uri)


def read(settings: Settings, snapshot: Snapshot) -> History:
    with engine(settings) as connection:
        snapshot.attach(connection)
        lay_cut(connection, CUT)
        return read_history(connection, settings, CUT, snapshot.user_count, needs=("lines",))


def same(one: Any, other: Any) -> bool:
    if isinstance(one, sparse.csr_array):
        parts = ("data", "indices", "indptr")
        return one.shape == other.shape and all(same(getattr(one, part), getattr(other, part)) for part in parts)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, Groups):
        return one.names == other.names and same(one.codes, other.codes)
    return bool(one == other)


def test_what_is_kept_is_what_was_read(shop: tuple[Settings, Snapshot]) -> None:
    kept, again = history_at(*shop, CUT), history_at(*shop, CUT)
    expected = read(*shop)
    assert expected.purchases.nnz > 0
    plain = [field.name for field in fields(History) if field.name != "lines"]
    assert [name for name in plain if not same(getattr(kept, name), getattr(expected, name))] == []
    assert [name for name in plain if not same(getattr(again, name), getattr(expected, name))] == []
    assert np.shares_memory(kept.weights.indices, kept.purchases.indices)


def test_a_history_is_kept_once_a_cut_and_what_it_depends_on(shop: tuple[Settings, Snapshot]) -> None:
    settings, snapshot = shop
    other = settings.model_copy(update={"candidates": CandidateSettings(half_life_days=7)})
    for asked in (settings, settings, other):
        history_at(asked, snapshot, CUT)
    history_at(settings, snapshot, CUT + days(30))
    assert len([path for path in (settings.resolved_home / KIND).iterdir() if path.is_dir()]) == 3


def test_costly_parts_are_read_when_they_are_needed(shop: tuple[Settings, Snapshot]) -> None:
    assert history_at(*shop, CUT).lines is None
    lines, expected = history_at(*shop, CUT, ("lines",)).lines, read(*shop).lines
    assert lines is not None and expected is not None
    assert all(same(getattr(lines, field.name), getattr(expected, field.name)) for field in fields(expected))


def test_changing_a_matrix_leaves_the_file_as_it_was(shop: tuple[Settings, Snapshot]) -> None:
    first = history_at(*shop, CUT).interest
    first.data[:] = 7
    assert not (history_at(*shop, CUT).interest.data == 7).all()


@pytest.mark.parametrize("at_once", [1, 2, 1000])
def test_customers_are_read_a_range_at_a_time(shop: tuple[Settings, Snapshot], at_once: int) -> None:
    settings, snapshot = shop
    with engine(settings) as connection:
        snapshot.attach(connection)
        lay_cut(connection, CUT)
        items = np.arange(snapshot.item_count, dtype=np.int32)
        found = read_matrices(connection, settings, items, snapshot.user_count, at_once=at_once)
        expected = read_matrices(connection, settings, items, snapshot.user_count)
    assert list(found) == list(MATRICES)
    assert all(same(found[name], expected[name]) for name in MATRICES)
    assert found["seen"].nnz > found["purchases"].nnz > 0
    assert np.shares_memory(found["weights"].indices, found["purchases"].indices)
    assert {matrix.indices.dtype for matrix in found.values()} == {np.dtype(np.int32)}
