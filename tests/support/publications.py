"""Made publications for tests: lists over the small made shop, written as the scoring stage writes them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recsys import ledger
from recsys.buckets import bucket_of
from recsys.publication import NewPublication
from recsys.warehouse import Warehouse
from tests.support.warehouse import FUEL, item_id, user_id, write_small_shop

NOW = datetime(2025, 1, 2, 6)
AS_OF = datetime(2025, 1, 1)
PLACEMENT = "for_you"
MODEL = "recsys_for_you"
ITEMS = 40
USERS = 30
SCHEMA = pa.schema(
    {
        "subject_id": pa.string(),
        "bucket": pa.int16(),
        "rank": pa.int16(),
        "item_id": pa.string(),
        "score": pa.float64(),
        "source": pa.string(),
        "reason": pa.string(),
        "propensity": pa.float64(),
    }
)
Row = dict[str, Any]


def list_of(subject: str, items: Iterable[str], *, label: str = "made") -> list[Row]:
    """Return the rows of one list, ranked in the order of its items."""
    is_default = subject == "*" or subject.startswith("segment:")
    return [
        {
            "subject_id": subject,
            "bucket": -1 if is_default else bucket_of("recsys", subject),
            "rank": rank,
            "item_id": item,
            "score": 1 / rank,
            "source": "popularity",
            "reason": f"Because {label} says so.",
        }
        for rank, item in enumerate(items, start=1)
    ]


def made_lists(*, users: int = USERS, length: int = 20, shift: int = 0, label: str = "made") -> list[Row]:
    """Return a list for each of the first customers, for everybody and for the segment ``families``."""
    sellable = [item_id(n) for n in range(ITEMS - FUEL)]
    subjects = ["*", "segment:families", *(user_id(n) for n in range(users))]
    rows: list[Row] = []
    for number, subject in enumerate(subjects):
        start = number + shift
        items = [sellable[(start + step) % len(sellable)] for step in range(length)]
        rows += list_of(subject, items, label=label)
    return rows


def write_publication(
    folder: Path,
    publication_id: str,
    rows: list[Row],
    *,
    version: str = "1",
    placement: str = PLACEMENT,
    expected: int = USERS,
    barred: Iterable[str] = (),
    files: int = 2,
    **changes: Any,
) -> NewPublication:
    """Write the files of a publication to ``folder`` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(files):
        path = folder / f"{publication_id}-{number}.parquet"
        part = [row for row in rows if row["bucket"] % files == number]
        pq.write_table(pa.Table.from_pylist(part, SCHEMA), path)
        paths.append(path)
    known = folder / f"{publication_id}-items.parquet"
    names = [item_id(n) for n in range(ITEMS)]
    refused = {*barred, *names[-FUEL:]}
    pq.write_table(pa.table({"item_id": names, "recommendable": [name not in refused for name in names]}), known)
    publication = NewPublication(
        publication_id=publication_id,
        placement=placement,
        as_of=AS_OF,
        model_name=f"recsys_{placement}",
        model_version=version,
        state_id="state-1",
        run_id="run-1",
        snapshot_id="snapshot-1",
        code_commit="unknown",
        lists=tuple(paths),
        expected_customers=expected,
        known_items=known,
    )
    return replace(publication, **changes)


def approve(
    warehouse: Warehouse, version: str, *, placement: str = PLACEMENT, now: datetime = NOW, **changes: Any
) -> str:
    """Record an approval of a version by Ada."""
    values: Mapping[str, Any] = {
        "placement": placement,
        "model_name": f"recsys_{placement}",
        "model_version": version,
        "verdict": ledger.APPROVED,
        "decided_by": "ada",
        "channel": "cli",
        "reason": "Looks good.",
        "now": now,
    }
    return ledger.record_decision(warehouse, **{**values, **changes})


def approved_shop(warehouse: Warehouse) -> None:
    """Write the shop that the made lists are of, and approve a first version."""
    write_small_shop(warehouse, users=2 * USERS, items=ITEMS, days=60)
    approve(warehouse, "1")


def live_rows(warehouse: Warehouse, placement: str = PLACEMENT, user: str | None = None) -> list[Row]:
    """Return what the view shows, in order."""
    return warehouse.query(
        "select * from recsys.live_recommendations where placement = :placement "
        "and (cast(:user as text) is null or user_id = :user) order by user_id, rank",
        {"placement": placement, "user": user},
    )
