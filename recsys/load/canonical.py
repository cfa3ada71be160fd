"""Replaces the canonical tables ``shop.*`` by what a source's SELECTs give."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy
from sqlalchemy import Connection

from recsys.assets import read_sql
from recsys.buckets import GUEST_BUCKET, bucket_sql
from recsys.columns import (
    BUCKET,
    EVENT_TYPES,
    EVENTS,
    ITEM_ID,
    ITEM_VERSIONS,
    ITEMS,
    USER_ID,
    USERS,
)
from recsys.do_not_process import DoNotProcess
from recsys.errors import SourceError, WarehouseError
from recsys.load.forgetting import forget_raw
from recsys.load.raw import clean_select
from recsys.load.report import CleaningRow
from recsys.load.source import Source
from recsys.load.statements import statement
from recsys.warehouse import Warehouse

_KEYS: Final = {USERS: (USER_ID,), ITEMS: (ITEM_ID,), ITEM_VERSIONS: (ITEM_ID, "valid_from")}
_OF_CUSTOMERS: Final = (USERS, EVENTS, "campaigns", "redemptions")
_NOT_EMPTY: Final = (USERS, ITEMS, EVENTS)


@dataclass(frozen=True)
class _Column:
    name: str
    type: str
    required: bool


@dataclass(frozen=True)
class CanonicalLoad:
    """Where and as what a load is written: everything happens in ``connection``'s transaction."""

    warehouse: Warehouse
    connection: Connection
    source: Source
    namespace: str
    load_id: str
    now: datetime

    def prepare(self) -> None:
        """Make the functions that the SELECTs may use."""
        if self.warehouse.dialect == "duckdb":
            self.warehouse.run(self.connection, read_sql("staging", "_load", "duckdb_functions.sql"))

    def replace(self, table: str) -> tuple[int, list[CleaningRow]]:
        """Replace one canonical table.

        Returns:
            Its number of rows, and what was left out on the way.

        Raises:
            SourceError: if the SELECT fails, lacks a column or has one too many, repeats a key, or gives no
                customers, items or events; the message names the file.
        """
        self.warehouse.run(self.connection, f"truncate table shop.{table}")
        cleaning: list[CleaningRow] = []
        select = self._select(table)
        if select is not None:
            try:
                cleaning = self._insert_events(select) if table == EVENTS else self._insert(table, select)
            except WarehouseError as error:
                raise SourceError(f"{self._file(table)} can't be run: {error}") from error
        count = self._count(f"shop.{table}")
        if count == 0 and table in _NOT_EMPTY:
            raise SourceError(
                f"{self._file(table)} gives no rows: nothing was changed. Are there files, and does --until "
                "leave anything?" + _listed(cleaning)
            )
        return count, cleaning

    def leave_out(self, listed: DoNotProcess) -> dict[str, int]:
        """Remove the rows of customers who were erased and whom the raw files name in another way.

        Returns:
            The number of rows by table.
        """
        known = self.warehouse.query(f"select {USER_ID} from shop.{USERS}", connection=self.connection)
        removed: dict[str, int] = {}
        for user_id in listed.among(row[USER_ID] for row in known) if listed.marks else []:
            for table in _OF_CUSTOMERS:
                sql = sqlalchemy.text(f"delete from shop.{table} where {USER_ID} = :user_id")
                removed[table] = removed.get(table, 0) + int(self.connection.execute(sql, {USER_ID: user_id}).rowcount)
            forget_raw(self.warehouse, self.connection, (user_id,))
        return removed

    def hold_withdrawals(self) -> None:
        """Keep the consent withdrawn of customers who withdrew it here, whatever the source says."""
        self.warehouse.run(self.connection, read_sql("publication", "hold_withdrawals.sql"))

    def _file(self, table: str) -> str:
        return str(self.source.path / f"{table}.sql")

    def _select(self, table: str) -> str | None:
        own = self.source.sql(table)
        if own is None and table == ITEM_VERSIONS:
            own = read_sql("staging", "_load", "item_versions.sql")
        return None if own is None else clean_select(own)

    def _insert(self, table: str, select: str) -> list[CleaningRow]:
        columns = self._filled(table, select)
        values = ", ".join(self._value(column) for column in columns)
        insert = statement("insert", table=table, columns=_names(columns), values=values, select=select)
        self.warehouse.run(self.connection, insert)
        self._check_keys(table)
        return []

    def _insert_events(self, select: str) -> list[CleaningRow]:
        columns = self._filled(EVENTS, select)
        values = ", ".join(f'{self._value(column)} as "{column.name}"' for column in columns)
        types = ", ".join(f"'{kind}'" for kind in EVENT_TYPES)
        # PostgreSQL can't put JSON in an order.
        order = _names([column for column in columns if column.type.lower() != "json"])
        for text in (
            "drop table if exists recsys_incoming",
            statement("judge_events", select=select, values=values, event_types=types),
            statement("quarantine_events", load_id=self.load_id, now=self.now.isoformat(" ")),
            statement("keep_events", columns=_names(columns), order=f"occurred_at, {order}"),
        ):
            self.warehouse.run(self.connection, text)
        cleaning = self._event_cleaning()
        self.warehouse.run(self.connection, "drop table recsys_incoming")
        return cleaning

    def _event_cleaning(self) -> list[CleaningRow]:
        rows = self.warehouse.query(
            "select broken_rule, count(*) as row_count, min(item_id) as example from recsys_incoming "
            "where broken_rule is not null group by broken_rule order by broken_rule",
            connection=self.connection,
        )
        cleaning = [
            CleaningRow("quarantined_events", f"{row['broken_rule']} (item {row['example']})", row["row_count"])
            for row in rows
        ]
        good = self._count("recsys_incoming where broken_rule is null")
        merged = good - self._count("shop.events")
        if merged:
            cleaning.append(CleaningRow("duplicate_events", "events with the same event_id, kept once", merged))
        return cleaning

    def _filled(self, table: str, select: str) -> list[_Column]:
        """Return the columns of a canonical table that a SELECT fills, and the bucket where there is one."""
        columns = self._columns(table)
        given = self.warehouse.columns_of(self.connection, select)
        self._check_columns(table, columns, given)
        return [column for column in columns if column.name in given or column.name == BUCKET]

    def _value(self, column: _Column) -> str:
        if column.name != BUCKET:
            return f'cast("{column.name}" as {column.type})'
        # The bucket is the platform's business, so no source computes it.
        bucket = bucket_sql(self.namespace, f"cast({USER_ID} as varchar)")
        return f"case when {USER_ID} is null then {GUEST_BUCKET} else {bucket} end"

    def _check_columns(self, table: str, columns: list[_Column], given: list[str]) -> None:
        known = [column.name for column in columns if column.name != BUCKET]
        needed = [column.name for column in columns if column.required and column.name != BUCKET]
        for words, names in (
            ("lacks the column", [name for name in needed if name not in given]),
            ("gives a column that shop.{0} doesn't have:", [name for name in given if name not in known]),
            ("gives a column twice:", sorted({name for name in given if given.count(name) > 1})),
        ):
            if names:
                raise SourceError(
                    f"{self._file(table)} {words.format(table)} {', '.join(names)}. shop.{table} has "
                    f"{', '.join(known)}; needed are {', '.join(needed)}."
                )

    def _columns(self, table: str) -> list[_Column]:
        rows = self.warehouse.query(
            "select column_name, data_type, is_nullable from information_schema.columns "
            "where table_schema = 'shop' and table_name = :name order by ordinal_position",
            {"name": table},
            connection=self.connection,
        )
        return [_Column(row["column_name"], row["data_type"], row["is_nullable"] == "NO") for row in rows]

    def _check_keys(self, table: str) -> None:
        if table not in _KEYS:
            return
        key = ", ".join(_KEYS[table])
        rows = self.warehouse.query(statement("repeated_keys", table=table, key=key), connection=self.connection)
        if rows:
            examples = "; ".join(", ".join(str(row[name]) for name in _KEYS[table]) for row in rows)
            raise SourceError(
                f"{self._file(table)} gives several rows for one {key}, for example {examples}. "
                f"Its grain is one row each: group by {key}, or choose one of them."
            )

    def _count(self, relation: str) -> int:
        [row] = self.warehouse.query(statement("count", relation=relation), connection=self.connection)
        return int(row["row_count"])


def _names(columns: list[_Column]) -> str:
    return ", ".join(f'"{column.name}"' for column in columns)


def _listed(cleaning: list[CleaningRow]) -> str:
    return "".join(f"\n  {row.row_count:,} rows: {row.reason}" for row in cleaning)
