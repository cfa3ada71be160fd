"""Histories of all customers at the cuts of a training: read once, whoever asks first, and kept below home."""

import json
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from filelock import FileLock

from recsys.artifacts import ArtifactStore, fingerprint
from recsys.assets import code_hash
from recsys.compute import engine
from recsys.cuts import cut_name, lay_cut
from recsys.history import Groups, History, Need, read_history, with_needs
from recsys.matrices import open_matrices, save_matrices
from recsys.settings import Settings
from recsys.snapshot import Snapshot

KIND: Final = "histories"
_GROUPS: Final = ("segments", "markets")
_ARRAYS: Final = ("items", "popularity")


def history_at(settings: Settings, snapshot: Snapshot, cut: datetime, needs: Collection[Need] = ()) -> History:
    """Return the history of a snapshot's customers at a cut, as ``read_history`` reads it.

    Its matrices are files that are read when they are used.
    """
    name = f"{cut_name(cut)}-{_key(settings, snapshot, cut)}"
    store = ArtifactStore.of(settings)

    def build(folder: Path) -> dict[str, Any]:
        with engine(settings) as connection:
            snapshot.attach(connection)
            lay_cut(connection, cut)
            _save(read_history(connection, settings, cut, snapshot.user_count), folder)
        return {}

    place = store.root / KIND
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / f"{name}.lock"):  # who asks meanwhile waits for it rather than reading it as well
        folder = store.make(KIND, name, build).path
    history = _open(folder, cut)
    if not needs:
        return history
    with engine(settings) as connection:
        snapshot.attach(connection)
        lay_cut(connection, cut)
        return with_needs(connection, settings, history, needs)


def _key(settings: Settings, snapshot: Snapshot, cut: datetime) -> str:
    chosen = settings.candidates
    read_by = (chosen.half_life_days, chosen.popularity_days, chosen.event_weights)
    eligible_by = (settings.publication.min_item_purchases, settings.publication.new_item_days)
    return fingerprint(snapshot.snapshot_id, cut, read_by, eligible_by, code_hash())


def _save(history: History, folder: Path) -> None:
    save_matrices(history.matrices, folder)
    for name in _ARRAYS:
        np.save(folder / f"{name}.npy", getattr(history, name))
    names = {}
    for name in _GROUPS:
        groups: Groups = getattr(history, name)
        np.save(folder / f"{name}.npy", groups.codes)
        names[name] = groups.names
    (folder / "groups.json").write_text(json.dumps(names), encoding="utf-8")


def _open(folder: Path, cut: datetime) -> History:
    arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in (*_ARRAYS, *_GROUPS)}
    names = json.loads((folder / "groups.json").read_text(encoding="utf-8"))
    segments, markets = (Groups(arrays[name], tuple(names[name])) for name in _GROUPS)
    return History(
        cut_at=cut,
        items=arrays["items"],
        popularity=arrays["popularity"],
        segments=segments,
        markets=markets,
        **open_matrices(folder),
    )
