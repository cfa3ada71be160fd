"""Reads what models are measured by from a snapshot and the features of a training."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from recsys import columns as c
from recsys.assets import read_sql
from recsys.compute import engine, fetch_columns
from recsys.cuts import lay_items
from recsys.evaluation.ground import Ground, Products
from recsys.evaluation.metrics import Truth
from recsys.evaluation.slices import Slice, customer_slices, item_slices
from recsys.features.tables import make_item_groups
from recsys.pseudonyms import Pseudonyms
from recsys.settings import Settings
from recsys.snapshot import Snapshot

USER_TABLES = ("user", "user_family")


@dataclass(frozen=True)
class HoldOut:
    """What all placements of a training are measured by; only the truth differs between them.

    Attributes:
        products: what was known about products at the cut.
        tastes: (user_count, g) purchase lines of each customer in each department.
        slices: groups of customers and products.
        customers: (user_count,) pseudonyms by customer number.
        truth: the file of what was bought in the window.
    """

    products: Products
    tastes: sparse.csr_array
    slices: list[Slice]
    customers: NDArray[np.object_]
    truth: Path

    def ground(self, *, repeats: bool) -> Ground:
        """Return what a placement's models are measured by."""
        truth = read_truth(self.truth, repeats=repeats)
        return Ground(truth, self.products, self.tastes[truth.users])

    def wider_truth(self, *, repeats: bool) -> Truth:
        """Return the truth with products that were bought too seldom to be recommended."""
        return read_truth(self.truth, repeats=repeats, eligible_only=False)


def read_truth(path: Path, *, repeats: bool, eligible_only: bool = True) -> Truth:
    """Read what was bought after a cut, as one placement counts it."""
    table = pq.read_table(path)
    kept = np.ones(table.num_rows, bool)
    if eligible_only:
        kept &= table["is_eligible"].to_numpy(zero_copy_only=False)
    if not repeats:
        kept &= table["is_new"].to_numpy(zero_copy_only=False)
    return Truth.of(table[c.USER_IDX].to_numpy()[kept], table[c.ITEM_IDX].to_numpy()[kept])


def read_holdout(settings: Settings, snapshot: Snapshot, cut: datetime, features: Path) -> HoldOut:
    """Read what models are measured by at a cut.

    Args:
        settings: in force.
        snapshot: of the training.
        cut: where the window begins.
        features: folder of the training's features at that cut.
    """
    with _at(settings, snapshot, cut, features) as connection:
        products = fetch_columns(connection, read_sql("evaluation", "products.sql"))
        tastes = fetch_columns(connection, read_sql("evaluation", "tastes.sql"))
        users = fetch_columns(connection, "select user_idx, user_lines, user_days_since_first from features_user")
        segments = connection.execute(
            "select segment, list(user_idx order by user_idx) from users group by segment having count(*) >= $1",
            [settings.evaluation.smallest_slice],
        ).fetchall()
        names = connection.execute("select user_id from users order by user_idx").fetchnumpy()["user_id"]
    catalogue = np.load(features / "eligible.npy", allow_pickle=False)
    new_days = float(settings.ranker.horizon_days)
    shape = (snapshot.user_count, int(tastes["department_no"].max(initial=-1)) + 1)
    return HoldOut(
        products=Products(
            catalogue=catalogue,
            buyers=products["buyers"],
            customers=snapshot.user_count,
            **_groups(products),
        ),
        tastes=sparse.csr_array((tastes["lines"], (tastes[c.USER_IDX], tastes["department_no"])), shape=shape),
        slices=[
            *customer_slices(
                users[c.USER_IDX],
                users["user_lines"],
                users["user_days_since_first"],
                new_days=new_days,
                segments={name: np.asarray(own, np.int32) for name, own in segments if name is not None},
            ),
            *item_slices(
                catalogue,
                products["lines"][catalogue],
                products["known_days"][catalogue],
                new_days=new_days,
            ),
        ],
        customers=np.asarray(Pseudonyms.of(settings).names(names), dtype=object),
        truth=features / "truth.parquet",
    )


def _groups(products: Mapping[str, NDArray[np.integer]]) -> dict[str, NDArray[np.integer] | None]:
    """Return category, brand and department of products; None where the shop doesn't know any."""
    return {
        name: products[name] if (products[name] >= 0).any() else None for name in ("category", "brand", "department")
    }


@contextmanager
def _at(settings: Settings, snapshot: Snapshot, cut: datetime, features: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with engine(settings) as connection:
        snapshot.attach(connection)
        lay_items(connection, cut)
        make_item_groups(connection)
        connection.execute(f"create temp table departments as {read_sql('evaluation', 'departments.sql')}")
        for table in ("item", *USER_TABLES):
            connection.from_parquet(str(features / f"{table}.parquet")).create_view(f"features_{table}")
        yield connection
