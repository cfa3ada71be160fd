"""The state: what a recipe fits anew from each snapshot before it scores.

A folder ``states/<id>`` with

- ``catalogue.parquet``        the snapshot's products
- ``eligible.npz``             item_idx that may be recommended, and their recent buyers
- ``features/item.parquet``    product features
- ``generators/<name>.npz``    what generators learned about products
- ``products.parquet``         what shaping needs to know of the products that may be recommended
- ``item_rules.parquet``       the snapshot's rules about products
- ``defaults.parquet``         ranked products for visitors and customers without history; shaped when published
- ``customers/<name>.npz``     what generators keep of customers; it never leaves this machine with a model
"""

import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recsys import columns as c
from recsys.artifacts import DONE, Artifact, ArtifactStore, fingerprint
from recsys.assets import code_hash, read_sql
from recsys.candidates import Generator, make_generator, needs_of
from recsys.candidates.base import load_state, save_state
from recsys.candidates.popularity_groups import FEWEST_TOLD
from recsys.compute import engine, fetch_columns, write_parquet
from recsys.cuts import lay_cut
from recsys.features import compute_tables
from recsys.features.tables import ITEM_SIDE
from recsys.history import History, read_history
from recsys.knowledge import Rule, rules_in
from recsys.settings import Settings, ShapingSettings
from recsys.shaping import PRODUCTS_FILE, Bans, Shaper, read_products
from recsys.snapshot import Snapshot

KIND = "states"
CUSTOMERS = "customers"
ABOUT = "state.json"
DEFAULTS_FILE = "defaults.parquet"
RULES_FILE = "item_rules.parquet"
DEFAULT_DEPTH = 200  # products of a default list before it is shaped


@dataclass(frozen=True)
class FittedState:
    """A fitted state on this machine, whole or only its item side."""

    folder: Path

    @cached_property
    def about(self) -> dict[str, Any]:
        """The moment, the snapshot and the number of customers."""
        about: dict[str, Any] = json.loads((self.folder / ABOUT).read_text(encoding="utf-8"))
        return about

    @property
    def as_of(self) -> datetime:
        """The cut it was fitted at."""
        return datetime.fromisoformat(self.about["as_of"])

    @cached_property
    def eligible(self) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """item_idx that may be recommended, and their recent buyers."""
        arrays = load_state(self.folder / "eligible.npz")
        return np.asarray(arrays["items"]), np.asarray(arrays["popularity"])

    @cached_property
    def products(self) -> pa.Table:
        """What shaping needs to know of the products that may be recommended."""
        return pq.read_table(self.folder / PRODUCTS_FILE)

    @cached_property
    def rules(self) -> list[Rule]:
        """The shop's rules about products that hold at the cut."""
        path = self.folder / RULES_FILE
        return rules_in(pq.read_table(path), self.as_of) if path.is_file() else []  # versions of before have none

    def attach_rules(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Give a connection the view ``item_rules``; a state of before has none, and nothing that asks for it."""
        path = self.folder / RULES_FILE
        if path.is_file():
            connection.from_parquet(str(path)).create_view(c.ITEM_RULES)

    def shaper(self, settings: Settings, placement: str, shaping: ShapingSettings | None = None) -> Shaper:
        """Return what makes lists of a placement.

        Args:
            settings: with the placement's recipe applied.
            placement: whose lists.
            shaping: other rules than the placement's own.
        """
        chosen = shaping or settings.placement(placement).shaping
        return Shaper.of(self.products, chosen, settings.seed, Bans.of(self.rules, self.products, placement))

    def generators(self, settings: Settings) -> list[Generator]:
        """Return the fitted generators that are here, in the recipe's order."""
        found = []
        for name in settings.candidates.generators:
            generator = make_generator(name)
            place = CUSTOMERS if generator.keyed_by_customer else "generators"
            path = self.folder / place / f"{name}.npz"
            if path.is_file():
                generator.restore(load_state(path), settings)
                found.append(generator)
        return found

    def copy_item_side(self, target: Path) -> None:
        """Copy what holds nothing of a customer, for a registered model."""
        shutil.copytree(self.folder, target, ignore=shutil.ignore_patterns(CUSTOMERS, DONE))


def fit_state(settings: Settings, snapshot: Snapshot, state_key: str) -> Artifact:
    """Fit the recipe in ``settings`` on a snapshot; the same snapshot and recipe give the same state.

    Args:
        settings: with a recipe applied.
        snapshot: what to fit on.
        state_key: the recipe's ``state_key``.
    """

    def build(folder: Path) -> dict[str, Any]:
        with engine(settings) as connection:
            snapshot.attach(connection)
            lay_cut(connection, snapshot.as_of)
            needs = needs_of(settings.candidates.generators)
            history = read_history(
                connection, settings, snapshot.as_of, snapshot.user_count, needs=needs, for_serving=True
            )
            (folder / "features").mkdir()
            compute_tables(connection, folder / "features", ITEM_SIDE)
            _write_defaults(connection, settings, history, folder)
            consent = fetch_columns(connection, "select is_personalised from users order by user_idx")
            pq.write_table(read_products(connection, history.items, for_serving=True), folder / PRODUCTS_FILE)
        shutil.copy2(snapshot.items, folder / "catalogue.parquet")
        shutil.copy2(snapshot.item_rules, folder / RULES_FILE)
        save_state({"items": history.items, "popularity": history.popularity}, folder / "eligible.npz")
        _fit_generators(settings, history, folder)
        known = np.diff(history.seen.indptr) > 0
        about = {
            "as_of": snapshot.as_of.isoformat(),
            "snapshot": snapshot.uri,
            "snapshot_id": snapshot.snapshot_id,
            "users": snapshot.user_count,
            "expected_customers": int((known & consent[c.IS_PERSONALISED].astype(bool)).sum()),
            "eligible_items": len(history.items),
        }
        (folder / ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")
        return about

    return ArtifactStore.of(settings).make(KIND, state_name(settings, snapshot.snapshot_id, state_key), build)


def state_name(settings: Settings, snapshot_id: str, state_key: str) -> str:
    """Return the name of the state that a recipe gets from a snapshot."""
    shown = settings.publication.items + settings.publication.spare
    return fingerprint(snapshot_id, state_key, shown, code_hash("shaping"))


def _fit_generators(settings: Settings, history: History, folder: Path) -> None:
    for name in settings.candidates.generators:
        generator = make_generator(name)
        generator.fit(history, settings)
        generator.learn_claims(history)
        place = folder / (CUSTOMERS if generator.keyed_by_customer else "generators")
        place.mkdir(exist_ok=True)
        save_state(generator.state(), place / f"{name}.npz")


def _write_defaults(connection: Any, settings: Settings, history: History, folder: Path) -> None:
    connection.execute(
        "create or replace temp table eligible as select unnest($items)::integer as item_idx",
        {"items": history.items.tolist()},
    )
    parameters: dict[str, object] = {
        "recent_days": settings.candidates.popularity_days,
        "prior": settings.candidates.group_prior,
        "fewest": FEWEST_TOLD,
        "items": max(DEFAULT_DEPTH, 2 * (settings.publication.items + settings.publication.spare)),
    }
    write_parquet(connection, read_sql("scoring", "defaults.sql"), folder / DEFAULTS_FILE, parameters)
