"""Takes quarantined rows back into the canonical tables, if the contracts let them."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from sqlalchemy import Connection, text

from recsys import columns as c
from recsys.assets import read_sql
from recsys.buckets import GUEST_BUCKET, bucket_of
from recsys.compute import engine, write_batches
from recsys.contracts.columns import NUMBER, TIME, TRUTH, Column, columns_of
from recsys.contracts.quarantine import REPLAYED, Quarantined, mark
from recsys.contracts.rows import TABLES, bits_of, judge_rows
from recsys.contracts.rules import QUARANTINE, STOP, rules_of
from recsys.settings import Settings
from recsys.warehouse import Warehouse

LOADED: Final = "load-"  # how the run_id of a load begins: what it rejected never was in the canonical tables
_NEVER: Final = datetime(9999, 1, 1)
_ARROW: Final = {NUMBER: pa.float64(), TIME: pa.timestamp("us"), TRUTH: pa.bool_()}
# What tells a canonical row from the others of its table; amounts, which may be no numbers, and JSON can't be compared.
_TELLING: Final = {
    c.USERS: (c.USER_ID, c.CREATED_AT),
    c.PROMOTIONS: (c.ITEM_ID, c.MARKET, c.STARTS_AT, c.ENDS_AT, c.KNOWN_AT),
    c.CAMPAIGNS: (c.CAMPAIGN_ID, c.USER_ID, c.STARTS_AT, c.ENDS_AT, c.KNOWN_AT),
    c.COUPONS: (c.COUPON_ID, c.CAMPAIGN_ID, c.ITEM_ID, c.KNOWN_AT),
    c.REDEMPTIONS: (c.REDEMPTION_ID, c.USER_ID, c.COUPON_ID, c.CAMPAIGN_ID, c.REDEEMED_AT),
    c.ITEM_RULES: (c.RULE_ID, c.KIND, c.ITEM_ID, c.OTHER_ITEM_ID, c.STARTS_AT, c.ENDS_AT),
    c.EVENTS: (c.EVENT_ID, c.USER_ID, c.ITEM_ID, c.EVENT_TYPE, c.OCCURRED_AT, c.BASKET_ID),
}
_KEYS: Final = {
    c.USERS: c.USER_ID,
    c.ITEM_RULES: c.RULE_ID,
    c.REDEMPTIONS: c.REDEMPTION_ID,
    c.EVENTS: c.EVENT_ID,
}

Row = dict[str, Any]


@dataclass(frozen=True)
class Replayed:
    """What became of the rows that a replay took up.

    Attributes:
        rows: those that are in their canonical tables again.
        refused: the others, each with the reason.
    """

    rows: tuple[Quarantined, ...]
    refused: tuple[tuple[Quarantined, str], ...]


def replay(
    warehouse: Warehouse, settings: Settings, entries: Sequence[Quarantined], *, by: str, now: datetime
) -> Replayed:
    """Judge quarantined rows anew, as they are or were repaired, and put those that pass into their canonical tables.

    A row that a load had left out is inserted; one that a snapshot had rejected stands in its table still and is
    corrected there. All is one transaction. What many rows together show is judged again by the next snapshot.

    Args:
        warehouse: open.
        settings: limits and severities.
        entries: the rows; those that are replayed or dropped already are passed over.
        by: who wants it.
        now: naive UTC.

    Raises:
        SettingsError: if the settings name a rule that isn't there.
        WarehouseError: if the warehouse refuses a write; nothing was changed.
    """
    back: list[Quarantined] = []
    refused: list[tuple[Quarantined, str]] = []
    writes: list[_Writing] = []
    columns = columns_of(warehouse)
    for table in sorted({entry.source_table for entry in entries}):
        mine = [entry for entry in entries if entry.source_table == table and entry.is_open]
        name = table.removeprefix(f"{c.SHOP}.")
        if name not in _TELLING:
            why = f"rows of {table} can't be put back by themselves: mend the source and load it again"
            refused += [(entry, why) for entry in mine]
            continue
        writing = _Writing(name, columns[name], settings.namespace)
        refused += writing.sort(mine, _judge(warehouse, settings, name, writing.readable(mine), now))
        writes.append(writing)
    with warehouse.transaction() as connection:
        for writing in writes:
            done, failed = writing.write(warehouse, connection)
            back += done
            refused += failed
        mark(connection, {entry.quarantine_id: entry.repaired for entry in back}, REPLAYED, by=by, now=now)
    return Replayed(tuple(back), tuple(refused))


class _Writing:
    """The rows of one canonical table that a replay puts back."""

    def __init__(self, table: str, columns: Mapping[str, Column], namespace: str) -> None:
        self.table = table
        self.columns = columns
        self.namespace = namespace
        self._typed: dict[str, Row] = {}
        self._why: dict[str, str] = {}
        self._good: list[Quarantined] = []

    def readable(self, entries: Sequence[Quarantined]) -> dict[str, Row]:
        """Return the typed columns of each row that can be read, by its id."""
        for entry in entries:
            try:
                self._typed[entry.quarantine_id] = self._read(entry.current)
            except (ValueError, TypeError) as error:
                self._why[entry.quarantine_id] = f"it can't be read: {error}"
        return self._typed

    def sort(self, entries: Sequence[Quarantined], broken: Mapping[str, str]) -> list[tuple[Quarantined, str]]:
        """Keep the rows that can be written; return the others with the reason."""
        reasons = {**self._why, **broken}
        self._good = [entry for entry in entries if entry.quarantine_id not in reasons]
        return [(entry, reasons[entry.quarantine_id]) for entry in entries if entry.quarantine_id in reasons]

    def write(
        self, warehouse: Warehouse, connection: Connection
    ) -> tuple[list[Quarantined], list[tuple[Quarantined, str]]]:
        """Insert or correct the rows; return those that are back, and the others with the reason."""
        back: list[Quarantined] = []
        refused: list[tuple[Quarantined, str]] = []
        inserted: list[Row] = []
        taken: set[Any] = set()
        for entry in self._good:
            row = self._typed[entry.quarantine_id]
            key = row.get(_KEYS.get(self.table, ""))
            is_new = entry.run_id.startswith(LOADED)
            if key is not None and (
                key in taken or ((is_new or key != self._key(entry)) and self._has(connection, key))
            ):
                refused.append((entry, f"{_KEYS[self.table]} {key!r} is in {c.SHOP}.{self.table} already"))
                continue
            if not is_new and not self._correct(connection, entry, row):
                refused.append((entry, f"it is no longer in {c.SHOP}.{self.table}"))
                continue
            inserted += [row] if is_new else []
            taken.add(key)
            back.append(entry)
        if inserted:
            warehouse.append(connection, f"{c.SHOP}.{self.table}", self._arrow(inserted))
        return back, refused

    def _key(self, entry: Quarantined) -> Any:
        return entry.row.get(_KEYS.get(self.table, ""))

    def _has(self, connection: Connection, key: Any) -> bool:
        query = f"select 1 from {c.SHOP}.{self.table} where {_KEYS[self.table]} = :key limit 1"
        return connection.execute(text(query), {"key": key}).first() is not None

    def _correct(self, connection: Connection, entry: Quarantined, row: Row) -> bool:
        """Write what was changed of a row that stands in its table; tell whether it does."""
        before = self._read(entry.row)
        before |= {c.BUCKET: entry.row[c.BUCKET]} if c.BUCKET in entry.row else {}
        telling = " and ".join(
            f'"{name}" is not distinct from cast(:was_{name} as {self.columns[name].type})'
            for name in _TELLING[self.table]
        )
        was = {f"was_{name}": before.get(name) for name in _TELLING[self.table]}
        changed = {name: value for name, value in row.items() if repr(value) != repr(before.get(name))}
        table = f"{c.SHOP}.{self.table}"
        stands = connection.execute(text(f"select 1 from {table} where {telling} limit 1"), was).first() is not None
        if stands and changed:
            values = ", ".join(f'"{name}" = cast(:{name} as {self.columns[name].type})' for name in changed)
            connection.execute(text(f"update {table} set {values} where {telling}"), {**was, **changed})
        return stands

    def _read(self, row: Mapping[str, Any]) -> Row:
        """Return the columns of the table that a row gives, typed."""
        given = dict(row)
        if self.table == c.EVENTS and c.RECORDED_AT not in given and c.KNOWN_AT in given:
            given[c.RECORDED_AT] = given[c.KNOWN_AT]
        typed = {name: _value(given[name], column) for name, column in self.columns.items() if name in given}
        if self.table in (c.USERS, c.EVENTS):
            user = typed.get(c.USER_ID)
            typed[c.BUCKET] = GUEST_BUCKET if user is None else bucket_of(self.namespace, user)
        return typed

    def _arrow(self, rows: Sequence[Row]) -> pa.Table:
        names = [name for name in self.columns if any(name in row for row in rows)]
        arrays = {
            name: pa.array(
                [row.get(name) for row in rows],
                _whole(self.columns[name]) or _ARROW.get(self.columns[name].family, pa.string()),
            )
            for name in names
        }
        return pa.table(arrays)


def _value(value: Any, column: Column) -> Any:
    """Return a value of JSON as one of the column's type.

    Raises:
        ValueError: if it is none.
    """
    if value is None or value == "":
        return None
    if column.family == TIME:
        return datetime.fromisoformat(str(value))
    if column.family == NUMBER:
        return int(value) if _whole(column) else float(value)
    if column.family == TRUTH:
        if str(value).lower() not in ("true", "false"):
            raise ValueError(f"{column.name} is {value!r}, neither true nor false")
        return str(value).lower() == "true"
    return value if isinstance(value, str) else json.dumps(value)


def _whole(column: Column) -> pa.DataType | None:
    return {"smallint": pa.int16(), "integer": pa.int32(), "bigint": pa.int64()}.get(column.type.lower())


def _judge(
    warehouse: Warehouse, settings: Settings, table: str, rows: Mapping[str, Row], now: datetime
) -> dict[str, str]:
    """Return what is wrong with each row that breaks a rule of its own, by its id."""
    rules = [rule for rule in rules_of(settings.contracts) if not rule.crowd]
    bits = bits_of(rules, table)
    says = {bits[rule.id]: rule.says for rule in rules if rule.id in bits and rule.severity in (QUARANTINE, STOP)}
    latest_allowed = now + timedelta(hours=settings.max_future_hours)
    with engine(settings) as connection, tempfile.TemporaryDirectory() as folder:
        for name in TABLES:
            _lay(connection, warehouse, Path(folder), name, rows if name == table else None, latest_allowed)
        judge_rows(connection, settings, rules, latest_allowed)
        found = connection.execute(f"select quarantine_id, broken from checked_{table} where broken <> 0").fetchall()
    judged = {name: "; ".join(why for bit, why in says.items() if broken & bit) for name, broken in found}
    return {name: why for name, why in judged.items() if why}


def _lay(
    connection: duckdb.DuckDBPyConnection,
    warehouse: Warehouse,
    folder: Path,
    name: str,
    rows: Mapping[str, Row] | None,
    latest_allowed: datetime,
) -> None:
    """Make ``extracted_T``: the rows to judge, all of what they may refer to, nothing of other tables."""
    parameters = {"as_of": _NEVER} | ({"latest_allowed": latest_allowed} if name == c.EVENTS else {})
    sql = read_sql("snapshot", f"extract_{name}.sql")
    is_asked_for = rows is None and name in (c.USERS, c.ITEMS)
    path = folder / f"{name}.parquet"
    with warehouse.read_arrow(
        sql if is_asked_for else f"select * from ({sql}\n) as part limit 0", parameters
    ) as reader:
        schema = reader.schema
        write_batches(reader, path)
    if rows is None:
        connection.from_parquet(str(path)).create_view(f"extracted_{name}")
        return
    told = [
        {**row, c.KNOWN_AT: row.get(c.RECORDED_AT) or row.get(c.OCCURRED_AT)} if name == c.EVENTS else row
        for row in rows.values()
    ]
    arrays = {field.name: pa.array([row.get(field.name) for row in told], field.type) for field in schema}
    connection.register("replayed_rows", pa.table({**arrays, "quarantine_id": pa.array(rows, pa.string())}))
    connection.execute(f"create temp table extracted_{name} as select * from replayed_rows")
