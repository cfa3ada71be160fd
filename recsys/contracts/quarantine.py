"""The quarantine: rejected rows, each kept once with its rule and run, and what people do about them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
from sqlalchemy import Connection, bindparam, text

from recsys import columns as c
from recsys.assets import read_sql
from recsys.contracts.rules import written_rules
from recsys.errors import NotFoundError, RefusedError, SettingsError
from recsys.warehouse import Warehouse

WAITING: Final = "waiting"
REPAIRED: Final = "repaired"
REPLAYED: Final = "replayed"
DROPPED: Final = "dropped"
MARKS: Final = ("rule", "broken_rule")  # what a rejected row carries besides its columns
SHORT: Final = 12  # digits of an id that are shown
_ALL: Final = 1_000_000_000
_AT_ONCE: Final = 5_000


@dataclass(frozen=True)
class Quarantined:
    """A rejected row.

    Attributes:
        quarantine_id: made of the table, the rule and the row.
        source_table: where it came from.
        row: its columns as they were rejected.
        rule: what is wrong with it.
        run_id: the load or the snapshot that rejected it first.
        seen_at: when.
        repaired: its columns as somebody corrected them; None if nobody did.
        status: waiting, repaired, replayed or dropped.
    """

    quarantine_id: str
    source_table: str
    row: dict[str, Any]
    rule: str
    run_id: str
    seen_at: datetime
    repaired: dict[str, Any] | None
    status: str

    @property
    def is_open(self) -> bool:
        """Whether a replay may take it up."""
        return self.status in (WAITING, REPAIRED)

    @property
    def current(self) -> dict[str, Any]:
        """Its columns as a replay takes them."""
        return self.row if self.repaired is None else self.repaired


def identify(source_table: str, rule: str, row: str) -> str:
    """Return the id of a quarantined row, as the warehouse computes it."""
    return hashlib.md5(f"{source_table}|{rule}|{row}".encode(), usedforsecurity=False).hexdigest()


def quarantine(warehouse: Warehouse, rows: pa.Table, run_id: str) -> int:
    """Add rejected rows to ``shop.quarantine``, those that aren't there yet.

    What the same run had rejected before and no longer does goes, unless somebody took it up.

    Args:
        warehouse: open.
        rows: as :func:`recsys.contracts.rows.rejected_rows` gives them.
        run_id: the run that rejected them.

    Returns:
        The number of rows added.
    """
    names = zip(*(rows[name].to_pylist() for name in ("source_table", "rule", "row")), strict=True)
    ids = [identify(*parts) for parts in names]
    with warehouse.read_arrow(read_sql("contracts", "quarantine_ids.sql")) as reader:
        kept = reader.read_all().to_pylist()
    again = {row["quarantine_id"] for row in kept if row["is_replayed"]} & set(ids)
    known = {row["quarantine_id"] for row in kept} - again
    gone = {row["quarantine_id"] for row in kept if row["run_id"] == run_id and not row["is_taken_up"]} - set(ids)
    added = rows.filter(pa.array([name not in known for name in ids], pa.bool_()))
    if not (added.num_rows or gone):
        return 0
    with warehouse.transaction() as connection:
        _forget(connection, again)
        _forget(connection, gone, run_id)
        if added.num_rows:
            warehouse.append(connection, f"{c.SHOP}.{c.QUARANTINE}", added)
    return int(added.num_rows)


def quarantine_counts(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Return how many rows are in quarantine, by table, rule and run."""
    return warehouse.query(read_sql("contracts", "quarantine_counts.sql"))


def find_quarantined(
    warehouse: Warehouse,
    *,
    table: str | None = None,
    rule: str | None = None,
    run_id: str | None = None,
    beginning: str | None = None,
    most: int = _ALL,
) -> list[Quarantined]:
    """Return quarantined rows, the newest first, each once.

    Args:
        warehouse: open.
        table: only of this table, with or without its schema.
        rule: only of this rule, by its id or by what it says.
        run_id: only of this load or snapshot.
        beginning: only those whose id begins so.
        most: how many at most.
    """
    found = warehouse.query(
        read_sql("contracts", "quarantined.sql"),
        {
            "source_table": table if table is None or "." in table else f"{c.SHOP}.{table}",
            "rule": next((one.says for one in written_rules() if one.id == rule), rule),
            "run_id": run_id,
            "ids": beginning,
            "most": most,
        },
    )
    rows: dict[str, Quarantined] = {}
    for row in found:
        told = {name: row[name] for name in ("quarantine_id", "source_table", "rule", "run_id", "seen_at", "status")}
        repaired = None if row["repaired"] is None else json.loads(row["repaired"])
        rows.setdefault(row["quarantine_id"], Quarantined(row=_columns(row["row"]), repaired=repaired, **told))
    return list(rows.values())


def one_quarantined(warehouse: Warehouse, beginning: str) -> Quarantined:
    """Return the quarantined row whose id begins so.

    Raises:
        NotFoundError: if there is none.
        SettingsError: if there are several.
    """
    if not beginning.isalnum():
        raise SettingsError(f"{beginning!r} is no id: recsys quarantine list shows them.")
    found = find_quarantined(warehouse, beginning=beginning.lower(), most=2)
    if not found:
        raise NotFoundError(f"No row in quarantine has the id {beginning!r}: recsys quarantine list shows them.")
    if len(found) > 1:
        raise SettingsError(f"The ids of several rows in quarantine begin with {beginning!r}: give more of it.")
    return found[0]


def repair(
    warehouse: Warehouse, beginning: str, values: Mapping[str, str | None], *, by: str, now: datetime
) -> Quarantined:
    """Correct columns of a quarantined row; :func:`recsys.contracts.replaying.replay` puts it back.

    Args:
        warehouse: open.
        beginning: of the row's id.
        values: by column; None empties it.
        by: who does it.
        now: naive UTC.

    Raises:
        NotFoundError: if there is no such row.
        SettingsError: if it has no such column, or several rows' ids begin so.
        RefusedError: if it was replayed already, or is no row of the shop's tables.
    """
    entry = one_quarantined(warehouse, beginning)
    if entry.status == REPLAYED:
        raise RefusedError(f"{entry.quarantine_id[:SHORT]} was replayed already: it is in {entry.source_table} again.")
    if not entry.source_table.startswith(f"{c.SHOP}."):
        raise RefusedError(
            f"{entry.quarantine_id[:SHORT]} is a line of {entry.source_table} as it was read, which can't be put back "
            "by itself: mend the source and load it again."
        )
    unknown = sorted(set(values) - set(entry.row))
    if unknown:
        raise SettingsError(
            f"The row has no {', '.join(map(repr, unknown))}. Its columns are: {', '.join(sorted(entry.row))}."
        )
    corrected = entry.current | dict(values)
    with warehouse.transaction() as connection:
        mark(connection, {entry.quarantine_id: corrected}, REPAIRED, by=by, now=now)
    return one_quarantined(warehouse, entry.quarantine_id)


def drop(warehouse: Warehouse, beginning: str, *, by: str, now: datetime) -> Quarantined:
    """Say of a quarantined row that it is never to be replayed; it stays on record.

    Raises:
        NotFoundError: if there is no such row.
        SettingsError: if several rows' ids begin so.
        RefusedError: if it was replayed already.
    """
    entry = one_quarantined(warehouse, beginning)
    if entry.status == REPLAYED:
        raise RefusedError(f"{entry.quarantine_id[:SHORT]} was replayed already: it is in {entry.source_table} again.")
    with warehouse.transaction() as connection:
        mark(connection, {entry.quarantine_id: entry.repaired}, DROPPED, by=by, now=now)
    return one_quarantined(warehouse, entry.quarantine_id)


def mark(
    connection: Connection, rows: Mapping[str, Mapping[str, Any] | None], status: str, *, by: str, now: datetime
) -> None:
    """Record what was done about rows: by id, each as it is corrected (None: as it was)."""
    told = [
        {
            "id": name,
            "status": status,
            "corrected": None if row is None else json.dumps(row),
            "changed_by": by,
            "changed_at": now,
        }
        for name, row in rows.items()
    ]
    if told:
        connection.execute(text(read_sql("contracts", "forget_repair.sql")), told)
        connection.execute(text(read_sql("contracts", "add_repair.sql")), told)


def _columns(row: str) -> dict[str, Any]:
    return {name: value for name, value in json.loads(row).items() if name not in MARKS}


def _forget(connection: Connection, ids: set[str], run_id: str | None = None) -> None:
    statement = text(read_sql("contracts", "forget_quarantined.sql")).bindparams(bindparam("ids", expanding=True))
    ordered = sorted(ids)
    for start in range(0, len(ordered), _AT_ONCE):
        connection.execute(statement, {"ids": ordered[start : start + _AT_ONCE], "run_id": run_id})
