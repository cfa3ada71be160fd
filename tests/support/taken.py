"""A small shop whose snapshots are looked into."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from recsys.settings import Settings
from recsys.snapshot import Snapshot, take_snapshot
from tests.support.planted import NOW, Event, Person, parquet_rows, write_shop

DAY = timedelta(days=1)
FIRST = datetime(2024, 3, 1, 9)
AS_OF = datetime(2024, 4, 1)
USERS = ("ann", "bob", "cem")
ITEMS = ("bread", "milk", "soap")


def shop(settings: Settings, *events: Event, users: Sequence[Person | str] = USERS) -> None:
    write_shop(settings, users=users, items=ITEMS, events=[Event("ann", "bread", FIRST, name="first"), *events])


def taken(settings: Settings, as_of: datetime | str = AS_OF) -> Snapshot:
    text = as_of if isinstance(as_of, str) else as_of.isoformat()
    return Snapshot.open(take_snapshot(settings, as_of=text, now=NOW).uri)


def event_ids(snapshot: Snapshot, files: str = "*") -> set[str]:
    rows = parquet_rows(f"select event_id from read_parquet('{snapshot.folder}/events/{files}.parquet')")
    return {name for (name,) in rows}


def event(snapshot: Snapshot, name: str) -> dict[str, Any]:
    files = f"{snapshot.folder}/events/*.parquet"
    query = f"select to_json(e)::varchar from read_parquet('{files}') e where event_id = '{name}'"
    [(text,)] = parquet_rows(query)
    found: dict[str, Any] = json.loads(text)
    return found
