"""Whose lists are made anew over a base: an earlier publication whose lists count for all other customers.

They are the customers of whom a snapshot says anything else than the base's snapshot did (an event more, undone,
corrected or gone, other attributes, a consent; new customers), those whose list has a product that may not be
recommended any more, and those who can have a list and have none in the base.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from recsys import columns as c
from recsys.artifacts import facts_of, open_artifact
from recsys.assets import read_sql
from recsys.compute import engine, write_parquet
from recsys.knowledge import Rule, rules_in
from recsys.pseudonyms import Pseudonyms
from recsys.scoring.state import DEFAULTS_FILE, FittedState
from recsys.settings import Settings
from recsys.snapshot import PARTS, Snapshot

ASKED_FILE: Final = "asked.parquet"
TAKEN_FILE: Final = "taken.parquet"
MOST: Final = 0.5  # of the customers: with more than that to refresh, all are


@dataclass(frozen=True)
class Refreshed:
    """Whose lists are made anew.

    Attributes:
        asked: a file with their user_id, as in the snapshot, bucket, segment, and whether they have a list in the base.
        taken: a file with the places that lists of others take: item_id, places.
        count: customers whose lists are made anew.
        others: customers whose lists stay.
        why_not: why all lists must be made instead; empty if they need not.
    """

    asked: Path
    taken: Path
    count: int
    others: int
    why_not: str

    @classmethod
    def open(cls, uri: str) -> "Refreshed":
        """Open the artifact that :func:`write_refreshed` wrote."""
        folder = open_artifact(uri)
        return cls(folder / ASKED_FILE, folder / TAKEN_FILE, **facts_of(uri))


def write_changed(settings: Settings, snapshot: Snapshot, before: Snapshot, path: Path) -> int:
    """Write the user_id of the customers of whom a snapshot says anything else than an earlier one, new ones included.

    A part of the customers is compared at a time.

    Returns:
        Their number.
    """
    with engine(settings) as bench:
        bench.execute("create temp table changed (user_id varchar)")
        sql = read_sql("scoring", "digests.sql")
        for bounds in _parts():
            for table, source in (("older", before), ("newer", snapshot)):
                _attach(bench, source, bounds)
                bench.execute(f"create or replace temp table {table} as {sql}", bounds)
            bench.execute(
                "insert into changed select newer.user_id from newer left join older using (user_id) "
                "where newer.digest is distinct from older.digest"
            )
        return write_parquet(bench, "from changed order by user_id", path)


def write_refreshed(
    settings: Settings,
    snapshot: Snapshot,
    before: Snapshot,
    state: FittedState,
    changed: Path,
    rows: Path,
    folder: Path,
) -> dict[str, Any]:
    """Write whose lists of a base are made anew.

    Args:
        settings: how many items customers see; threads and memory.
        snapshot: of now.
        before: the base's.
        state: fitted to the snapshot.
        changed: of :func:`write_changed`.
        rows: the base's rows, Parquet: bucket, subject_id (an id, never a pseudonym), rank, item_id.
        folder: where the files of :class:`Refreshed` go.

    Returns:
        Its other attributes.
    """
    if _rules(before) != _rules(snapshot):
        return _none("other rules of the shop hold now")
    with engine(settings) as bench:
        _lay_able(bench, snapshot, state)
        bench.read_parquet(str(changed)).create_view("changed")
        bench.read_parquet(str(rows)).create_view("base_rows")
        _lay_names(bench, settings, snapshot)
        bench.execute("create temp table listed as " + read_sql("scoring", "listed.sql"))
        bench.execute("create temp table asked as " + read_sql("scoring", "asked.sql"))
        why_not = _why_not(bench, state)
        if why_not:
            return _none(why_not)
        count = write_parquet(bench, "from asked", folder / ASKED_FILE)
        shown: dict[str, object] = {"shown": settings.publication.items}
        write_parquet(bench, read_sql("scoring", "taken.sql"), folder / TAKEN_FILE, shown)
        others = _count(
            bench,
            "from listed semi join (from users where is_personalised) as users using (user_id) "
            "anti join asked using (user_id)",
        )
    return {"count": count, "others": others, "why_not": ""}


def _rules(source: Snapshot) -> list[Rule]:
    """Return the shop's rules that hold, about products by their ids: their numbers differ between snapshots."""
    table = pq.read_table(source.item_rules)
    ids = pq.read_table(source.items, columns=[c.ITEM_ID])[c.ITEM_ID]
    for name in (c.ITEM_IDX, c.OTHER_ITEM_IDX):
        table = table.set_column(table.schema.get_field_index(name), name, ids.take(table[name]))
    return sorted(rules_in(table, source.as_of), key=lambda rule: rule.rule_id)


def _lay_able(bench: duckdb.DuckDBPyConnection, snapshot: Snapshot, state: FittedState) -> None:
    """Make ``eligible`` (item_id), and ``able`` (user_id) of who has an event with such a product."""
    bench.execute("create temp table able (user_id varchar)")
    bench.register("eligible_idx", pa.table({c.ITEM_IDX: state.eligible[0]}))
    for bounds in _parts():
        _attach(bench, snapshot, bounds)
        bench.execute(
            "insert into able select user_id from users semi join "
            "(from events semi join eligible_idx using (item_idx)) as known using (user_idx)"
        )
    bench.execute("create temp table eligible as select item_id from items semi join eligible_idx using (item_idx)")


def _parts() -> Iterator[dict[str, object]]:
    width = c.BUCKETS // PARTS
    return ({"bucket_from": part * width, "bucket_to": (part + 1) * width} for part in range(PARTS))


def _attach(bench: duckdb.DuckDBPyConnection, source: Snapshot, bounds: dict[str, Any]) -> None:
    bench.from_parquet(str(source.users)).create_view(c.USERS, replace=True)
    bench.from_parquet(str(source.items)).create_view(c.ITEMS, replace=True)
    bench.from_parquet(source.event_files(**bounds)).create_view(c.EVENTS, replace=True)


def _lay_names(bench: duckdb.DuckDBPyConnection, settings: Settings, snapshot: Snapshot) -> None:
    """Make ``names``: subject_id of the base's customers, and user_id, which the snapshot has for it."""
    own = f"select distinct {c.SUBJECT_ID} from base_rows where {c.BUCKET} >= 0"
    if not snapshot.is_pseudonymised:
        bench.execute(f"create temp table names as select subject_id, subject_id as user_id from ({own})")
        return
    ids = [str(row[0]) for row in bench.execute(own).fetchall()]
    names = pa.array(Pseudonyms.of(settings).names(ids), pa.string())
    bench.register("names", pa.table({c.SUBJECT_ID: pa.array(ids, pa.string()), c.USER_ID: names}))


def _why_not(bench: duckdb.DuckDBPyConnection, state: FittedState) -> str:
    """Return why all lists must be made; empty if they need not."""
    bench.read_parquet(str(state.folder / DEFAULTS_FILE)).create_view("defaults")
    if _count(bench, "from base_rows anti join defaults using (subject_id) where bucket < 0"):
        return "a segment of the base has no default list any more"
    asked, able = _count(bench, "from asked"), _count(bench, "from able")
    if asked > MOST * able:
        return f"{asked} of {able} customers need a new list"
    return ""


def _count(bench: duckdb.DuckDBPyConnection, rows: str) -> int:
    [(count,)] = bench.execute(f"select count(*) {rows}").fetchall()
    return int(count)


def _none(why: str) -> dict[str, Any]:
    return {"count": 0, "others": 0, "why_not": why}
